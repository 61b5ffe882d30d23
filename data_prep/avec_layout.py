"""Where the AVEC packages of RECOLA keep what: labels, individual ratings, sets of video features.

AVEC 2015 and 2016 (Ringeval et al., 2015; Valstar et al., 2016) have one layout, the gold-standard sub-challenge of
AVEC 2018 (Ringeval et al., 2018) another. Both hold 27 people as train_N, dev_N and test_N.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_prep.files.folders import entries_of
from data_prep.recola_layout import DIMENSIONS
from tff_affect.errors import InputError

VIDEO_2016 = "features_video_"
VIDEO_2018 = Path("features/video")
_PARTITIONS = {"train": "train", "dev": "development", "devel": "development", "test": "test"}
_ORDER = ("train", "dev", "test")
_NAME = re.compile(r"(train|devel|dev|test)_?0*(\d{1,4})((?:_\d+(?:\.\d+)?){1,2})?", re.IGNORECASE)
_SUFFIXES = (".arff", ".csv")

# Subject -> file; variant (dimension, or window and step; "" where there is none) -> that; set -> that.
Files = Mapping[str, Path]
Sets = dict[str, dict[str, dict[str, Path]]]


@dataclass(frozen=True)
class Edition:
    """One of the two layouts.

    Attributes:
        kind: ``avec2016`` or ``avec2018``.
        title: The package's name.
        gold: Folder of gold standards, by dimension.
        individual: Folder of individual ratings, by dimension.
        preferred: Feature set taken where there are several.
    """

    kind: str
    title: str
    gold: Path
    individual: Path
    preferred: str


AVEC_2016 = Edition(
    "avec2016", "AVEC 2016", Path("ratings_gold_standard"), Path("ratings_individual"), "video_geometric"
)
AVEC_2018 = Edition("avec2018", "AVEC 2018 GES", Path("labels/gs_1"), Path("labels/individual"), "AU")


def edition_of(folder: Path) -> Edition | None:
    """The layout that a folder has, or None."""
    for edition in (AVEC_2016, AVEC_2018):
        if any((folder / place / DIMENSIONS[0]).is_dir() for place in (edition.gold, edition.individual)):
            return edition
    return None


def is_avec2016(folder: Path) -> bool:
    """Whether a folder looks like AVEC 2015 or 2016."""
    return edition_of(folder) is AVEC_2016


def is_avec2018(folder: Path) -> bool:
    """Whether a folder looks like AVEC 2018's gold-standard sub-challenge."""
    return edition_of(folder) is AVEC_2018


def partition_of(subject: str) -> str:
    """The partition in a subject's name: ``dev_3`` is development."""
    return _PARTITIONS[subject.split("_")[0]]


def in_order(subjects: set[str]) -> list[str]:
    """Train, development, test, each by number."""
    return sorted(subjects, key=lambda name: (_ORDER.index(name.split("_")[0]), int(name.split("_")[1])))


def label_files(folder: Path, place: Path) -> dict[str, dict[str, Path]]:
    """Dimension -> subject -> file.

    Raises:
        InputError: If a dimension's folder is missing or empty, or a subject is there twice.
    """
    found: dict[str, dict[str, Path]] = {}
    for dimension in DIMENSIONS:
        variants = _by_variant(folder / place / dimension, folder)
        found[dimension] = {}
        for files in variants.values():
            for subject, file in files.items():
                _once(found[dimension], subject, file)
                found[dimension][subject] = file
    return found


def choose_set(folder: Path, edition: Edition, wanted: str | None) -> tuple[str, dict[str, Path]]:
    """The feature set to read: the one asked for, the only one, or the preferred one.

    Args:
        folder: The package.
        edition: Its layout.
        wanted: A set's name, such as ``video_geometric`` or ``AU``, or with its variant, ``video_geometric/valence``.

    Returns:
        The name with its variant, and subject -> file.

    Raises:
        InputError: If there is no such set, or none to be chosen without being told.
    """
    places = _places(folder, edition)
    named = (wanted or "").partition("/")[0]
    # What else lies there is of no concern to who names a set.
    places = {named: places[named]} if named in places else places
    sets = {name: _variants(place, folder) for name, place in places.items()}
    listed = [name + (f"/{variant}" if variant else "") for name, found in sets.items() for variant in found]
    if not listed:
        expected = f"{VIDEO_2016}<set>" if edition is AVEC_2016 else f"{VIDEO_2018.as_posix()}/<set>"
        raise InputError(f"expected folders of video features, {expected}, found none", file=folder)
    name, _, variant = (wanted or _default_set(sets, edition, folder, listed)).partition("/")
    if name not in sets or (variant and variant not in sets[name]):
        raise InputError(f"no feature set {wanted!r}; found {', '.join(listed)}", file=folder)
    variant = variant or _default_variant(name, sets[name], folder)
    return name + (f"/{variant}" if variant else ""), sets[name][variant]


def _default_set(sets: Sets, edition: Edition, folder: Path, listed: list[str]) -> str:
    if len(sets) == 1:
        return next(iter(sets))
    preferred = [name for name in sets if name == edition.preferred]
    preferred = preferred or [name for name in sets if name.startswith(f"{edition.preferred}_")]
    if len(preferred) != 1:
        raise InputError(f"several feature sets; name one with --feature-set: {', '.join(listed)}", file=folder)
    return preferred[0]


def _default_variant(name: str, variants: Mapping[str, Files], folder: Path) -> str:
    if len(variants) > 1 and DIMENSIONS[0] not in variants:
        choices = ", ".join(f"{name}/{variant}" if variant else name for variant in variants)
        raise InputError(f"feature set {name!r} comes in several windows; name one: {choices}", file=folder)
    return DIMENSIONS[0] if DIMENSIONS[0] in variants else next(iter(variants))


def _places(folder: Path, edition: Edition) -> dict[str, Path]:
    """Feature set -> its folder."""
    if edition is AVEC_2018:
        return {place.name: place for place in entries_of(folder / VIDEO_2018, folder) if place.is_dir()}
    places = [place for place in entries_of(folder, folder) if place.name.startswith(VIDEO_2016) and place.is_dir()]
    return {place.name.removeprefix("features_"): place for place in places}


def _variants(place: Path, root: Path) -> dict[str, dict[str, Path]]:
    dimensions = [name for name in DIMENSIONS if (place / name).is_dir()]
    if dimensions:
        return {name: _single(_by_variant(place / name, root), place / name) for name in dimensions}
    return _by_variant(place, root)


def _single(variants: dict[str, dict[str, Path]], place: Path) -> dict[str, Path]:
    if len(variants) > 1:
        raise InputError(f"files of several windows ({', '.join(variants)}); keep one window's files", file=place)
    return next(iter(variants.values()))


def _by_variant(place: Path, root: Path) -> dict[str, dict[str, Path]]:
    """Window and step in the files' names ("" without) -> subject -> file."""
    variants: dict[str, dict[str, Path]] = {}
    for file in entries_of(place, root):
        match = _NAME.fullmatch(file.stem)
        if match is None or file.suffix.lower() not in _SUFFIXES:
            continue
        subject = f"{match[1].lower().replace('devel', 'dev')}_{int(match[2])}"
        files = variants.setdefault((match[3] or "").strip("_"), {})
        _once(files, subject, file)
        files[subject] = file
    if not variants:
        raise InputError("expected files such as train_1.arff, found none", file=place)
    return variants


def _once(files: Mapping[str, Path], subject: str, file: Path) -> None:
    if subject in files:
        raise InputError(f"found both {files[subject].name} and {file.name}; keep one", file=file, subject=subject)
