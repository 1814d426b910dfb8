"""Every preset of every kind has a decoder, and what it says looks like items of that kind."""

import numpy as np

from hashret.told import ToldWord


def test_every_preset_has_a_decoder(any_kind):
    collection, items = any_kind
    decoded = collection.decode(collection.codes)
    assert len(decoded) == len(collection.codes)
    assert (collection.decoder.held_errors >= 0).all()
    if collection.decoder.spec.outputs == "words":
        words = {word.word for told in decoded for word in told}
        assert words <= set(collection.coder.featurizer.vocabulary)
        assert all(isinstance(word, ToldWord) and word.share > word.usual for word in decoded[0])
        return
    own = [np.asarray(items[item_id].payload) for item_id in collection.ids()]
    if collection.decoder.spec.outputs == "steps":
        assert {one.dtype for one in decoded} == {np.dtype(np.float32)}
        assert {one.shape[1:] for one in decoded} == {one.shape[1:] for one in own}
        longest = max(len(one) for one in own)
        assert all(1 <= len(one) <= longest for one in decoded)
        return
    assert decoded.dtype == own[0].dtype
    error = np.square(decoded.reshape(np.shape(own)) - np.stack(own).astype(float)).mean()
    assert error <= 1.02 * np.square(own - np.mean(own, axis=0)).mean()


def test_a_decoder_tells_more_than_what_is_usual(any_kind):
    collection, items = any_kind
    coder, ids = collection.coder, collection.ids()
    features, _ = coder.features([coder.prepare(items[item_id].payload) for item_id in ids])
    errors = collection.decoder.errors(collection.codes, features)
    usual = collection.decoder.usual_errors(features)
    assert (errors.shape, usual.shape) == ((len(ids),), (len(ids),))
    assert errors.mean() <= 1.02 * usual.mean()
