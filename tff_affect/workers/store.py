"""A worker's share of a cohort, as files that graphs read from the worker's own folder.

One store serves any study: the sequences are not scaled, their labels not delayed. For each subject there is
``<subject>.f32``, little-endian words of 32 bits:

- the number of frames, one integer;
- mean and deviation of each feature over the subject's trusted frames, float64 (`Scaling.of_subject`);
- for each frame, features and labels, NaN = missing, and whether its features are trusted (1 or 0), float32;
- a check over all words before it (`check_of`).

``catalog.json`` is what a driver may know (`tff_affect.cohort_catalog`). It is written last: without it there is no
store.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from tff_affect.atomic import replace_text
from tff_affect.cohort import Cohort, CohortManifest, SubjectEntry, SubjectTable
from tff_affect.cohort_catalog import CATALOG, catalog, catalog_text
from tff_affect.errors import InputError, RunError
from tff_affect.scaling import Scaling

SUFFIX = ".f32"
_LOG = logging.getLogger(__name__)


def build_store(cohort_path: str | Path, folder: str | Path, subjects: Sequence[str] | None = None) -> CohortManifest:
    """Writes a cohort, or a part of it, for graphs to read.

    A subject whose table cannot be read or was altered is left out, and said so in the log.

    Args:
        cohort_path: The cohort.
        folder: A private folder, made if it is not there; what an earlier store left in it is removed.
        subjects: Those that this worker is to hold; None for all.

    Returns:
        The catalogue: what a driver may know.

    Raises:
        InputError: If the cohort cannot be opened, does not have one of ``subjects``, or none of them can be read.
        RunError: If it cannot be written.
    """
    cohort, folder = Cohort.open(cohort_path, verify=False), Path(folder)
    wanted = cohort.subjects if subjects is None else tuple(dict.fromkeys(subjects))
    entries = [cohort.entry(subject) for subject in wanted]
    with _writing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in [folder / CATALOG, *folder.glob(f"*{SUFFIX}")]:
            old.unlink(missing_ok=True)
    stored = [entry for entry in entries if _is_stored(cohort, entry, folder)]
    if not stored:
        raise InputError("expected a subject whose table can be read, found none; see the log", file=cohort.path)
    text = catalog_text(replace(cohort.manifest, subjects=tuple(stored)))
    manifest = catalog(text, cohort.path)
    replace_text(folder / CATALOG, text)
    return manifest


def _is_stored(cohort: Cohort, entry: SubjectEntry, folder: Path) -> bool:
    """Stores a subject, if its table can be read."""
    try:
        table = cohort.load(entry.subject)
    except InputError as error:
        _LOG.warning("left out: %s", error)
        return False
    file = folder / f"{entry.subject}{SUFFIX}"
    with _writing(file):
        file.write_bytes(packed(table))
    return True


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(f"{path}: cannot write the worker's store: {error.strerror}") from error


def packed(table: SubjectTable) -> bytes:
    """A subject's file."""
    trusted = table.trusted[:, np.newaxis]
    scaling = Scaling.of_subject(np.where(trusted, table.features, np.nan))
    content = b"".join(
        [
            np.array([table.frames], "<i4").tobytes(),
            np.concatenate([scaling.mean, scaling.deviation]).astype("<f8").tobytes(),
            np.concatenate([table.features, table.labels, trusted], axis=1).astype("<f4").tobytes(),
        ]
    )
    return content + np.array([check_of(content)], "<u4").tobytes()


def check_of(content: bytes) -> int:
    """The sum of all words w of 32 bits, each times an odd number of its own, modulo 2**32: sum of w[i] (2 i + 1).

    Few operations of any framework are needed. It changes with every flipped bit, since an odd number times a power of
    two below 2**32 is never 0. It is made for damage, not against an attacker.
    """
    words = np.frombuffer(content, "<u4")
    odd = np.arange(len(words), dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return int((words * odd).sum(dtype=np.uint32))
