"""A folder of hostile and odd entries, each with what must become of it.

`build` writes one entry of every class below into a folder and returns the truth: the items, by
id, and the refusals, by id. Used by the tests here and, in many copies, wherever bad input is
let loose on the whole engine.
"""

import codecs
import gzip
import os
import random
import socket
from dataclasses import dataclass, field
from pathlib import Path

from indexer.corpus.extract import FORMATS

_RANDOM = random.Random(7)
_NOISE = bytes(b for b in _RANDOM.randbytes(6000) if b)
_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + _NOISE

BAD_FILES: dict[str, tuple[str, bytes]] = {
    "zero.txt": ("empty-text", b""),
    "blank.txt": ("empty-text", b" \t\r\n\f "),
    "blank-unicode.md": ("empty-text", "\u00a0\u2003\u3000\u2028".encode()),
    "only-a-mark.txt": ("empty-text", codecs.BOM_UTF8),
    "only-markup.html": ("empty-text", b"<!doctype html><p><br></p><!-- text? -->"),
    "only-script.html": ("empty-text", b"<script>var text = 'no'</script><style>p{}</style>"),
    "nul-bytes.txt": ("not-text", bytes(5000)),
    "one-nul.txt": ("not-text", b"words \0 words"),
    "picture.txt": ("not-text", _PNG),
    "noise.md": ("not-text", _NOISE),
    "compressed.rst": ("not-text", gzip.compress(_NOISE)),
    "half-a-character.txt": ("not-text", "some words".encode("utf-16") + b"a"),
    "lone-surrogate.txt": ("not-text", codecs.BOM_UTF16_LE + b"a\0\x00\xd8b\0"),
    "no-code-point.txt": ("not-text", codecs.BOM_UTF32_LE + b"\xff\xff\xff\x7f"),
    "program": ("other-type", b"\x7fELF\x02\x01\x01\0" + _NOISE),
    "photo.jpg": ("other-type", b"\xff\xd8\xff\xe0 a photo"),
    "table.csv": ("other-type", b"text\nwords\n"),
    "rows.jsonl": ("other-type", b'{"text": "words"}\n'),
    "code.pkl": ("other-type", b"\x80\x04\x95\0cos\nsystem\n(S'false'\ntR."),
    "cache.pyc": ("other-type", b"\xa7\r\r\n\0\0\0\0" + _NOISE),
    "font.woff2": ("other-type", b"wOF2" + _NOISE),
    "noise.xyz": ("other-type", _NOISE),
    "text-then-noise.xyz": ("other-type", b"words " * 1000 + bytes(100)),
    "sound.pcm": ("other-type", b"\1\0\2\0\3\0" * 1000),
    "empty.xyz": ("other-type", b""),
    "blank.xyz": ("empty-text", b" \n"),
    "catalog.sqlite": ("other-type", b"SQLite format 3\0"),
    "archive.tar.gz": ("damaged-archive", gzip.compress(b"words")),
    ".hidden.txt": ("hidden", b"words"),
    ".DS_Store": ("hidden", _NOISE),
}

