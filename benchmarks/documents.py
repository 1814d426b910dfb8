"""Reading documents as people have them: PDF and HTML beside peers, and a folder of small files.

    python -m benchmarks.documents [--parts pdf html folder] [--pdfs FOLDER] [--html FOLDER]
                                   [--beside CHECKOUT] [--markitdown PYTHON] [--datasets FOLDER]

**PDF.** Every `.pdf` under a folder (also with `.gz`), such as those of Debian's packages
debian-policy, developers-reference and r-doc-pdf, unpacked anywhere. Words against `pdftotext`
(poppler-utils), counted with how often they stand: which share of those we miss, and how many we
have beyond them. Speed against markitdown, in an environment of its own whose interpreter is named.

**HTML.** Every `.html` under a folder, such as that of Debian's python3.11-doc: seconds beside
those of another revision of this project, checked out at `--beside`.

**Folder.** 10,000 files of up to 1,000 letters, cut from the posts of 20 Newsgroups, learned and
indexed: the share of the time that reading takes.

All seconds are processor time in one thread, without imports; medians of several turns, the
readers in turns.
"""

from __future__ import annotations

import argparse
import gzip
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks import environment

environment.set_threads(1)

from benchmarks.datasets import default_root, load  # noqa: E402
from indexer import Indexer, corpus  # noqa: E402
from indexer.corpus.documents import read_document  # noqa: E402

_PARTS = ("pdf", "html", "folder")
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
