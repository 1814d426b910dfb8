import os

import numpy as np
import pytest

from hashret.errors import InputError, UnknownKindError
from hashret.items import Item
from indexer import corpus
from indexer.corpus import Reading, Skipped


def make(root, names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        # a NUL in a name stands for one in the file
        (root / name.replace("\0", "")).write_text("\0" if "\0" in name else "words")
    return root


def test_sources_come_in_the_order_given(tmp_path):
    make(tmp_path, ["b/2.txt", "b/1.txt", "a.txt"])
    (tmp_path / "c.jsonl").write_text('{"id": "x", "text": "words"}')
    paths = [tmp_path / "b", tmp_path / "c.jsonl", tmp_path / "a.txt"]
    assert [x.id for x in corpus.read(paths, "text")] == ["1.txt", "2.txt", "x", "a.txt"]


def test_one_file_goes_by_its_name(tmp_path):
    make(tmp_path, ["a.txt", "b.png"])
    (text,) = corpus.read([tmp_path / "a.txt"], "text")
    (image,) = corpus.read([tmp_path / "b.png"], "image")
    assert (text.id, text.payload) == ("a.txt", "words")
    assert (image.id, image.payload) == ("b.png", tmp_path / "b.png")
    for one in (text, image):
        assert one.metadata["folder"] == ""
        assert one.metadata["size"] == 5


def test_links_are_followed_where_the_user_names_them(tmp_path):
    make(tmp_path, ["folder/a.txt", "folder/b.png"])
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "link.txt").symlink_to("folder/a.txt")
    (tmp_path / "link.png").symlink_to("folder/b.png")
    assert "a.txt" in [x.id for x in corpus.read([tmp_path / "link"], "text")]
    assert [x.id for x in corpus.read([tmp_path / "link.txt"], "text")] == ["link.txt"]
    assert [type(x) for x in corpus.read([tmp_path / "link.png"], "image")] == [Item]


def test_the_collection_of_sources_must_be_readable(tmp_path):
    make(tmp_path, ["a.txt", "b.png"])
    (tmp_path / "a.xyz").write_bytes(b"\0\1")
    os.mkfifo(tmp_path / "pipe.jsonl")
    np.save(tmp_path / "c.npy", np.zeros((2, 2)))
    for name, kind, says in [
        ("none", "text", "No such file"),
        ("a.txt/b", "text", "Not a directory"),
        ("nul\0", "text", "null"),
        ("a.xyz", "text", r"unknown type '.xyz'"),
        ("pipe.jsonl", "text", "pipe"),
        ("b.png", "text", "--kind"),
        ("a.txt", "image", "--kind"),
        ("c.npy", "text", "--kind"),
        ("a.txt", "vector", "--kind"),
        (".", "vector", "folder"),
    ]:
        with pytest.raises(InputError, match=says):
            corpus.read([tmp_path / name], kind)
    with pytest.raises(
        UnknownKindError, match="expected one of text, image, vector, sequence, got 'sound'"
    ):
        corpus.read([tmp_path], "sound")


def test_a_table_that_is_damaged_from_its_first_byte(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(b"no gzip")
    (skipped,) = corpus.read([tmp_path / "t.csv.gz"], "text")
    assert skipped.error_class == "damaged-gzip"


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["a.txt"], "text"),
        (["a", "b/c", "d.HTML"], "text"),
        (["a.JPG", "b/c.png", "d.csv"], "image"),
        (["README", "a.png", "b.png", "c.gif"], "image"),
        (["a.md", "b.md", "c.md", "images/d.png", ".hidden.png", "x.pkl"], "text"),
        (["a.xyz", "b.de"], "text"),
        (["a.png", "b.xmp", "c.xmp", "d.xmp"], "image"),
        (["a.png", "b.jpg", "c.gif", "d.tif", "notes.txt", "e.yaml"], "image"),
        (["a.py", "b.go", "c.tex", "README.de", "logo.png"], "text"),
        (["mail.mbox"], "text"),
        (["a.xyz", "\0.bin", "t.csv"], "text"),
    ],
)
def test_the_kind_of_a_folder(tmp_path, names, kind):
    assert corpus.infer_kind([make(tmp_path, names)]) == kind


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("t.jsonl", '{"text": "a", "path": "b.png"}', "text"),
        ("t.jsonl", '{"path": "b.txt"}', "text"),
        ("t.jsonl", '{"path": "b.png"}\n{"path": "c.JPG"}\nbroken', "image"),
        ("t.csv", "path,label\na.png,1\n", "image"),
        ("t.csv", "text\nwords\n", "text"),
        ("a.txt", "words", "text"),
        ("a.tiff", "", "image"),
    ],
)
def test_the_kind_of_a_file(tmp_path, name, content, kind):
    (tmp_path / name).write_text(content)
    assert corpus.infer_kind([tmp_path / name]) == kind