_WORDS = "plain words of a document"
_ACCENTS = "Größe, façade, naïve, el niño, smørrebrød"
_RUSSIAN = "Съешь ещё этих мягких французских булок"
GOOD_FILES: dict[str, tuple[bytes, str, dict[str, str]]] = {
    "plain.txt": (_WORDS.encode(), _WORDS, {}),
    "README": (_WORDS.encode(), _WORDS, {}),
    "manual": (b"w\bwo\bor\brd\bd", "w\bwo\bor\brd\bd", {}),
    "README.de": (_ACCENTS.encode(), _ACCENTS, {}),
    "backup.txt~": (_WORDS.encode(), _WORDS, {}),
    "pickle-of-text.pkl": (b"cos\nsystem\n(S'false'\ntR.", "cos\nsystem\n(S'false'\ntR.", {}),
    "program.py": (b"print('words')\n", "print('words')\n", {}),
    "wide.log": (_RUSSIAN.encode("utf-16"), _RUSSIAN, {"encoding": "utf-16"}),
    "wide-and-bare.xyz": (_ACCENTS.encode("utf-16-le"), _ACCENTS, {"encoding": "utf-16-le"}),
    "old.xyz": (_ACCENTS.encode("latin-1"), _ACCENTS, {"encoding": "latin-1"}),
    "SHOUTING.TXT": (_WORDS.encode(), _WORDS, {}),
    "shouting.txt": (_ACCENTS.encode(), _ACCENTS, {}),
    "-rf.txt": (_WORDS.encode(), _WORDS, {}),
    "spaces and 'quotes' \"$HOME\".md": (_WORDS.encode(), _WORDS, {}),
    "new\nline.txt": (_WORDS.encode(), _WORDS, {}),
    "\U0001f600 日本語.txt": ("日本語の文書".encode(), "日本語の文書", {}),
    "caf\u00e9.txt": (b"composed", "composed", {}),
    "cafe\u0301.txt": (b"decomposed", "decomposed", {}),
    "100%.txt": (_WORDS.encode(), _WORDS, {}),
    "l" * 251 + ".txt": (_WORDS.encode(), _WORDS, {}),
    "windows-lines.txt": (b"one\r\ntwo\rthree", "one\r\ntwo\rthree", {}),
    "long-line.txt": (b"word " * 100_000, "word " * 100_000, {}),
    "escapes.txt": (b"\x1b[1mbold\x1b[0m words", "\x1b[1mbold\x1b[0m words", {}),
    "right-to-left.md": ("\u202eשלום עולם".encode(), "\u202eשלום עולם", {}),
    "mark.txt": (codecs.BOM_UTF8 + _ACCENTS.encode(), _ACCENTS, {}),
    "utf-16.txt": (_RUSSIAN.encode("utf-16"), _RUSSIAN, {"encoding": "utf-16"}),
    "utf-16-be.txt": (
        codecs.BOM_UTF16_BE + _ACCENTS.encode("utf-16-be"),
        _ACCENTS,
        {"encoding": "utf-16"},
    ),
    "utf-16-bare.txt": (_ACCENTS.encode("utf-16-le"), _ACCENTS, {"encoding": "utf-16-le"}),
    "utf-16-be-bare.txt": (_ACCENTS.encode("utf-16-be"), _ACCENTS, {"encoding": "utf-16-be"}),
    "utf-32.txt": (_RUSSIAN.encode("utf-32"), _RUSSIAN, {"encoding": "utf-32"}),
    "latin-1.txt": (_ACCENTS.encode("latin-1"), _ACCENTS, {"encoding": "latin-1"}),
    "windows.txt": ("“€5”".encode("cp1252"), "“€5”", {"encoding": "windows-1252"}),
    "cut-utf-8.txt": (
        _RUSSIAN.encode()[:-1],
        _RUSSIAN[:-1] + "\ufffd",
        {"encoding": "utf-8-damaged"},
    ),
    "declared.html": (
        b'<meta charset="windows-1251"><p>' + _RUSSIAN.encode("cp1251"),
        _RUSSIAN,
        {"encoding": "windows-1251"},
    ),
    "wrongly-declared.html": (b"<meta charset=utf-7>a<b>b</b>&amp;", "ab&", {}),
    "open-quote.html": (b'<p title="never closed>one<p>two', "one\n\ntwo", {}),
    "unclosed-tags.html": (b"words" + b"<a " * 20_000, "words" + ("<a " * 20_000).strip(), {}),
    "unclosed-comments.html": (b"words<!--" + b"<!-- >" * 20_000, "words", {}),
    "large-entity.html": (b"words &#" + b"9" * 5000 + b";", "words \ufffd", {}),
}


@dataclass
class Truth:
    """What a reader must make of a folder."""

    items: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    n_classes: int = 0


