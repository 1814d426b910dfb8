"""Archives as sources: the same items as of folders, and nothing that a hostile one asks for."""

import bz2
import gzip
import io
import lzma
import os
import stat
import subprocess
import tarfile
import tracemalloc
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hashret.items import Item
from indexer import corpus
from indexer.corpus import Reading, Skipped
from indexer.corpus.files import Entry
from indexer.corpus.folders import archive_members, archives

TARS = [name for name in archive_members.TAR if not name.endswith("zst")]
TIME = 1_704_110_400  # 2024-01-01 12:00


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Documents are read in this process, since starting workers takes longest."""
    monkeypatch.setattr("hashret.workers.pool.AVAILABLE", False)


def found(path, kind="text", **how):
    return list(corpus.read([path], kind, Reading(**how)))


def classes(path, kind="text", **how):
    """Id -> class of what is skipped."""
    return {x.id: x.error_class for x in found(path, kind, **how) if isinstance(x, Skipped)}


def texts(path, **how):
    """Id -> text."""
    return {x.id: x.payload for x in found(path, **how) if isinstance(x, Item)}


def zipped(files, compression=zipfile.ZIP_DEFLATED):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 12, 0, 0)), content, compression)
    return data.getvalue()


def tarred(files, mode="w"):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), TIME
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def packed(files, suffix):
    if suffix == ".zip":
        return zipped(files)
    data = tarred(files)
    if suffix.endswith("gz"):
        return gzip.compress(data)
    if suffix.endswith("bz2"):
        return bz2.compress(data)
    return lzma.compress(data) if suffix.endswith("xz") else data


NAMES = st.lists(
    st.sampled_from(["a", "b.txt", "c.md", "é.txt", "x.bin", ".h", "d e"]), min_size=1, max_size=3
).map("/".join)
TREES = st.dictionaries(NAMES, st.sampled_from([b"words", b"", b"\xe9t\xe9", b"\0"]), max_size=6)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tree=TREES)
def test_a_folder_and_its_archive_have_the_same_items(tmp_path_factory, suffix, tree):
    root = tmp_path_factory.mktemp("tree")
    written = {}
    for name, content in sorted(tree.items()):
        if not any(name.startswith(f"{other}/") for other in written):
            (root / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "folder" / name).write_bytes(content)
            os.utime(root / "folder" / name, (TIME, TIME))
            written[name] = content
    (root / "folder").mkdir(exist_ok=True)
    archive = root / f"t{suffix}"
    archive.write_bytes(packed(written, suffix))
    prefix = f"t{suffix}/"
    plain = {x.id: x for x in found(root / "folder")}
    again = {x.id.removeprefix(prefix): x for x in found(archive)}
    assert plain.keys() == again.keys()
    for name, one in plain.items():
        other = again[name]
        assert other.id == prefix + name
        if isinstance(one, Skipped):
            assert (other.error_class, other.reason) == (one.error_class, one.reason)
        else:
            folder = f"{prefix}{one.metadata['folder']}".rstrip("/")
            assert other.payload == one.payload
            assert other.metadata == {**one.metadata, "folder": folder}
    assert [x.id for x in found(archive)] == [x.id for x in found(archive)]
    (root / "folder" / archive.name).write_bytes(archive.read_bytes())
    inside = {x.id for x in found(root / "folder")}
    assert inside == plain.keys() | {prefix + name for name in plain}


def test_images_in_archives_are_items_with_their_bytes(tmp_path):
    files = {"a.png": b"\x89PNG", "b.txt": b"words", "empty.jpg": b""}
    (tmp_path / "t.zip").write_bytes(zipped(files))
    image, *skipped = found(tmp_path / "t.zip", "image")
    assert (image.id, image.payload) == ("t.zip/a.png", b"\x89PNG")
    assert image.metadata == {"folder": "t.zip", "size": 4, "modified": "2024-01-01T12:00:00Z"}
    assert [x.error_class for x in skipped] == ["other-type", "empty-file"]
    assert corpus.count_kinds([tmp_path]) == {"image": 2, "text": 1}


@pytest.mark.parametrize("suffix", [".zip", *TARS])
def test_every_format_is_read_in_folders_and_by_itself(tmp_path, suffix):
    name = f"docs{suffix}".upper()
    (tmp_path / name).write_bytes(packed({"a/b.txt": b"words"}, suffix))
    assert texts(tmp_path) == texts(tmp_path / name) == {f"{name}/a/b.txt": "words"}


def test_zstandard(tmp_path):
    import pyarrow as pa

    with pa.CompressedOutputStream(str(tmp_path / "t.tar.zst"), "zstd") as stream:
        stream.write(tarred({"a.txt": b"words"}))
    assert texts(tmp_path) == {"t.tar.zst/a.txt": "words"}
    whole = (tmp_path / "t.tar.zst").read_bytes()
    (tmp_path / "t.tar.zst").write_bytes(whole[: len(whole) // 2])
    assert "damaged-archive" in classes(tmp_path).values()


def test_names_that_lead_out_are_named_and_not_read(tmp_path):
    names = ["/etc/a.txt", "../b.txt", "a/../../c.txt", "C:\\d.txt", "c:/e.txt", "..\\f.txt", "..."]
    files = dict.fromkeys([*names, "./good.txt", "a//b.txt", "..c.txt.txt"], b"words")
    for suffix in (".zip", ".tar"):
        path = tmp_path / f"t{suffix}"
        path.write_bytes(packed(files, suffix))
        unsafe = {x for x, name in classes(path).items() if name == "unsafe-name"}
        assert unsafe == {f"t{suffix}/{name}" for name in names[:6]}
        assert sorted(texts(path)) == [f"t{suffix}/a/b.txt", f"t{suffix}/good.txt"]


def test_links_and_devices_are_not_followed(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    with tarfile.open(tmp_path / "t.tar", "w") as archive:
        for name, kind in (
            ("sym.txt", tarfile.SYMTYPE),
            ("hard.txt", tarfile.LNKTYPE),
            ("pipe.txt", tarfile.FIFOTYPE),
            ("device.txt", tarfile.CHRTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(tmp_path / "secret.txt")
            archive.addfile(info)
    link, pipe = zipfile.ZipInfo("sym.txt"), zipfile.ZipInfo("pipe.txt")
    link.external_attr, pipe.external_attr = stat.S_IFLNK << 16, stat.S_IFIFO << 16
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        for info in (link, pipe):
            info.create_system = 3
            archive.writestr(info, str(tmp_path / "secret.txt"))
    assert classes(tmp_path / "t.tar") == {
        "t.tar/sym.txt": "symlink",
        "t.tar/hard.txt": "symlink",
        "t.tar/pipe.txt": "not-a-regular-file",
        "t.tar/device.txt": "not-a-regular-file",
    }
    assert classes(tmp_path / "t.zip") == {
        "t.zip/sym.txt": "symlink",
        "t.zip/pipe.txt": "not-a-regular-file",
    }


def test_encrypted_and_oddly_compressed_members_are_named(tmp_path):
    data = bytearray(zipped({"a.txt": b"words", "b.txt": b"words"}))
    at = data.rindex(b"PK\x01\x02")
    data[at + 8] |= 1  # of the second member: the flag of a password
    (tmp_path / "t.zip").write_bytes(data)
    assert texts(tmp_path / "t.zip") == {"t.zip/a.txt": "words"}
    assert classes(tmp_path / "t.zip") == {"t.zip/b.txt": "encrypted"}
    (tmp_path / "l.zip").write_bytes(zipped({"a.txt": b"words"}, zipfile.ZIP_LZMA))
    assert classes(tmp_path / "l.zip") == {"l.zip/a.txt": "other-type"}


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.xz"])
def test_what_unpacks_to_far_more_than_its_size_ends_its_archive(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(archive_members, "_SLACK", 1 << 20)
    zeros = bytes(3 << 20)
    files = {"a.txt": b"words"} | {f"{i}.txt": zeros for i in range(4)} | {"z.txt": b"words"}
    (tmp_path / f"t{suffix}").write_bytes(packed(files, suffix))
    (tmp_path / "u.txt").write_text("words")
    tracemalloc.start()
    assert texts(tmp_path) == {f"t{suffix}/a.txt": "words", "u.txt": "words"}
    assert classes(tmp_path)[f"t{suffix}"] == "bomb"
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_a_bomb_of_archives_in_one_another_has_one_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_members, "_SLACK", 4 << 20)
    inner = zipped({"zeros.txt": bytes(2 << 20)})
    (tmp_path / "t.zip").write_bytes(zipped({f"{i}.zip": inner for i in range(9)}))
    skipped = classes(tmp_path)
    assert skipped.pop("t.zip") == "bomb"
    assert len(skipped) < 4


def test_archives_in_one_another_are_read_to_a_depth(tmp_path):
    data = b"words"
    name = "a.txt"
    for i in range(5):
        data, name = (
            packed({name: data}, (".zip", ".tar.gz")[i % 2]),
            f"{i}{('.zip', '.tgz')[i % 2]}",
        )
    (tmp_path / name).write_bytes(data)
    assert classes(tmp_path) == {"4.zip/3.tgz/2.zip/1.tgz": "nested-too-deep"}
    (tmp_path / name).write_bytes(zipped({"x.tar": tarred({"y.zip": zipped({"a.txt": b"words"})})}))
    assert texts(tmp_path) == {"4.zip/x.tar/y.zip/a.txt": "words"}


def test_many_members_are_read_in_bounded_memory_and_too_many_refused(tmp_path, monkeypatch):
    header = tarred({"a.bin": b""})[:512]
    with (tmp_path / "t.tar").open("wb") as file:
        for _ in range(20):
            file.write(header * 1000)
        file.write(bytes(1024))
    tracemalloc.start()
    n = sum(1 for _ in archives.entries(tmp_path / "t.tar", Reading(), lambda path: 0))
    assert n == 20_000
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    monkeypatch.setattr(archive_members, "_MOST_MEMBERS", 500)
    monkeypatch.setattr(
        archive_members.Budget, "of", lambda size: archive_members.Budget(size, 500)
    )
    *members, last = archives.entries(tmp_path / "t.tar", Reading(), lambda path: 0)
    assert (len(members), last.error_class) == (500, "bomb")


def test_a_zip_with_a_directory_that_is_too_large_is_refused(tmp_path, monkeypatch):
    (tmp_path / "t.zip").write_bytes(zipped({f"{i}.txt": b"" for i in range(2000)}))
    monkeypatch.setattr(archive_members, "_MOST_DIRECTORY", 70_000)
    (skipped,) = found(tmp_path / "t.zip")
    assert skipped.error_class == "damaged-archive"
    assert "a directory of over 70,000 bytes" in skipped.reason


def test_headers_that_claim_much_get_no_memory(tmp_path):
    whole = tarred({"a.txt": b"words"})
    claims = tarfile.TarInfo("././@PaxHeader")
    claims.type, claims.size = tarfile.XHDTYPE, 1 << 26
    (tmp_path / "t.tar.gz").write_bytes(
        gzip.compress(whole[:1024] + claims.tobuf() + bytes(1 << 26))
    )
    (tmp_path / "u.tar.xz").write_bytes(lzma.compress(whole, preset=9)[:12] + b"\xff" * 50)
    tracemalloc.start()
    assert texts(tmp_path) == {"t.tar.gz/a.txt": "words"}
    assert set(classes(tmp_path).values()) == {"damaged-archive"}
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
def test_an_archive_cut_at_any_byte_keeps_what_came_before(tmp_path, suffix):
    files = {f"{i}.txt": f"words {i} ".encode() * 40 for i in range(4)}
    whole = packed(files, suffix)
    path = tmp_path / f"t{suffix}"
    truth = {f"t{suffix}/{name}": content.decode() for name, content in files.items()}
    step = max(1, len(whole) // 60)
    for end in range(0, len(whole), step):
        path.write_bytes(whole[:end])
        read = list(archives.entries(path, Reading(), lambda path: 1 << 20))
        good = {x.id: x.data.decode() for x in read if isinstance(x, Entry)}
        assert good.items() <= truth.items(), end
        assert list(good) == list(truth)[: len(good)]
        bad = [x for x in read if isinstance(x, Skipped)]
        assert len(bad) <= 1
        assert all(x.error_class == "damaged-archive" for x in bad)
        assert bad or good == truth, "nothing is lost silently"


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_damage_is_reported_and_costs_no_other_file(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("damaged")
    suffix = data.draw(st.sampled_from([".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz"]))
    files = {f"{i}.txt": f"words {i}".encode() for i in range(3)}
    whole = bytearray(packed(files, suffix))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    (root / f"t{suffix}").write_bytes(whole)
    (root / "u.txt").write_text("sound")
    *read, last = archives.entries(root, Reading(), lambda path: 1 << 20)
    assert last == Entry(root / "u.txt", "u.txt", 5, last.modified)
    assert len(read) <= 5


def test_patterns_and_hidden_names_hold_inside(tmp_path):
    files = ["a.txt", "b.md", "docs/c.txt", "docs/d.md", ".h/e.txt", ".h/f.txt", "docs/.g.txt"]
    (tmp_path / "t.zip").write_bytes(zipped(dict.fromkeys(files, b"words")))
    assert sorted(texts(tmp_path, exclude=("*.md",))) == ["t.zip/a.txt", "t.zip/docs/c.txt"]
    assert sorted(texts(tmp_path / "t.zip", include=("/docs",))) == [
        "t.zip/docs/c.txt",
        "t.zip/docs/d.md",
    ]
    assert classes(tmp_path) == {"t.zip/.h": "hidden", "t.zip/docs/.g.txt": "hidden"}
    assert len(texts(tmp_path, hidden=True)) == 7
    assert classes(tmp_path, exclude=("docs",))["t.zip/docs"] == "excluded"
    assert classes(tmp_path, exclude=("*.zip",)) == {"t.zip": "excluded"}


def test_documents_that_are_zips_are_no_archives(tmp_path):
    for name in ("a.docx", "b.epub", "c.odt", "d.gz", "e.csv.gz"):
        assert not archives.is_archive(name)


def test_times_that_a_zip_tells_in_utc_are_those(tmp_path):
    info = zipfile.ZipInfo("a.txt", (1999, 1, 1, 0, 0, 0))
    info.extra = b"\x55\x54\x05\x00\x01" + TIME.to_bytes(4, "little")
    odd = zipfile.ZipInfo("b.txt", (1980, 0, 0, 0, 0, 0))
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr(info, "words")
        archive.writestr(odd, "words")
    first, second = found(tmp_path / "t.zip")
    assert first.metadata["modified"] == "2024-01-01T12:00:00Z"
    assert "modified" not in second.metadata


@pytest.mark.skipif(os.name != "posix", reason="needs tar")
def test_what_gnu_tar_writes(tmp_path):
    long = "n" * 120 + "/" + "m" * 120 + ".txt"
    (tmp_path / "f" / long).parent.mkdir(parents=True)
    (tmp_path / "f" / long).write_text("words")
    subprocess.run(["tar", "-C", tmp_path / "f", "-czf", tmp_path / "t.tgz", "."], check=True)
    assert texts(tmp_path / "t.tgz") == {f"t.tgz/{long}": "words"}
