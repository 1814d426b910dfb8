"""The costs of a machine: kept for the next process, never trusted, never in the way."""

import pytest

from hashret.outside import machine_cache
from hashret.outside.machine_cache import read_costs, write_costs


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "hashret"


def test_what_is_written_is_read(folder):
    assert read_costs("numpy") == {}
    write_costs("numpy", {"a": 1.5})
    assert read_costs("numpy") == {"a": 1.5}
    assert read_costs("kernels") == {}
    assert [path.suffix for path in folder.iterdir()] == [".json"]


def test_another_machine_has_none(monkeypatch):
    write_costs("numpy", {"a": 1.5})
    monkeypatch.setattr(machine_cache, "_processor", lambda: "another")
    assert read_costs("numpy") == {}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1.0]", b"\xff", b"[" * 50_000, b'{"a": "1", "b": {}, "c": null}']
)
def test_damage_is_as_nothing(folder, content):
    write_costs("numpy", {"a": 1.5})
    next(folder.iterdir()).write_bytes(content)
    assert read_costs("numpy") == {}


def test_where_nothing_can_be_written_nothing_is(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    write_costs("numpy", {"a": 1.5})
    assert read_costs("numpy") == {}