def test_the_kind_of_arrays(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    np.save(tmp_path / "b.npy", np.zeros((2, 3, 4), np.uint8))
    np.save(tmp_path / "c.npy", np.zeros(2))
    assert corpus.infer_kind([tmp_path / "a.npy", tmp_path / "a.npy"]) == "vector"
    assert corpus.infer_kind([tmp_path / "b.npy"]) == "image"
    with pytest.raises(InputError):
        corpus.infer_kind([tmp_path / "c.npy"])


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["a.txt", "b.png"], "--kind text, image, vector or sequence"),
        (["a.txt", "b.txt", "c.png", "d.png"], "--kind text, image, vector or sequence"),
        ([], "got nothing"),
        (["a\0.xyz"], "got 1 .xyz"),
        (
            ["a\0.xyz", "b/c\0.XYZ", "d\0.exe", ".e"],
            "got 2 .xyz, 1 hidden, 1 .exe; name a folder with",
        ),
        (["t.npy"], "got 1 .npy; name a table or an array itself, as t.npy"),
        (["catalog.sqlite", "segments/c.npy"], "got a collection of hashret; name the source"),
    ],
)
def test_a_kind_that_is_not_clear_is_asked_for(tmp_path, names, says):
    with pytest.raises(InputError, match=says):
        corpus.infer_kind([make(tmp_path, names)])


def test_kinds_that_do_not_go_together(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    make(tmp_path, ["t/a.txt", "t/b.txt", "t/c.txt"])
    with pytest.raises(InputError, match="expected files of one kind"):
        corpus.infer_kind([tmp_path / "a.npy", tmp_path / "t"])
    with pytest.raises(InputError, match="got nothing"):
        corpus.infer_kind([])
    with pytest.raises(InputError, match="No such file"):
        corpus.infer_kind([tmp_path / "none"])


def test_a_prefix_tells_sources_apart(tmp_path):
    make(tmp_path, ["a/index.md", "b/index.md"])
    paths = [tmp_path / "a", tmp_path / "b"]
    assert [x.id for x in corpus.read(paths, "text")] == ["index.md"] * 2
    named = corpus.read(paths, "text", Reading(id_prefix="{name}/"))
    assert [x.id for x in named] == ["a/index.md", "b/index.md"]
    (whole, _) = corpus.read(paths, "text", Reading(id_prefix="x:{path}/"))
    assert whole.id == f"x:{tmp_path.as_posix()}/a/index.md"


def test_links_are_followed_where_that_is_said(tmp_path):
    # as Kubernetes mounts a ConfigMap, with a loop and links that lead nowhere beside it
    make(tmp_path, ["m/..2024_01/a.md", "m/..2024_01/b.txt", "out/c.txt"])
    folder = tmp_path / "m"
    (folder / "..data").symlink_to("..2024_01")
    for name in ("a.md", "b.txt"):
        (folder / name).symlink_to(f"..data/{name}")
    (folder / "nowhere.txt").symlink_to("none")
    (folder / "out").symlink_to("../out")
    (folder / "self").symlink_to(".")
    with pytest.raises(InputError, match="got 5 symlink, 2 hidden; follow symbolic links with"):
        corpus.infer_kind([folder])
    assert not [x for x in corpus.read([folder], "text") if isinstance(x, Item)]
    how = Reading(follow_links=True)
    assert corpus.infer_kind([folder], how) == "text"
    found = list(corpus.read([folder], "text", how))
    assert [x.id for x in found if isinstance(x, Item)] == ["a.md", "b.txt", "out/c.txt"]
    classes = {x.id: x.error_class for x in found if isinstance(x, Skipped)}
    assert classes == {
        "..2024_01": "hidden",
        "..data": "hidden",
        "nowhere.txt": "missing-file",
        "self": "symlink",
    }
