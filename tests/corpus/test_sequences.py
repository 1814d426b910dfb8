"""Files of sequences: arrays, tables of steps or of sequences, lines of tokens, folders of these."""

import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.errors import InputError
from hashret.items import Item
from indexer import corpus
from indexer.corpus import ERROR_CLASSES, Reading, Skipped
from indexer.corpus.sequences import by_series


def read(path, **how):
    found = list(corpus.read([path], "sequence", Reading(**how)))
    assert all(one.error_class in ERROR_CLASSES for one in found if isinstance(one, Skipped))
    return found


def items(path, **how):
    """The items by id: payload as a list, metadata without what files tell of themselves."""
    told = {}
    for one in read(path, **how):
        assert isinstance(one, Item), one
        payload = one.payload.tolist() if isinstance(one.payload, np.ndarray) else one.payload
        fields = {k: v for k, v in one.metadata.items() if k not in ("folder", "size", "modified")}
        told[one.id] = (payload, fields)
    return told


def skipped(path, **how):
    return {s.id: s.error_class for s in read(path, **how) if isinstance(s, Skipped)}


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_each_array_of_an_npz_is_a_series_with_its_labels(tmp_path):
    path = tmp_path / "a.npz"
    ragged = {"run1": np.ones((3, 2)), "run2": np.zeros((1, 2))}
    np.savez(path, **ragged, label=np.array(["up", "down"]), odd=np.arange(5))
    assert skipped(path) == {"odd": "bad-payload"}
    found = [one for one in read(path) if isinstance(one, Item)]
    assert [(x.id, x.metadata) for x in found] == [
        ("run1", {"steps": 3, "label": "up"}),
        ("run2", {"steps": 1, "label": "down"}),
    ]
    np.savez(path, **ragged, ids=np.array(["p", "q"]))
    assert list(items(path)) == ["p", "q"]
    np.savez(path, one=np.arange(3), two=np.array(["a", "b"]), zero=np.empty(0))
    assert items(path) == {
        "one": ([0, 1, 2], {"steps": 3}),
        "two": (["a", "b"], {"steps": 2}),
        "zero": ([], {"steps": 0}),  # the featurizer refuses it
    }


def test_an_array_of_three_dimensions_holds_a_series_a_row(tmp_path):
    cube = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    np.savez(tmp_path / "c.npz", X=cube, y=np.array([0, 1, 0]))
    assert items(tmp_path / "c.npz") == {
        str(i): (cube[i].tolist(), {"y": y}) for i, y in enumerate([0, 1, 0])
    }
    np.save(tmp_path / "c.npy", cube)
    (tmp_path / "c.ids.txt").write_text("a\nb\nc\n")
    assert list(items(tmp_path / "c.npy")) == ["a", "b", "c"]
    np.save(tmp_path / "one.npy", cube[0])
    assert items(tmp_path / "one.npy") == {"one.npy": (cube[0].tolist(), {"steps": 4})}


def test_too_large_and_damaged_arrays_are_skipped(tmp_path, monkeypatch):
    monkeypatch.setattr("indexer.corpus.sequences.in_arrays.MOST_NUMBERS", 10)
    np.savez(tmp_path / "a.npz", large=np.zeros((6, 2)), sound=np.zeros((5, 2)))
    assert skipped(tmp_path / "a.npz") == {"large": "too-large"}
    np.save(tmp_path / "b.npy", np.zeros(5))
    whole = (tmp_path / "b.npy").read_bytes()
    (tmp_path / "b.npy").write_bytes(whole[:-8])
    assert skipped(tmp_path / "b.npy") == {"b.npy": "damaged-array"}


steps_of_ids = st.lists(
    st.tuples(st.sampled_from("ABC"), st.integers(0, 9), st.integers(0, 9)), min_size=1
)


