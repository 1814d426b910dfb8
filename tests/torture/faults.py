"""Planted faults: each takes one defence away in its process, so that a harness must notice."""

import hashlib
import shutil

import numpy as np

from hashret.codes import Codes
from hashret.features import decoding, pictures
from hashret.store import layout, model_files
from hashret.store.catalog import catalog, opening, records, sqlite, staging
from hashret.store.disk import checked, files, untrusted
from hashret.store.repair import plan as repair
from hashret.store.segments import record_batch
from hashret.store.segments import segment as segments
from hashret.workers import process
from indexer.ingest import encode


def names_unchecked() -> None:
    records.require_name = opening.require_name = lambda name, what: name


def links_followed() -> None:
    layout.require_plain = model_files.require_plain = lambda *paths: None
    for room in (untrusted, files, segments):
        room.open_plain = lambda path: path.open("rb")


def moves_follow_links() -> None:
    """As `repair` once did: copies, through whatever stands there."""

    def move(root, moves):
        for path in moves:
            to = root / "damaged" / path.relative_to(root)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to)
            path.unlink()

    repair.move = move


def journals_trusted() -> None:
    sqlite.require_sqlite = lambda path, write: None


def schema_believed() -> None:
    sqlite.require_schema = lambda found, known: None
    sqlite.restrain = lambda connection: None


def arrays_unpickled() -> None:
    def load(layout, record):
        return Codes(np.load(layout.segments / record.codes.name, allow_pickle=True))

    segments.open_codes = load


def values_untyped() -> None:
    records.require_types = lambda row, *types: None


def decoder_takes_any_format() -> None:
    pictures.FORMATS = None


def pixels_unlimited() -> None:
    pictures.MAX_PIXELS = 1 << 62
    pictures.Image.MAX_IMAGE_PIXELS = None


def workers_unlimited() -> None:
    process.limit = lambda memory_bytes: None


def infinite_features_kept() -> None:
    encode.finite_rows = lambda features: np.ones(len(features), bool)


def images_with_decoder_takes_any_format():
    decoder_takes_any_format()
    return decoding.images()


def images_with_pixels_unlimited():
    pixels_unlimited()
    return decoding.images()


def left_overs_stay() -> None:
    staging.forget_staged = lambda catalog: None


def swallowed_errors() -> None:
    honest = files.write_file

    def write_file(path, chunks, *block):
        kept = [bytes(chunk) for chunk in chunks]
        try:
            return honest(path, kept, *block)
        except OSError:
            data = b"".join(kept)
            return files.FileRecord(path.name, len(data), hashlib.sha256(data).hexdigest())

    segments.write_file = record_batch.write_file = model_files.write_file = write_file


def commits_unsummed() -> None:
    catalog.Catalog.segments_of = lambda self, commit: self.segments(commit.commit)


def blocks_unchecked() -> None:
    checked.CheckedFile._verify = lambda self, block: None


def segments_unchecked() -> None:
    segments.require_sound = lambda path, record: None


def models_unchecked() -> None:
    model_files.require_sound = lambda path, record: None


def randomness_forgotten() -> None:
    from indexer.training import checkpoints

    honest = checkpoints.Stage._put_back

    def put_back(self, facts, arrays):
        honest(self, facts | {"rng": self._rng.bit_generator.state}, arrays)

    checkpoints.Stage._put_back = put_back


def staged_removals_forgotten() -> None:
    """What was staged goes on, but not which former rows it replaced."""
    honest = staging.Staging._keep

    def keep(self):
        honest(self)
        with self._catalog.transaction() as connection:
            connection.exec_driver_sql("DELETE FROM removals WHERE added > ?", (self._last,))

    staging.Staging._keep = keep
