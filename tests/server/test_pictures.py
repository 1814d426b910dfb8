"""Pictures over HTTP: uploads are decoded in workers, thumbnails and originals are shown."""

import os
import shutil
import sqlite3
from contextlib import closing, contextmanager
from io import BytesIO

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from hashret import Collection, Item
from hashret.as_json import hit_json
from hashret.collection import verified
from hashret.insight.explain import explain
from hashret.server import uploads
from hashret.server.app import create_app
from hashret.server.guard import MOST_PICTURE_BYTES, Guard
from hashret.server.uploads import Decoder
from hashret.store.layout import Layout
from hashret.store.repair.plan import apply
from hashret.workers.pool import Limits as WorkerLimits
from indexer import Indexer
from indexer.cli import main
from tests.server.conftest import asking

JPEG = {"content-type": "image/jpeg"}


def picture(seed, form="PNG", size=(48, 64)):
    rng = np.random.default_rng(seed)
    blocks = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
    stream = BytesIO()
    blocks.resize(size[::-1], Image.Resampling.BICUBIC).save(stream, form)
    return stream.getvalue()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of photos, and the collection `photos` that was indexed from it."""
    base = tmp_path_factory.mktemp("photos")
    source = base / "source"
    (source / "sub").mkdir(parents=True)
    for n in range(10):
        (source / ("sub" if n % 2 else ".") / f"{n}.png").write_bytes(picture(n))
    (base / "outside.png").write_bytes(picture(99))
    how = ["--preset", "dense", "--bits", "16", "--quiet"]
    to = str(base / "photos")
    done = CliRunner().invoke(main, ["index", str(source), "--to", to, *how])
    assert done.exit_code == 0, done.output
    return base


@pytest.fixture(scope="module")
def client(photos):
    with asking(photos, "photos", shows_originals=True) as client:
        yield client


def test_a_picture_is_answered_as_by_the_library(client, photos):
    data = picture(3)
    with Collection.open(photos / "photos") as collection:
        for how in ({"k": 4}, {"k": 3, "rerank": 8}, {"radius": 9}):
            ask = collection.within if "radius" in how else collection.query
            found = ask(data, **how)
            answer = client.post("/v1/query/image", params=how, content=data, headers=JPEG)
            assert answer.status_code == 200, answer.text
            assert answer.json()["hits"] == [hit_json(hit) for hit in found]
            assert answer.json()["hits"][0]["id"] == "sub/3.png"
        params = {"include": ["code"], "k": 1}
        told = client.post("/v1/query/image", params=params, content=data, headers=JPEG).json()
        assert told["code"] == collection.coder.encode([data]).codes.hex(0)


def test_a_picture_is_explained_as_by_the_library(client, photos):
    data, params = picture(3), {"item": "4.png"}
    answer = client.post("/v1/explain/image", params=params, content=data, headers=JPEG)
    assert answer.status_code == 200, answer.text
    with Collection.open(photos / "photos") as collection:
        found = explain(collection, item_id="4.png", payload=data).to_json()
        assert answer.json() == {"collection": "photos", "commit": 1} | found
    assert answer.json()["query"]["parts"]
    params = {"item": "no.png"}
    answer = client.post("/v1/explain/image", params=params, content=data, headers=JPEG)
    assert answer.status_code == 404
    assert client.post("/v1/explain/image", content=data, headers=JPEG).status_code == 422


@pytest.mark.parametrize(
    ("content", "kind", "status", "said"),
    [
        (b"no picture", "image/png", 422, "image: expected one of JPEG, PNG"),
        (b"", "image/png", 422, "image: expected one of"),
        (picture(0)[:200], "image/png", 422, "image: expected one of"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", 422, "image: expected one"),
        (picture(0), "application/json", 415, "Content-Type: expected an image type"),
        (picture(0), "imageX/png", 415, "Content-Type"),
        (picture(0), "multipart/form-data; boundary=x", 415, "Content-Type"),
        (b" " * (MOST_PICTURE_BYTES + 1), "image/png", 413, "body: expected at most 33,554,432"),
        (iter([b" " * MOST_PICTURE_BYTES, b" "]), "image/png", 413, "body: expected at most"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_reason(client, content, kind, status, said):
    answer = client.post("/v1/query/image", content=content, headers={"content-type": kind})
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text


def test_too_many_pixels_are_refused(client):
    stream = BytesIO()
    Image.new("1", (9000, 9000)).save(stream, "PNG")
    answer = client.post("/v1/query/image", content=stream.getvalue(), headers=JPEG)
    assert answer.status_code == 422
    assert "expected at most 64000000 pixels" in answer.json()["detail"]


def test_a_picture_for_texts_or_by_bad_options_is_refused(folder):
    with asking(folder, "texts", "images") as client:
        for params, status, said in (
            ({"collection": "texts"}, 422, "image: expected a question about text items"),
            ({"collection": "none"}, 404, "collection: expected one of"),
            ({"collection": "images", "where": "year >"}, 422, "where: column 7"),
            ({"collection": "images", "k": 0}, 422, "k: "),
            ({"collection": "images", "other": 1}, 422, "other: "),
        ):
            answer = client.post("/v1/query/image", params=params, content=picture(0), headers=JPEG)
            assert (answer.status_code, said in answer.json()["detail"]) == (status, True)


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("kill", "SIGKILL in the decoder"),
        ("segfault", "SIGSEGV in the decoder"),
        ("hang", "expected to be read in 1 s"),
        ("bloat", "expected to need at most"),
    ],
)
def test_a_picture_that_kills_its_decoder_is_refused_and_the_server_lives_on(
    photos, monkeypatch, does, said
):
    """The decoder stands for one that a file takes over; the next picture gets a new one."""
    limits = WorkerLimits(memory_bytes=1 << 30, seconds=1.0)
    made = []
    monkeypatch.setattr(
        "hashret.server.service.Decoder",
        lambda: made.append(Decoder(limits, "tests.server.hostile:images")) or made[-1],
    )
    with asking(photos, "photos") as client:
        for content, status in ((f"HOSTILE {does}".encode(), 422), (picture(3), 200)):
            answer = client.post("/v1/query/image", content=content, headers=JPEG)
            assert answer.status_code == status, answer.text
            if status == 422:
                assert said in answer.json()["detail"]
        assert answer.json()["hits"][0]["id"] == "sub/3.png"


def test_more_pictures_than_can_wait_are_refused(photos, monkeypatch):
    monkeypatch.setattr(uploads, "_WAITING", 0)
    with asking(photos, "photos") as client:
        answer = client.post("/v1/query/image", content=picture(0), headers=JPEG)
    assert (answer.status_code, "waiting pictures" in answer.text) == (503, True)


def test_bodies_of_all_requests_are_bounded_together(photos, monkeypatch):
    monkeypatch.setattr("hashret.server.guard._MOST_HELD", 1000)
    with asking(photos, "photos") as client:
        for _ in range(3):  # what one request held is given back
            answer = client.post("/v1/query/image", content=picture(0), headers=JPEG)
            assert (answer.status_code, "large bodies" in answer.text) == (503, True)
            answer = client.post("/v1/query/image", content=b"x" * 900, headers=JPEG)
            assert answer.status_code == 422


def test_thumbnails(client, photos, folder):
    with Collection.open(photos / "photos") as collection:
        answer = client.get("/v1/thumbnail/sub/3.png")
        assert answer.content == collection.thumbnail("sub/3.png")
    assert answer.headers["content-type"] == "image/webp"
    assert client.get("/v1/thumbnail/nobody").status_code == 404
    with asking(folder, "texts") as texts:
        answer = texts.get("/v1/thumbnail/notes/sea-000")
        assert (answer.status_code, "keeps them" in answer.json()["detail"]) == (404, True)


def test_an_original_is_decoded_and_written_anew(client):
    answer = client.get("/v1/original/sub/3.png")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    shown, given = (Image.open(BytesIO(data)) for data in (answer.content, picture(3)))
    assert (shown.format, shown.size) == ("JPEG", given.size)
    difference = np.asarray(shown, int) - np.asarray(given, int)
    assert np.abs(difference).mean() < 8


def test_where_the_file_changed_or_went_there_is_no_original(photos, client):
    path = photos / "source" / "4.png"
    before = path.read_bytes()
    try:
        path.write_bytes(picture(55))
        answer = client.get("/v1/original/4.png")
        assert (answer.status_code, "as it was indexed" in answer.text) == (404, True)
        assert str(photos) not in answer.text
        path.unlink()
        assert client.get("/v1/original/4.png").status_code == 404
        path.symlink_to(photos / "outside.png")
        assert client.get("/v1/original/4.png").status_code == 404
        path.unlink()
        os.mkfifo(path)
        assert client.get("/v1/original/4.png").status_code == 404
    finally:
        path.unlink()
        path.write_bytes(before)
    assert client.get("/v1/original/4.png").status_code == 200


@contextmanager
def with_items(photos, tmp_path, *names):
    """A client of a collection whose items have these ids, and a folder recorded that has them."""
    from hashret.store.catalog.records import SourceFolder

    with Indexer(
        tmp_path / "c", "image", folders=[SourceFolder(str(photos / "source"))]
    ) as indexer:
        indexer.add([Item(name, picture(99)) for name in names])
        indexer.commit()
    with asking(tmp_path, "c", shows_originals=True) as client:
        yield client


def test_no_id_leads_out_of_the_folder(photos, tmp_path):
    """Also where the file there is the very picture: items that a stranger named so."""
    link, inside = photos / "source" / "link.png", photos / "source" / "inside.png"
    link.symlink_to(photos / "outside.png")
    inside.write_bytes(picture(99))
    try:
        absolute = str(photos / "outside.png")
        names = ["../outside.png", absolute, "link.png", "sub/../../outside.png", "inside.png"]
        with with_items(photos, tmp_path, *names) as client:
            for name in names[:-1]:
                answer = client.get(f"/v1/original/{name.replace('..', '%2e%2e')}")
                assert (answer.status_code, "indexed" in answer.text) == (404, True), name
            assert client.get("/v1/original/inside.png").status_code == 200
    finally:
        link.unlink()
        inside.unlink()


def test_originals_are_shown_only_where_told_and_stats_say_so(photos, client, folder):
    told = client.get("/v1/stats").json()["collections"]["photos"]
    assert (told["has_thumbnails"], told["has_originals"]) == (True, True)
    assert str(photos) not in client.get("/v1/stats").text
    with asking(photos, "photos") as other:
        assert other.get("/v1/original/sub/3.png").status_code == 404
        assert not other.get("/v1/stats").json()["collections"]["photos"]["has_originals"]
    with asking(folder, "texts", "images", shows_originals=True) as other:
        stats = other.get("/v1/stats").json()["collections"]
        assert {one: facts["has_thumbnails"] for one, facts in stats.items()} == {
            "texts": False,
            "images": True,
        }
        assert not any(facts["has_originals"] for facts in stats.values())
        answer = other.get("/v1/original/3", params={"collection": "images"})
        assert (answer.status_code, "none recorded" in answer.text) == (404, True)


@pytest.mark.parametrize(
    ("options", "shows"),
    [
        ([], True),
        (["--no-originals"], False),
        (["--allow-host", "photos.example"], False),
        (["--allow-host", "photos.example", "--originals"], True),
        (["--host", "0.0.0.0", "--token", "t"], False),  # noqa: S104
        (["--host", "0.0.0.0", "--token", "t", "--originals"], True),  # noqa: S104
    ],
)
def test_the_command_shows_them_where_this_machine_alone_can_ask(
    photos, monkeypatch, options, shows
):
    said = []

    def app(*given, shows_originals, **how):
        said.append(shows_originals)
        return create_app(*given, shows_originals=shows_originals, **how)

    monkeypatch.setattr("hashret.server.app.create_app", app)
    monkeypatch.setattr("hashret.server.run.serve", lambda app, *_: isinstance(app, Guard))
    done = CliRunner().invoke(main, ["serve", str(photos / "photos"), *options])
    assert (done.exit_code, said) == (0, [shows]), done.output


def test_the_folder_is_recorded_and_info_shows_it(photos, tmp_path):
    done = CliRunner().invoke(main, ["info", str(photos / "photos")])
    assert f"folders    {photos / 'source'}" in done.output
    source = photos / "source"
    to = tmp_path / "c"
    how = ["--preset", "dense", "--bits", "16", "--quiet", "--id-prefix", "{name}/"]
    done = CliRunner().invoke(main, ["index", str(source), "--to", str(to), *how])
    assert done.exit_code == 0, done.output
    with Collection.open(to) as collection:
        assert collection.info()["folders"] == [str(source)]
        assert collection.snapshot.original("source/sub/3.png") == picture(3)


def test_damage_of_what_is_said_of_folders_is_found_and_repaired(photos, tmp_path):
    """The collection is answered from all the same, without originals."""
    path = shutil.copytree(photos / "photos", tmp_path / "c")
    with closing(sqlite3.connect(path / "catalog.sqlite")) as connection:
        connection.execute("UPDATE meta SET value = value || ' ' || 1 WHERE key = 'folders'")
        connection.commit()
    assert ["folders" in one.what for one in verified(path).damages] == [True]
    with Collection.open(path) as collection:
        assert (len(collection), collection.info()["folders"]) == (10, [])
    apply(Layout.find(path))
    assert verified(path).is_sound
    with Collection.open(path) as collection:
        assert len(collection) == 10
