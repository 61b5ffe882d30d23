"""Where RECOLA keeps what: folders, participants, metadata and the published partition (Ringeval et al., 2013)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_prep.files.delimited import is_missing, read_delimited
from data_prep.files.folders import entries_of
from tff_affect.errors import InputError

ANNOTATION = Path("RECOLA-Annotation/emotional_behaviour")
CENTRED = Path("Ratings_affective_behaviour_CCC_centred")
FEATURES = Path("RECOLA-Video-features")
TIMINGS = Path("RECOLA-Video-timings")
METADATA = Path("RECOLA-Metadata/recola_user_info.csv")
TIME_IN_SECONDS = "time in seconds"
DIMENSIONS = ("arousal", "valence")
RATERS = ("FM1", "FM2", "FM3", "FF1", "FF2", "FF3")

_TRAIN = (15, 16, 17, 18, 21, 23, 25, 37, 39, 41, 46, 50, 51, 55, 56, 60)
_DEVELOPMENT = (14, 19, 24, 26, 28, 30, 34, 40, 42, 43, 44, 45, 52, 64, 65)
_TEST = (13, 20, 22, 32, 38, 47, 48, 49, 53, 54, 57, 58, 59, 62, 63)
PARTITION: Mapping[str, str] = {
    f"P{number}": name
    for name, numbers in (("train", _TRAIN), ("development", _DEVELOPMENT), ("test", _TEST))
    for number in numbers
}
_GENDERS = {"m": "male", "male": "male", "homme": "male", "f": "female", "female": "female", "femme": "female"}


@dataclass(frozen=True)
class RecolaFiles:
    """The files of one participant.

    Attributes:
        subject: ``P16``.
        labels: Dimension -> annotation file.
        features: ``.arff`` or ``.csv`` of video features.
        timings: Frame times, or None.
    """

    subject: str
    labels: Mapping[str, Path]
    features: Path
    timings: Path | None


def label_folder(folder: Path) -> Path | None:
    """The annotation folder: individual ratings, else the CCC-centred package, else None."""
    for place in (ANNOTATION, CENTRED):
        if any((folder / place / dimension).is_dir() for dimension in DIMENSIONS):
            return folder / place
    return None


def is_recola(folder: Path) -> bool:
    """Whether a folder looks like RECOLA's original distribution."""
    return folder.is_dir() and label_folder(folder) is not None


def find_files(folder: Path) -> tuple[RecolaFiles, ...]:
    """The participants' files, by number.

    Raises:
        InputError: If there are none, or a participant lacks a file or has one twice.
    """
    labels = label_folder(folder)
    if labels is None:
        raise InputError(
            f"not RECOLA's layout: expected {ANNOTATION.as_posix()}/arousal or {CENTRED}/arousal", file=folder
        )
    found = {dimension: _participants(labels / dimension, folder, (".csv",)) for dimension in DIMENSIONS}
    features = _participants(folder / FEATURES, folder, (".arff", ".csv"))
    timings = _participants(folder / TIMINGS, folder, (".csv",)) if (folder / TIMINGS).is_dir() else {}
    subjects = sorted({*features, *(s for files in found.values() for s in files)}, key=lambda s: int(s[1:]))
    for subject in subjects:
        for dimension, files in found.items():
            _require_file(subject, files, labels / dimension / f"{subject}.csv")
        _require_file(subject, features, folder / FEATURES / f"{subject}.arff")
    return tuple(
        RecolaFiles(s, {d: files[s] for d, files in found.items()}, features[s], timings.get(s)) for s in subjects
    )


def _require_file(subject: str, files: Mapping[str, Path], expected: Path) -> None:
    if subject not in files:
        reason = "the file is missing; supply it, or remove the subject's other files to leave the subject out"
        raise InputError(reason, file=expected, subject=subject)


def _participants(folder: Path, root: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for file in entries_of(folder, root):
        match = re.fullmatch(r"[Pp](\d{1,6})", file.stem)
        if match is None or file.suffix.lower() not in suffixes:
            continue
        subject = f"P{int(match[1])}"
        if subject in files:
            raise InputError(f"found both {files[subject].name} and {file.name}; keep one", file=file, subject=subject)
        files[subject] = file
    if not files:
        raise InputError(f"expected files such as P16{suffixes[0]}, found none", file=folder)
    return files


def read_groups(folder: Path, subjects: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Gender of each subject from the metadata; no groups where there is no metadata.

    Raises:
        InputError: If the metadata is unreadable, names a subject twice, or lacks one.
    """
    file = folder / METADATA
    if not file.parent.is_dir():
        return {subject: {} for subject in subjects}
    table = read_delimited(file)
    identifier = _column(table.columns, ("id", "participant", "participant id", "subject", "user"))
    if identifier is None:
        raise InputError(f"expected a column 'id', found {', '.join(table.columns)}", file=file, line=1)
    gender = _column(table.columns, ("gender", "sex"))
    genders = table.text(gender) if gender else [""] * len(table.rows)
    groups: dict[str, dict[str, str]] = {}
    for cell, value, line in zip(table.text(identifier), genders, table.lines, strict=True):
        match = re.fullmatch(r"[Pp]?(\d{1,6})", cell)
        subject = f"P{int(match[1])}" if match else cell
        if subject in groups:
            raise InputError("the subject is listed twice", file=file, line=line, subject=subject)
        groups[subject] = {} if is_missing(value) else {"gender": _GENDERS.get(value.lower(), value.lower())}
    absent = [subject for subject in subjects if subject not in groups]
    if absent:
        raise InputError("the subject has recordings but no row here", file=file, subject=absent[0])
    return groups


def _column(columns: tuple[str, ...], names: tuple[str, ...]) -> str | None:
    return next((column for name in names for column in columns if column.lower() == name), None)
