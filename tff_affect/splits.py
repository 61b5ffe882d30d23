"""Splits by subject: nobody is in two partitions, and nothing is fitted before the split is made."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tff_affect.atomic import replace_text
from tff_affect.cohort import Cohort
from tff_affect.config import PUBLISHED_SPLITS, SplitConfig
from tff_affect.errors import InputError
from tff_affect.recola_partitions import recola_partition
from tff_affect.run_folder import read_json

_PARTS = ("train", "development", "test")


@dataclass(frozen=True)
class Split:
    """Subjects of each partition, in the cohort's order."""

    train: tuple[str, ...]
    development: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        counts = Counter((*self.train, *self.development, *self.test))
        twice = sorted(subject for subject, count in counts.items() if count > 1)
        if twice:
            raise InputError(f"the split puts subject {twice[0]} in two partitions")
        for name, subjects in asdict(self).items():
            if not subjects:
                raise InputError(
                    f"the split leaves no subject for {name}; the cohort needs more subjects or other shares"
                )

    @classmethod
    def read(cls, file: Path) -> Split:
        """Reads what `write` wrote.

        Raises:
            InputError: If the file is missing or holds something else, or nobody or somebody twice.
        """
        found = read_partitions(file)
        try:
            return cls(**{name: tuple(subjects) for name, subjects in found.items()})
        except InputError as error:
            raise InputError(f"{error.reason}; do not edit it", file=file) from error

    def write(self, file: Path) -> None:
        """Writes the split as JSON."""
        replace_text(file, json.dumps(asdict(self), indent=1) + "\n")


def read_partitions(file: Path) -> dict[str, list[str]]:
    """The subjects of each partition as `Split.write` wrote them, even where one is empty or somebody is in two.

    Raises:
        InputError: If the file is missing or holds something else.
    """
    found = read_json(file)
    if not isinstance(found, dict) or set(found) != set(_PARTS) or not all(map(_are_names, found.values())):
        raise InputError("expected lists of subjects under train, development and test; do not edit it", file=file)
    return {name: found[name] for name in _PARTS}


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each and each.isprintable() for each in value)


def make_splits(cohort: Cohort, config: SplitConfig) -> tuple[Split, ...]:
    """The splits of a configuration: one, or one per fold.

    Raises:
        InputError: If the cohort is too small for the shares or folds, has no partitions of its own, or is not the one
            that a published partition is of.
    """
    if config.scheme == "fixed":
        return (_fixed(cohort),)
    if config.scheme in PUBLISHED_SPLITS:
        return (Split(**recola_partition(cohort.subjects, config.scheme)),)
    return split_subjects(cohort.subjects, config)


def split_subjects(subjects: tuple[str, ...], config: SplitConfig) -> tuple[Split, ...]:
    """The splits of a scheme that knows nothing of subjects but their names: holdout, k-fold or loso.

    Raises:
        InputError: If there are too few subjects for the shares or folds.
    """
    tested = _tested(subjects, config)
    return tuple(_around(subjects, test, config, fold) for fold, test in enumerate(tested))


def _tested(subjects: tuple[str, ...], config: SplitConfig) -> list[list[str]]:
    """The test subjects of each fold."""
    if config.scheme == "loso":
        return [[subject] for subject in subjects]
    shuffled = [subjects[i] for i in np.random.default_rng([config.seed, 1]).permutation(len(subjects))]
    if config.scheme == "holdout":
        return [shuffled[: max(1, round(config.test * len(subjects)))]]
    if config.folds > len(subjects):
        raise InputError(f"split.folds: expected at most the {len(subjects)} subjects, found {config.folds}")
    if config.shuffle:
        return [shuffled[fold :: config.folds] for fold in range(config.folds)]
    return [list(fold) for fold in np.array_split(list(subjects), config.folds)]


def _fixed(cohort: Cohort) -> Split:
    def members(partition: str) -> tuple[str, ...]:
        return tuple(s for s in cohort.subjects if cohort.entry(s).partition == partition)

    if not members("train"):
        raise InputError(
            "the cohort has no partitions of its own; use split.scheme=holdout or k-fold", file=cohort.path
        )
    return Split(members("train"), members("development"), members("test"))


def _around(subjects: tuple[str, ...], test: list[str], config: SplitConfig, fold: int) -> Split:
    """The split whose test subjects are given; development subjects are drawn from the others."""
    rest = [s for s in subjects if s not in set(test)]
    order = np.random.default_rng([config.seed, 2, fold]).permutation(len(rest))
    development = {rest[i] for i in order[: max(1, round(config.development * len(rest)))]}
    return Split(
        train=tuple(s for s in rest if s not in development),
        development=tuple(s for s in rest if s in development),
        test=tuple(s for s in subjects if s in set(test)),
    )