@given(steps_of_ids)
def test_rows_of_a_series_id_are_its_steps_in_their_order_wherever_they_stand(
    tmp_path_factory, rows
):
    folder = tmp_path_factory.mktemp("s")
    lines = [f"{one},{x},{y},label {one}" for one, x, y in rows]
    path = written(folder / "t.csv", "\n".join(["run,x,y,label", *lines]) + "\n")
    expected = {}
    for one, x, y in rows:
        expected.setdefault(one, []).append([x, y])
    assert items(path, series_id="run", values=("x", "y")) == {
        one: (values, {"steps": len(values), "label": f"label {one}"})
        for one, values in expected.items()
    }
    as_json = [json.dumps({"run": one, "event": f"{x}-{y}"}) for one, x, y in rows]
    path = written(folder / "t.jsonl", "\n".join(as_json))
    assert items(path, series_id="run") == {
        one: ([f"{x}-{y}" for x, y in values], {"steps": len(values)})
        for one, values in expected.items()
    }


def test_columns_that_vary_in_some_series_are_metadata_of_none(tmp_path):
    path = written(tmp_path / "t.csv", "run,time,x,place\nA,0,1,a\nA,1,2,a\nB,0,3,b\n")
    assert items(path, series_id="run", values=("x",)) == {
        "A": ([[1.0], [2.0]], {"steps": 2, "place": "a"}),
        "B": ([[3.0]], {"steps": 1, "place": "b"}),
    }


def test_a_row_that_can_not_be_used_costs_its_series_and_says_where(tmp_path):
    text = "run,x,y\nA,1,2\nB,1,\nC,1,2\nB,1,2\nC,n/a,1\n,1,2\nD,1\nE,nan,2\n"
    path = written(tmp_path / "t.csv", text)
    found = {s.id: s for s in read(path, series_id="run", values=("x", "y"))}
    assert [i for i, one in found.items() if isinstance(one, Item)] == ["A", "E"]
    assert found["B"].reason == "line 3: expected a number in 'y', got nothing"
    assert found["C"].reason == "line 6: expected a number in 'x', got 'n/a'"
    assert found["t.csv:7"].error_class == "bad-id"
    assert found["t.csv:8"].error_class == "bad-csv"


def test_values_that_look_like_numbers_are_tokens_where_told(tmp_path):
    path = written(tmp_path / "t.csv", "user,item\nu,007\nu,12\nv,3\n")
    assert items(path, series_id="user")["u"][0] == [[7.0], [12.0]]
    assert items(path, series_id="user", as_tokens=True)["u"][0] == ["007", "12"]
    path = written(tmp_path / "w.csv", "user,item\nu,007\nu,x12\nv,3\n")
    assert items(path, series_id="user")["u"][0] == ["007", "x12"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, "--series-id, where each row is a step"),
        ({"series_id": "nope"}, "expected the id of a series in 'nope', got 'run', 'x', 'y'"),
        ({"series_id": "run"}, "got x, y; name them, as --values x,y"),
        ({"series_id": "run", "values": ("x", "z")}, "got no z among x, y"),
        (
            {"series_id": "run", "values": ("x", "y"), "as_tokens": True},
            "expected one column of tokens, got x, y",
        ),
        ({"values": ("x",)}, "--values: expected --series-id beside it"),
        ({"series_id": "run", "id_field": "x"}, "--id-field: expected none with --series-id"),
        ({"series_id": "run", "text_fields": ("x",)}, "--text-field: expected none with"),
        ({"text_fields": ("x", "y")}, "--text-field: expected one column for sequences, got x, y"),
    ],
)
def test_which_columns_are_meant_must_be_clear(tmp_path, how, said):
    path = written(tmp_path / "t.csv", "run,x,y\nA,1,2\n")
    with pytest.raises(InputError) as caught:
        read(path, **how)
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_series_id_is_of_sequences_only(tmp_path, kind):
    path = written(tmp_path / "t.csv", "run,text\nA,1\n")
    with pytest.raises(InputError, match="--series-id: expected sequences"):
        list(corpus.read([path], kind, Reading(series_id="run")))


def test_a_table_of_more_values_than_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(by_series, "MAX_VALUES", 3)
    path = written(tmp_path / "t.csv", "run,x\n" + "A,1\n" * 4)
    with pytest.raises(InputError, match="at most 3 values in a table of steps"):
        read(path, series_id="run")
    monkeypatch.setattr(by_series, "MAX_VALUES", 9)
    monkeypatch.setattr(by_series, "MAX_STEPS", 3)
    assert skipped(path, series_id="run") == {"A": "too-large"}


