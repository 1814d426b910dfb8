"""Every preset of every kind has a decoder, and what it says looks like items of that kind."""

import numpy as np

from hashret.told import ToldWord


def test_every_preset_has_a_decoder(any_kind):
    collection, items = any_kind
    decoded = collection.decode(collection.codes)
    assert len(decoded) == len(collection.codes)
    one = next(iter(items.values())).payload
    if isinstance(one, str):
        words = {word.word for told in decoded for word in told}
        assert words <= set(collection.coder.featurizer.vocabulary)
        assert all(isinstance(word, ToldWord) and word.share > word.usual for word in decoded[0])
        return
    own = np.stack([items[item_id].payload for item_id in collection.ids()])
    assert decoded.dtype == one.dtype
    assert decoded.size == own.size
    error = np.square(decoded.reshape(own.shape) - own.astype(float)).mean()
    assert error <= 1.02 * np.square(own - own.mean(axis=0)).mean()
    assert (collection.decoder.held_errors >= 0).all()
