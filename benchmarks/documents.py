"""Reading documents as people have them: PDF and HTML beside peers, and a folder of small files.

    python -m benchmarks.documents [--parts pdf html folder hostile] [--pdfs FOLDER] [--html FOLDER]
                                   [--beside CHECKOUT] [--markitdown PYTHON] [--datasets FOLDER]

**PDF.** Every `.pdf` under a folder (also with `.gz`), such as those of Debian's packages
debian-policy, developers-reference and r-doc-pdf, unpacked anywhere. Words against `pdftotext`
(poppler-utils), counted with how often they stand: which share of those we miss, and how many we
have beyond them. Speed against markitdown, in an environment of its own whose interpreter is named.

**HTML.** Every `.html` under a folder, such as that of Debian's python3.11-doc: seconds beside
those of another revision of this project, checked out at `--beside`.

**Folder.** 10,000 files of up to 1,000 letters, cut from the posts of 20 Newsgroups, learned and
indexed: the share of the time that reading takes.

**Hostile.** Files that are made to harm whoever reads them, among 20 good documents: what became of
each, and after how many seconds of the clock; that no good one's text is another than alone; the
most memory of a worker.

All other seconds are processor time in one thread, without imports; medians of several turns, the
readers in turns.
"""

from __future__ import annotations

import argparse
import gzip
import lzma
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

from benchmarks import environment

environment.set_threads(1)

import pyarrow as pa  # noqa: E402

from benchmarks.datasets import default_root, load  # noqa: E402
from indexer import Indexer, corpus  # noqa: E402
from indexer.corpus.documents import read_document  # noqa: E402
from tests.corpus import made  # noqa: E402
from tests.corpus.test_hostile_documents import PDFS  # noqa: E402

_PARTS = ("pdf", "html", "folder", "hostile")
_TURNS = 3
_SMALL_FILES, _SMALL_SIZE = 10_000, 1_000  # files, characters
_WORD = re.compile(r"\w+")

# What each reader runs in a process of its own: it reads the files named on its standard input and
# prints the seconds of a processor that they took.
_OURS = """
import sys
from pathlib import Path
from time import process_time
try:
    from indexer.corpus.documents import read_document as read
except ImportError:  # before documents had sections
    from indexer.corpus.documents import read_text as read
paths = [Path(line) for line in sys.stdin.read().splitlines()]
read(paths[0])
before = process_time()
for path in paths:
    read(path)
print(process_time() - before)
"""
# In a process of its own, because a worker counts what the process that it was forked from had. It
# prints the most memory of a worker, in KiB.
_MEMORY = """
import sys
from resource import RUSAGE_CHILDREN, getrusage
from indexer import corpus
for one in corpus.read(sys.argv[1], "text", workers=2):
    pass
print(getrusage(RUSAGE_CHILDREN).ru_maxrss)
"""
_MARKITDOWN = """
import sys
from time import process_time
from markitdown import MarkItDown
converter = MarkItDown()
paths = sys.stdin.read().splitlines()
converter.convert(min(paths, key=lambda path: __import__("os").path.getsize(path)))
before = process_time()
for path in paths:
    converter.convert(path)
print(process_time() - before)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures reading; prints Markdown tables.")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS)
    parser.add_argument("--pdfs", type=Path, help="folder with PDFs")
    parser.add_argument("--html", type=Path, help="folder with pages of HTML")
    parser.add_argument("--beside", type=Path, help="checkout of another revision")
    parser.add_argument("--markitdown", help="an interpreter that has markitdown[pdf]")
    parser.add_argument("--datasets", type=Path, default=default_root())
    arguments = parser.parse_args()
    print(f"Measured on: {environment.describe()}\n")
    if "pdf" in arguments.parts:
        if arguments.pdfs is None:
            parser.error("--pdfs: expected a folder with PDFs for the part pdf, got none")
        measure_pdf(arguments.pdfs, arguments.markitdown)
    if "html" in arguments.parts:
        if arguments.html is None:
            parser.error("--html: expected a folder with pages for the part html, got none")
        measure_html(arguments.html, arguments.beside)
    if "folder" in arguments.parts:
        measure_folder(arguments.datasets)
    if "hostile" in arguments.parts:
        measure_hostile()


def measure_pdf(folder: Path, markitdown: str | None) -> None:
    """Words beside pdftotext's, and seconds beside markitdown's."""
    with tempfile.TemporaryDirectory() as scratch:
        paths = _unpacked_pdfs(folder, Path(scratch))
        print("| PDF | pages | words of pdftotext | missing | extra |\n|---|---|---|---|---|")
        ours_all, theirs_all = Counter[str](), Counter[str]()
        n_pages = 0
        for path in paths:
            document = read_document(path)
            said = subprocess.run(
                ["pdftotext", "-enc", "UTF-8", path, "-"], capture_output=True, check=True
            ).stdout.decode("utf-8", "replace")
            ours, theirs = _words(document.text), _words(said)
            ours_all += ours
            theirs_all += theirs
            n_pages += document.metadata["pages"]
            print(_row(path.name, document.metadata["pages"], ours, theirs))
        print(_row("all", n_pages, ours_all, theirs_all) + "\n")
        readers: dict[str, tuple[str, str, Path | None]] = {
            "hashret": (sys.executable, _OURS, None)
        }
        if markitdown is not None:
            readers["markitdown"] = (markitdown, _MARKITDOWN, None)
        _print_seconds(_in_turns(readers, paths))


def measure_html(folder: Path, beside: Path | None) -> None:
    """Seconds for all pages of a folder, beside another revision's."""
    paths = sorted(folder.rglob("*.html"))
    size = sum(path.stat().st_size for path in paths)
    print(f"{len(paths)} pages of HTML, {size / 1e6:.1f} MB")
    readers: dict[str, tuple[str, str, Path | None]] = {"hashret": (sys.executable, _OURS, None)}
    if beside is not None:
        readers[f"hashret at {beside.name}"] = (sys.executable, _OURS, beside)
    _print_seconds(_in_turns(readers, paths))