def test_a_row_may_hold_its_sequence_or_name_its_file(tmp_path):
    np.save(tmp_path / "run.npy", np.ones((2, 1)))
    rows = [
        {"id": 1, "sequence": ["a", "b"], "label": "x"},
        {"id": 2, "sequence": [[1, 2], [3, 4]]},
        {"sequence": "a b"},
        {"id": 4, "path": "run.npy"},
        {"id": 5, "sequence": 3},
        {"id": 6, "sequence": None},
        {"id": 7, "other": 3},
        {"id": 8, "path": "../run.npy"},
        {"id": 9, "path": "t.jsonl"},
    ]
    path = written(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)))
    found = {one.id: one for one in read(path)}
    assert found["1"] == Item("1", ["a", "b"], {"steps": 2, "label": "x"})
    assert found["2"] == Item("2", [[1, 2], [3, 4]], {"steps": 2})
    assert found["t.jsonl:3"] == Item("t.jsonl:3", "a b", {})
    assert found["4"].payload.tolist() == [[1.0], [1.0]]
    assert found["4"].metadata == {"steps": 2, "path": "run.npy"}
    assert {i: found[str(i)].error_class for i in range(5, 10)} == {
        5: "bad-payload",
        6: "bad-payload",
        7: "missing-payload",
        8: "outside-source",
        9: "other-type",
    }


def test_a_cell_of_csv_is_a_json_list_or_a_line_of_tokens(tmp_path):
    text = 'id,sequence\n1,"[1, 2]"\n2,"[""a"", ""b""]"\n3,a b\n4,[x\n'
    path = written(tmp_path / "t.csv", text)
    assert items(path) == {
        "1": ([1, 2], {"steps": 2}),
        "2": (["a", "b"], {"steps": 2}),
        "3": ("a b", {}),
        "4": ("[x", {}),
    }
    path = written(tmp_path / "u.csv", "id,dna\n1,ACGT\n")
    assert items(path, text_fields=("dna",)) == {"1": ("ACGT", {})}


