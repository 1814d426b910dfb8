"""The verb `hashret denoise`: take the noise out of an image, or of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import click
import numpy as np

from hashret.cli.files import require_file
from hashret.cli.output import (
    NumberRange,
    collection_argument,
    commit_option,
    opened,
    output_option,
)
from hashret.errors import InputError
from hashret.kinds import kind_of
from hashret.outside.outputs import no_place, replaced, require_outside, require_place

if TYPE_CHECKING:
    from hashret.collection import Collection

_WHAT = "what is denoised"
_ARRAY = ".npy"


@click.command("denoise")
@collection_argument
@click.argument("file", type=click.Path(path_type=Path))
@output_option(
    "The file to write; its suffix is the format: .png, .jpg, .webp or .tiff of an image, .npy of "
    "an array."
)
@click.option(
    "--noise",
    type=NumberRange(min=0),
    metavar="SIGMA",
    help="Standard deviation of the noise: of an image as a share of the range from black to white "
    "(25 of 255 is 0.1), of vectors in their own numbers.  [default: estimated, and said]",
)
@commit_option
def denoise(
    collection: Path, file: Path, output: Path, noise: float | None, commit: int | None
) -> None:
    """Take normal noise out of FILE, as far as the items of COLLECTION tell what is none.

    FILE is an image of any size, or an .npy file: an image (height, width[, 1 to 4]) or, for a
    collection of vectors, a vector or rows of them. Its size, depth and transparency stay. A file
    that is already there is replaced only if it is an image that this verb wrote.
    """
    require_outside(output, _WHAT)
    with opened(collection, commit) as standing:
        standing.snapshot.denoiser  # noqa: B018 - a collection without one is said first
        if kind_of(standing.kind).decodes_files:
            _denoise_image(standing, file, output, noise)
        else:
            _denoise_vectors(standing, file, output, noise)


def _denoise_image(standing: Collection, file: Path, output: Path, noise: float | None) -> None:
    from hashret.features.noise.images import MARK, SUFFIXES, Picture, encoded, picture_of

    suffix = output.suffix.lower()
    _require_suffix(output, suffix, (*SUFFIXES, _ARRAY))
    _require_no_other(output, file, MARK.encode())
    require_file(file, "an image file")
    is_array = file.suffix.lower() == _ARRAY
    given = Picture(_array(file)) if is_array else picture_of(file)
    found = standing.noise_of(given.pixels) if noise is None else noise
    clean = given._replace(pixels=standing.denoise(given.pixels, found))
    if suffix == _ARRAY:
        _write(output, clean.pixels)
    else:
        data = encoded(clean, suffix)
        with replaced(output, _WHAT) as stream:
            stream.write(data)
    height, width = clean.pixels.shape[:2]
    click.echo(
        f"{output}: {width} x {height} pixels, without noise of {found:.4f} of the range "
        f"({_known(noise)})"
    )


def _denoise_vectors(standing: Collection, file: Path, output: Path, noise: float | None) -> None:
    _require_suffix(output, output.suffix.lower(), (_ARRAY,))
    _require_no_other(output, file, None)
    _require_suffix(file, file.suffix.lower(), (_ARRAY,))
    require_file(file, "an .npy file of vectors")
    vectors = _array(file)
    found = standing.noise_of(vectors) if noise is None else noise
    _write(output, standing.denoise(vectors, found))
    n = 1 if vectors.ndim == 1 else len(vectors)
    vectors_said = "1 vector" if n == 1 else f"{n:,} vectors"
    click.echo(f"{output}: {vectors_said}, without noise of {found:.4g} ({_known(noise)})")


def _known(noise: float | None) -> str:
    return "estimated; --noise sets it" if noise is None else "as given"


def _require_suffix(path: Path, suffix: str, expected: tuple[str, ...]) -> None:
    if suffix not in expected:
        raise InputError(
            f"{path}: expected a file name with {', '.join(expected)}, got {path.name!r}; the "
            "suffix is the format"
        )


def _require_no_other(output: Path, file: Path, mark: bytes | None) -> None:
    """Raise `InputError` unless `output` is new, or an image that says `mark`."""
    if output.exists() and file.exists() and output.samefile(file):
        raise no_place(output, _WHAT, "the file that is denoised")

    def is_former(stream: IO[bytes]) -> bool:
        return mark is not None and mark in stream.read()

    require_place(output, _WHAT, is_former)


def _array(file: Path) -> np.ndarray:
    """The array in an .npy file; none of objects, which would run code."""
    try:
        with file.open("rb") as stream:
            found: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise InputError(
            f"{file}: expected an array in .npy, got {error}; save it with numpy.save"
        ) from error
    return found


def _write(output: Path, array: np.ndarray) -> None:
    with replaced(output, _WHAT) as stream:
        np.save(stream, array, allow_pickle=False)
