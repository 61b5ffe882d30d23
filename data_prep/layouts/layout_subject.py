"""A SYNTHETIC subject as the writers of tools' and corpora's layouts see it, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from data_prep.synthetic_model import TOOL, SyntheticConfig, generator, rater_panel
from tff_affect.cohort import SubjectEntry, SubjectTable


@dataclass(frozen=True)
class LayoutSubject:
    """One subject in one layout.

    Attributes:
        entry: Name, partition and groups as the layout has them.
        table: The truth: what reading the layout back must give.
        ratings: ``[frames, 2, raters]``: arousal and valence, -1 to 1, two decimals.
        labelled: False for test subjects whose labels a corpus withholds.
        config: The configuration behind it; its ``action_units`` are the table's features.
        index: Zero-based index of the subject.
    """

    entry: SubjectEntry
    table: SubjectTable
    ratings: np.ndarray
    labelled: bool
    config: SyntheticConfig
    index: int

    @property
    def subject(self) -> str:
        """The subject's name."""
        return self.entry.subject

    @property
    def features(self) -> np.ndarray:
        """``[frames, action units]`` float64, five decimals, NaN where no face was found."""
        return np.round(self.table.features.astype(np.float64), 5)

    @property
    def tracked(self) -> np.ndarray:
        """``[frames]`` bool: whether a face was found."""
        return np.isfinite(self.table.features).all(axis=1)

    @property
    def raters(self) -> tuple[str, ...]:
        """The annotators' names, ``FM1`` ..."""
        return rater_panel(self.config).names

    def noise(self) -> np.random.Generator:
        """The random stream of what the tool writes beside the action units; the same at every call."""
        return generator(self.config, self.index, TOOL)


def with_frame_zero(time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The recording's first frame, at time 0, on which nothing was found, before ``[frames]`` and ``[frames, n]``."""
    return np.concatenate([[0.0], time]), np.concatenate([np.full((1, values.shape[1]), np.nan), values])


def milliseconds(time: np.ndarray) -> np.ndarray:
    """``[frames]`` seconds as milliseconds with at most six decimals, so that no binary dust is written."""
    return np.round(1000.0 * time, 6)


def decoys(rng: np.random.Generator, rows: int, names: Sequence[str], spread: float = 1.0) -> pd.DataFrame:
    """``[rows, names]`` random numbers under the names that a reader must leave behind."""
    return pd.DataFrame(np.round(spread * rng.normal(size=(rows, len(names))), 3), columns=list(names))


def write_table(frame: pd.DataFrame, file: Path, separator: str = ",") -> None:
    """Writes a table; numbers in the shortest texts that read back exactly, NaN as empty cells.

    Args:
        frame: The table; no text in it holds a comma.
        file: The file to make, in an existing folder.
        separator: ``,``, ``;`` or OpenFace 2.0's comma and blank.
    """
    if len(separator) == 1:
        frame.to_csv(file, sep=separator, index=False)
    else:
        file.write_text(frame.to_csv(index=False).replace(",", separator), encoding="utf-8")