def test_a_text_holds_a_sequence_a_line_in_any_encoding(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes("open é\r\n\r\nclose\n".encode("utf-8-sig"))
    assert items(path) == {"t.txt:1": ("open é", {}), "t.txt:3": ("close", {})}
    path.write_bytes("größe öffnen\n".encode("latin-1"))
    assert items(path, encoding="latin-1")["t.txt:1"][0] == "größe öffnen"
    path.write_bytes("open é\n".encode("utf-16"))
    assert items(path)["t.txt:1"][0] == "open é"


def test_a_fasta_file_holds_a_sequence_a_record(tmp_path):
    text = ">s1 homo sapiens \nACGT\nAC GT\n;remark\n\n>s2\nGG\n>\nTT\n"
    assert items(written(tmp_path / "x.fasta", text)) == {
        "s1": ("ACGTACGT", {"description": "homo sapiens"}),
        "s2": ("GG", {}),
        "x.fasta:8": ("TT", {}),
    }
    # only a file that begins so is one
    assert list(items(written(tmp_path / "y.txt", "a\n>b c\n"))) == ["y.txt:1", "y.txt:2"]


def test_a_line_over_the_limit_is_skipped_and_the_next_one_read(tmp_path, monkeypatch):
    monkeypatch.setattr("indexer.corpus.sequences.in_lines.MAX_CHARACTERS", 8)
    path = written(tmp_path / "t.txt", "0123456789\na b\n")
    assert skipped(path) == {"t.txt:1": "too-large"}
    assert [x.id for x in read(path) if isinstance(x, Item)] == ["t.txt:2"]
    path = written(tmp_path / "x.fasta", ">a\nACGTA\nACGTA\n>b\nAC\n")
    assert skipped(path) == {"x.fasta:1": "too-large"}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "runs"
    (folder / "deep").mkdir(parents=True)
    np.save(folder / "deep" / "x.npy", np.ones((2, 2)))
    np.savez(folder / "z.npz", p=np.ones((2, 2)), q=np.zeros((3, 2)))
    written(folder / "s.csv", "a,b\n1,2\n3,4.5\n")
    written(folder / "e.tsv", "event\nopen door\nclose\n")
    written(folder / "t.txt", "a b\nc d\n")
    return folder


def test_a_folder_holds_arrays_tables_of_steps_and_lines(folder):
    assert items(folder) == {
        "deep/x.npy": ([[1.0, 1.0]] * 2, {"steps": 2}),
        "e.tsv": (["open door", "close"], {"steps": 2}),
        "s.csv": ([[1.0, 2.0], [3.0, 4.5]], {"steps": 2}),
        "t.txt:1": ("a b", {}),
        "t.txt:2": ("c d", {}),
        "z.npz/p": ([[1.0, 1.0]] * 2, {"steps": 2}),
        "z.npz/q": ([[0.0, 0.0]] * 3, {"steps": 3}),
    }
    (only,) = (x for x in read(folder, values=("b",)) if x.id == "s.csv")
    assert only.payload.tolist() == [[2.0], [4.5]]


def test_what_is_no_sequence_in_a_folder_is_reported(folder):
    (folder / "i.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (folder / "bad.npy").write_bytes(b"nope")
    np.save(folder / "cube.npy", np.ones((2, 2, 3)))
    np.save(folder / "objects.npy", np.array([{}], object), allow_pickle=True)
    written(folder / "mixed.csv", "a,b\n1,x\n")
    written(folder / "headless.csv", "1,2\n3,4\n")
    written(folder / "empty.csv", "a,b\n")
    (folder / "link.npy").symlink_to(folder / "deep" / "x.npy")
    assert skipped(folder) == {
        "i.png": "other-type",
        "bad.npy": "damaged-array",
        "cube.npy": "other-type",
        "objects.npy": "damaged-array",
        "mixed.csv": "bad-step",
        "headless.csv": "bad-csv",
        "empty.csv": "empty-sequence",
        "link.npy": "symlink",
    }
    with pytest.raises(InputError, match="--series-id: expected a table"):
        read(folder, series_id="a")


def test_of_an_archive_arrays_are_read(folder, tmp_path):
    path = tmp_path / "k.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("deep/x.npy", "z.npz", "t.txt"):
            archive.write(folder / name, name)
    assert skipped(path) == {"k.zip/t.txt": "other-type"}
    assert [x.id for x in read(path) if isinstance(x, Item)] == [
        "k.zip/deep/x.npy",
        "k.zip/z.npz/p",
        "k.zip/z.npz/q",
    ]


def inferred(path, **how):
    return corpus.infer_kind([path], Reading(**how))


def test_the_kind_is_guessed_where_it_is_sure(tmp_path):
    def arrays(**members):
        np.savez(tmp_path / "a.npz", **members)
        return inferred(tmp_path / "a.npz")

    assert arrays(a=np.ones((3, 2)), b=np.ones((4, 2))) == "sequence"
    assert arrays(X=np.ones((3, 4, 2))) == "sequence"
    assert arrays(a=np.ones((3, 2))) == "vector"
    assert arrays(embeddings=np.ones((3, 2)), b=np.ones((4, 2))) == "vector"
    assert arrays(a=np.ones((3, 2)), b=np.ones((4, 2), int)) == "vector"
    assert arrays(X=np.ones((3, 8, 8), np.uint8)) == "image"
    log = written(tmp_path / "log.csv", "user,page\nu,home\n")
    assert inferred(log, series_id="user") == "sequence"
    with pytest.raises(InputError, match="a column 'text' or 'path'"):
        inferred(log)
    assert inferred(written(tmp_path / "s.csv", "id,sequence\n1,a b\n")) == "sequence"
    assert inferred(written(tmp_path / "n.csv", "sequence,n\n1,2\n")) != "sequence"  # a number
    rows = '{"sequence": [1, 2]}\n{"sequence": [3]}\n'
    assert inferred(written(tmp_path / "s.jsonl", rows)) == "sequence"
    rows = '{"sequence": 1, "text": "a"}\n'
    assert inferred(written(tmp_path / "t.jsonl", rows)) == "text"


def test_a_folder_of_arrays_alone_says_what_can_be_done(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 2)))
    with pytest.raises(InputError, match="or say --kind sequence if each is one"):
        inferred(tmp_path)