def build(root: Path, copies: int = 1) -> Truth:
    """Write every class `copies` times, each copy in a folder of its own."""
    truth = Truth()
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("not for indexing")
    for copy in range(copies):
        _files(root, f"copy-{copy}/", truth)
        _names(root, f"copy-{copy}/", truth)
        _special(root, f"copy-{copy}/", outside, truth)
    truth.n_classes = (len(truth.items) + len(truth.skipped)) // copies
    _too_deep(root, truth)
    return truth


def _files(root: Path, prefix: str, truth: Truth) -> None:
    (root / prefix).mkdir(parents=True)
    for name, (error_class, data) in BAD_FILES.items():
        (root / prefix / name).write_bytes(data)
        truth.skipped[prefix + name] = error_class
    for name, (data, text, metadata) in GOOD_FILES.items():
        (root / prefix / name).write_bytes(data)
        truth.items[prefix + name] = text, metadata
    with (root / prefix / "too-large.txt").open("wb") as stream:
        stream.truncate(FORMATS[".txt"].max_bytes + 1)
    truth.skipped[prefix + "too-large.txt"] = "too-large"


def _names(root: Path, prefix: str, truth: Truth) -> None:
    said = {"id_encoding": "percent"}
    folder = os.fsencode(root / prefix)
    for name, item_id in ((b"caf\xe9.txt", "caf%E9.txt"), (b"5%\xff.md", "5%25%FF.md")):
        Path(os.fsdecode(os.path.join(folder, name))).write_text(item_id)  # noqa: PTH118
        truth.items[prefix + item_id] = item_id, said
    Path(os.fsdecode(os.path.join(folder, b"\xe9.bin"))).touch()  # noqa: PTH118
    truth.skipped[prefix + "%E9.bin"] = "other-type"
    deep = prefix + "d/" * 100 + "deep.txt"
    (root / deep).parent.mkdir(parents=True)
    (root / deep).write_text(_WORDS)
    truth.items[deep] = _WORDS, {}
    (root / prefix / "folder.txt").mkdir()
    (root / prefix / "folder.txt" / "inside.txt").write_text(_WORDS)
    truth.items[prefix + "folder.txt/inside.txt"] = _WORDS, {}
    (root / prefix / "hard-link.txt").hardlink_to(root / prefix / "plain.txt")
    truth.items[prefix + "hard-link.txt"] = _WORDS, {}
    (root / prefix / "empty folder").mkdir()
    (root / prefix / ".git" / "objects").mkdir(parents=True)
    (root / prefix / ".git" / "objects" / "note.txt").write_text(_WORDS)
    truth.skipped[prefix + ".git"] = "hidden"


def _special(root: Path, prefix: str, outside: Path, truth: Truth) -> None:
    links = {
        "link-out.txt": outside / "secret.txt",
        "link-in.txt": root / prefix / "plain.txt",
        "link-nowhere.txt": root / "nowhere.txt",
        "link-itself.txt": root / prefix / "link-itself.txt",
        "link-device.txt": Path("/dev/zero"),
        "link-out": outside,
        "link-up": root,
    }
    for name, target in links.items():
        (root / prefix / name).symlink_to(target)
        truth.skipped[prefix + name] = "symlink"
    os.mkfifo(root / prefix / "pipe.txt")
    os.mkfifo(root / prefix / "pipe")
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(root / prefix)  # a socket's whole path may have no more than 107 bytes
        try:
            server.bind("socket.txt")
        finally:
            os.chdir(here)
    for name in ("pipe.txt", "pipe", "socket.txt"):
        truth.skipped[prefix + name] = "not-a-regular-file"


def _too_deep(root: Path, truth: Truth) -> None:
    """Folders below the longest path that the system opens: 4,096 bytes on Linux."""
    name = "n" * 250
    folder = os.open(root, os.O_RDONLY)
    relative = ""
    for _ in range(18):
        os.mkdir(name, dir_fd=folder)
        inner = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
        relative += f"/{name}" if relative else name
        if len(os.fsencode(root)) + 1 + len(relative) > os.pathconf(root, "PC_PATH_MAX") - 1:
            truth.skipped[relative] = "unreadable"
            break
    os.close(folder)
    truth.n_classes += 1