def measure_folder(datasets: Path) -> None:
    """The share of reading in indexing many small files."""
    dataset = load("20ng", datasets)
    posts = [str(text) for text in dataset.part(dataset.database)]
    pieces = [
        text[at : at + _SMALL_SIZE]
        for text in posts
        for at in range(0, len(text), _SMALL_SIZE)
        if len(text[at : at + _SMALL_SIZE].split()) > 20  # words: enough to be of some subject
    ][:_SMALL_FILES]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "notes")
        for number, piece in enumerate(pieces):
            path = folder / f"{number // 500:02}" / f"{number:05}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(piece, encoding="utf-8", errors="replace")
        with Indexer(Path(scratch, "notes.hashret"), kind="text") as indexer:
            indexer.fit(corpus.read(folder, "text"))
            indexer.add(corpus.read(folder, "text"))
            indexer.commit()
            seconds = dict(indexer.stopwatch.seconds)
    whole = sum(seconds.values())
    print(f"{len(pieces):,} small files, learned and indexed, by the clock\n")
    print("| step | seconds | share |\n|---|---|---|")
    for step, spent in sorted(seconds.items(), key=lambda pair: -pair[1]):
        print(f"| {step} | {spent:.1f} | {spent / whole:.0%} |")


def measure_hostile() -> None:
    """What becomes of hostile files, and that none changes what a good one says."""
    good = {
        f"good-{i:02}{suffix}": data
        for i in range(5)
        for suffix, data in {
            ".pdf": made.pdf([f"page of words {i}"]),
            ".docx": made.word(("", f"paragraph of words {i}")),
            ".html": f"<title>t</title><p>page of words {i}".encode(),
            ".eml": f"Subject: s\n\nmail of words {i}\n".encode(),
        }.items()
    }
    bad = dict(hostile_files())
    with tempfile.TemporaryDirectory() as scratch:
        alone, among = Path(scratch, "alone"), Path(scratch, "among")
        for folder, files in ((alone, good), (among, good | bad)):
            folder.mkdir()
            for name, data in files.items():
                (folder / name).write_bytes(data)
        expected = {one.id: one.payload for one in corpus.read(alone, "text", workers=2)}
        print(f"{len(bad)} hostile files among {len(good)} good ones, by two workers\n")
        found = {}
        began = perf_counter()
        for one in corpus.read(among, "text", workers=2):
            found[one.id] = one
        seconds = perf_counter() - began
        done = subprocess.run(
            [sys.executable, "-c", _MEMORY, among], capture_output=True, text=True, check=True
        )
        memory = int(done.stdout) / 1024
        print("| file | what became of it | seconds, alone |\n|---|---|---|")
        for number, (name, data) in enumerate(bad.items()):
            folder = Path(scratch, str(number))
            folder.mkdir()
            (folder / name).write_bytes(data)
            began = perf_counter()
            ends = Counter(
                getattr(one, "error_class", "item")
                for one in corpus.read(folder, "text", workers=2)
            )
            spent = perf_counter() - began
            print(f"| {name} | {_ends(ends)} | {spent:.1f} |")
    texts = {name: getattr(found.get(name), "payload", None) for name in good}
    if texts != expected:
        raise SystemExit("hostile: expected the good documents' texts as alone, got others")
    unnamed = [n for n in bad if not any(one.split("/")[0].split("#")[0] == n for one in found)]
    if unnamed:
        raise SystemExit(f"hostile: expected every file reported, got nothing of {unnamed}")
    print(f"\nAll together: {seconds:.1f} s; the largest worker had {memory:.0f} MiB of memory")


