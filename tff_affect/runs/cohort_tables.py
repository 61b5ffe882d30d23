"""What a study's folder keeps of its cohort for tables by group and of data quality.

The cohort itself may lie elsewhere, or be gone, when a study is looked at.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tff_affect.atomic import replace_text
from tff_affect.cohort import Cohort
from tff_affect.remote_cohort import RemoteCohort
from tff_affect.run_folder import GROUPS, QUALITY

VALID = "valid"
"""The row of ``quality.csv`` about whole frames."""
_GROUP_COLUMNS = ["client", "attribute", "group"]
_QUALITY_COLUMNS = ["client", "feature", "frames", "missing"]


def write_cohort_tables(cohort: Cohort, folder: Path) -> None:
    """Writes ``groups.csv`` and ``quality.csv``, rows in the cohort's order; a header alone where nothing is known.

    Args:
        cohort: That was trained on. Of tables that workers hold, no quality is known.
        folder: The study's.

    Raises:
        InputError: If a table cannot be read, or a file cannot be written.
    """
    # Both are made before either is written.
    tables = {GROUPS: group_table(cohort), QUALITY: quality_table(cohort)}
    for name, table in tables.items():
        replace_text(folder / name, table.to_csv(index=False, lineterminator="\n"))


def group_table(cohort: Cohort) -> pd.DataFrame:
    """Columns ``client, attribute, group``: what the manifest says of each subject."""
    rows = [
        (entry.subject, attribute, group)
        for entry in cohort.manifest.subjects
        for attribute, group in entry.groups.items()
    ]
    return pd.DataFrame(rows, columns=_GROUP_COLUMNS)


def quality_table(cohort: Cohort) -> pd.DataFrame:
    """Columns ``client, feature, frames, missing``: the share of frames, 0-1, in which a feature is missing.

    The row `VALID` of a client has the share of frames that are not valid. Frames are all of the table; one of zero
    frames has NaN shares.

    Raises:
        InputError: If a table cannot be read.
    """
    rows = (
        []
        if isinstance(cohort, RemoteCohort)
        else [row for subject in cohort.subjects for row in _rows(cohort, subject)]
    )
    return pd.DataFrame(rows, columns=_QUALITY_COLUMNS)


def _rows(cohort: Cohort, subject: str) -> list[tuple[str, str, int, float]]:
    table = cohort.load(subject)
    missing = np.isnan(table.features).sum(axis=0)
    counts = [*zip(cohort.manifest.features, missing, strict=True), (VALID, (~table.valid).sum())]
    frames = table.frames
    return [(subject, name, frames, float(n) / frames if frames else float("nan")) for name, n in counts]
