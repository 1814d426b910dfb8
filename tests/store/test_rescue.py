"""What of a damaged records file is rescued: nothing that is not known to be as it was."""

import shutil

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret import Collection
from hashret.errors import DamagedError
from hashret.items import Item
from hashret.store.catalog.opening import open_catalog
from hashret.store.disk.files import BLOCK, DIGEST, FileRecord, small_blocks, write_file
from hashret.store.layout import Layout
from hashret.store.repair import plan as repair
from hashret.store.repair.rescue import readable
from hashret.store.repair.verify import examine
from hashret.store.segments.records import Records
from hashret.store.segments.stored_items import StoredItems
from indexer import Indexer
from tests.torture.bases import items_of, quick

N = 60
UNKNOWN = bytes(DIGEST)


@pytest.fixture(scope="module", params=["text", "texts not stored", "pending vectors"])
def base(request, tmp_path_factory):
    """A collection of one small segment, one row of which is removed."""
    path = tmp_path_factory.mktemp("sound") / "c"
    if request.param == "pending vectors":
        items = items_of("vector", N)
        with Indexer(path, "vector", workers=1) as indexer:
            indexer.add(items)
            indexer.commit()
    else:
        items = [Item(i.id, i.payload, dict(i.metadata)) for i in items_of("text", N)]
        with Indexer(path, "text", store_text=request.param == "text") as indexer:
            indexer.fit(items, quick("text"))
            indexer.add(items)
            indexer.commit()
    with Indexer(path) as indexer:
        indexer.remove(items[7].id)
        indexer.commit()
    return path


@pytest.fixture
def place(base, tmp_path):
    """A copy of the collection, its segment, and its sound records by row."""
    path = shutil.copytree(base, tmp_path / "c")
    with open_catalog(Layout.find(path)) as catalog:
        (segment,) = catalog.segments(2)
    found, lost = readable(Layout.find(path), segment)
    assert (len(found), lost) == (N - 1, {})
    return path, segment, found


def rescued(place):
    """What is rescued and what is lost; every item is one of both, and nothing is made up."""
    path, segment, sound = place
    found, lost = readable(Layout.find(path), segment)
    assert found.keys() | lost.keys() == sound.keys()
    assert not found.keys() & lost.keys()
    for row, item in found.items():
        was = sound[row]
        assert (item.id, item.metadata, item.preview) == (was.id, was.metadata, was.preview)
        assert item.digest in (was.digest, UNKNOWN)
        assert item.payload == was.payload
    for row, name in lost.items():
        assert name in (sound[row].id, f"(row {row}, whose id cannot be read)")
    return found, lost


def blocks_of(place):
    path, segment, _ = place
    file = path / "segments" / segment.records.name
    whole = file.read_bytes()
    assert segment.records.block == 512
    assert len(whole) < BLOCK
    for at in range(0, len(whole), 512):
        yield file, whole, at, min(at + 512, len(whole))


@pytest.mark.parametrize("how", ["a byte", "zeros"])
def test_each_damaged_block_of_a_small_file_costs_its_own_items_alone(place, how):
    losses = []
    for file, whole, start, stop in blocks_of(place):
        middle = (start + stop) // 2
        hurt = bytes([whole[middle] ^ 4]) if how == "a byte" else bytes(stop - start)
        at = middle if how == "a byte" else start
        file.write_bytes(whole[:at] + hurt + whole[at + len(hurt) :])
        losses.append(len(rescued(place)[1]))
    # all are lost with what says where the columns are, up to 1.5 KiB before them, and may be with
    # the numbers of years, or the offsets of texts, of all of which 512 bytes hold as many
    assert losses.count(N - 1) <= 6
    assert sum(losses) <= len(losses) * N / 3, losses
    assert sorted(losses)[len(losses) // 2] <= N // 10, losses


def test_what_is_rescued_of_a_damaged_block_stands_in_the_repaired_collection(place):
    path, segment, sound = place
    with Collection.open(path) as collection:
        before = {item.id: (item.code, item.metadata, item.text) for item in collection.items()}
    file = path / "segments" / segment.records.name
    whole = bytearray(file.read_bytes())
    digests = bytes(whole).index(sound[20].digest)
    whole[digests] ^= 1
    whole[bytes(whole).index(sound[30].id.encode())] ^= 1
    file.write_bytes(whole)
    assert repair.apply(Layout.find(path)).lost_ids == ["(row 30, whose id cannot be read)"]
    assert examine(Layout.find(path)).is_sound
    with Collection.open(path) as collection:
        found = {item.id: (item.code, item.metadata, item.text) for item in collection.items()}
    assert before.pop(sound[30].id)
    assert found == before
    with Indexer(path, workers=1) as indexer:
        items = items_of(indexer.kind, N)
        indexer.add(items)  # an item whose digest is lost counts as changed
        assert indexer.tally.unchanged < N - 3
        indexer.commit()
    with Collection.open(path) as collection:
        assert {item.id for item in collection.items()} == {item.id for item in items}


def test_without_a_footer_everything_is_there(place):
    path, segment, sound = place
    file = path / "segments" / segment.records.name
    whole = file.read_bytes()
    file.write_bytes(whole[:-40] + bytes(40))
    with pytest.raises(DamagedError):
        StoredItems(Layout.find(path), [segment]).id(0)
    assert rescued(place) == (sound, {})


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_a_file_by_its_beginning_is_never_more_than_it_is(base, data):
    """Whatever the bytes before the columns are: damage, or what the footer says too."""
    with open_catalog(Layout.find(base)) as catalog:
        (segment,) = catalog.segments(2)
    source = base / "segments" / segment.records.name
    whole = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        whole[data.draw(st.integers(0, 1500))] = data.draw(st.integers(0, 255))
    place = base.parent / "other.arrow"
    record = write_file(place, [bytes(whole[: data.draw(st.integers(0, len(whole)))])])
    try:
        records = Records.open(place, record, segment.n_rows, streamed=True)
        for row in range(segment.n_rows):
            records.record(row)
    except DamagedError:
        pass


@given(st.integers(0, 1 << 30), st.sampled_from([512 << n for n in range(8)]))
def test_the_size_of_a_block_is_known_by_how_many_there_are(size, block):
    blocks = bytes(DIGEST * -(-size // block)) if size < 1 << 22 else b""
    record = FileRecord("f", size, "", blocks)
    assert -(-size // record.block) == len(blocks) // DIGEST or not blocks
    assert record.block == block or size <= block or not blocks
    small = small_blocks(size)
    assert 512 <= small <= BLOCK
    assert size <= 128 * small or small == BLOCK
    assert small == 512 or size > 64 * small


@pytest.mark.parametrize("streamed", [False, True])
def test_a_file_that_begins_with_a_dictionary_is_damaged(place, tmp_path, streamed):
    path, segment, _ = place
    with pa.ipc.open_file(path / "segments" / segment.records.name) as reader:
        batch = reader.get_batch(0)
    ids = batch.schema.get_field_index("id")
    batch = batch.set_column(ids, "id", batch.column("id").dictionary_encode())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    data = sink.getvalue().to_pybytes()
    record = write_file(tmp_path / "records.arrow", [data], small_blocks(len(data)))
    with pytest.raises(DamagedError):
        Records.open(tmp_path / "records.arrow", record, segment.n_rows, streamed=streamed)