def _ends(ends: Counter[str]) -> str:
    return ", ".join(f"{end} ({n})" if n > 1 else end for end, n in ends.items())


def hostile_files() -> Iterator[tuple[str, bytes]]:
    """Names and bytes of files that are made to harm whoever reads them."""
    zeros = bytes(64 << 20)
    for name, (data, _) in PDFS.items():
        yield f"{name.replace(' ', '-')}.pdf", data
    inner = made.zipped({"zeros.txt": zeros})
    yield "bomb.zip", made.zipped({f"{i}.txt": zeros for i in range(4)})
    yield "bombs-in-one-another.zip", made.zipped({f"{i}.zip": inner for i in range(20)})
    tar = _tarred("zeros.txt", zeros * 4)
    yield "bomb.tar.xz", lzma.compress(tar, preset=0)
    yield "bomb.tar.zst", pa.compress(tar, codec="zstd", asbytes=True)
    nested = b"words"
    for i in range(100):
        nested = made.zipped({f"{i}.zip" if i else "a.txt": nested})
    yield "recursive.zip", nested
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    xml = f'<!DOCTYPE a [<!ENTITY l0 "ha">{laughs}]><a>&l9;</a>'.encode()
    yield "billion-laughs.docx", made.changed(made.word(("", "a")), {"word/document.xml": xml})
    yield "bomb.docx", made.changed(made.word(("", "a")), {"word/document.xml": zeros * 4})
    deep = b"<a>" * 100_000 + b"</a>" * 100_000
    yield "deep.docx", made.changed(made.word(("", "a")), {"word/document.xml": deep})
    yield "cut.docx", made.word(("", "a"))[:-100]
    yield "deep.html", b"<div>" * 100_000 + b"words"
    yield "unclosed.html", b"<a <a" * 200_000
    noise = Random(0).randbytes(1 << 20)
    yield "ole-junk.msg", bytes.fromhex("d0cf11e0a1b11ae1") + noise
    yield "ole-junk.doc", bytes.fromhex("d0cf11e0a1b11ae1") + noise
    mail = b"Subject: innermost\n\nwords\n"
    for i in range(1_000):
        head = f'Content-Type: multipart/mixed; boundary="b{i}"\n\n--b{i}\n'
        mail = f"{head}".encode() + mail + f"\n--b{i}--\n".encode()
    yield "nested-1000-deep.eml", mail


def _tarred(name: str, data: bytes) -> bytes:
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        member = tarfile.TarInfo(name)
        for i in range(2):
            member.name, member.size = f"{i}-{name}", len(data) // 2
            tar.addfile(member, BytesIO(data))
    return stream.getvalue()


def _unpacked_pdfs(folder: Path, scratch: Path) -> list[Path]:
    """The PDFs under a folder, those with .gz decompressed into `scratch`; each content once."""
    found: dict[bytes, Path] = {}
    for path in sorted(folder.rglob("*.pdf*")):
        if not path.is_file():
            continue  # a link to nothing, as where only a part of a package was unpacked
        if path.suffix == ".gz":
            plain = scratch / path.stem
            plain.write_bytes(gzip.decompress(path.read_bytes()))
            path = plain
        if path.suffix == ".pdf":
            found.setdefault(path.read_bytes(), path)
    return list(found.values())


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text))


def _row(name: str, pages: object, ours: Counter[str], theirs: Counter[str]) -> str:
    n = max(1, theirs.total())
    missing, extra = (theirs - ours).total() / n, (ours - theirs).total() / n
    return f"| {name} | {pages} | {theirs.total():,} | {missing:.2%} | {extra:.2%} |"


def _in_turns(
    readers: dict[str, tuple[str, str, Path | None]], paths: Sequence[Path]
) -> dict[str, float]:
    """The median seconds of each reader, an interpreter, a script and a folder to run it in."""
    told = "\n".join(str(path.resolve()) for path in paths)
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(_TURNS):
        for name, (python, script, place) in readers.items():
            done = subprocess.run(
                [python, "-c", script],
                input=told,
                cwd=place,
                capture_output=True,
                text=True,
                check=True,
            )
            seconds[name].append(float(done.stdout.split()[-1]))
    return {name: median(several) for name, several in seconds.items()}


def _print_seconds(seconds: dict[str, float]) -> None:
    first = next(iter(seconds.values()))
    print("| reader | seconds | beside hashret |\n|---|---|---|")
    for name, spent in seconds.items():
        print(f"| {name} | {spent:.2f} | {spent / first:.1f} |")
    print()


if __name__ == "__main__":
    main()
