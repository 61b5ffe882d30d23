"""From a folder of several raters' labels to a folder of gold standards, with the raters' agreement beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from data_prep.files.marker import MARKER, says_synthetic
from data_prep.labels.fusion_record import FusionRecord, write_fusion
from data_prep.labels.gold_standard import check_smoothing, fusion_named, smooth
from data_prep.labels.label_folder import LabelFolder, write_label
from data_prep.labels.rater_agreement import agreement_table
from data_prep.labels.subjects_csv import SUBJECTS_CSV, read_subjects_csv
from tff_affect.cohort import new_folder
from tff_affect.errors import InputError

__all__ = ["AGREEMENT", "fuse_folder"]

AGREEMENT = "agreement.csv"


def fuse_folder(
    ratings: Path,
    out: Path,
    rule: str = "mean",
    smooth_seconds: float = 0.0,
    on_file: Callable[[str, int], None] | None = None,
) -> pd.DataFrame:
    """Writes ``<out>/<dimension>/<subject>.csv`` (``time,value``), and ``agreement.csv``; all of it, or nothing.

    ``fusion.json`` says how they were fused; a ``subjects.csv`` and the mark of generated data come along.

    Args:
        ratings: A folder of labels with several raters, see `LabelFolder`.
        out: The folder to make.
        rule: A name in ``data_prep.labels.gold_standard.FUSIONS``.
        smooth_seconds: Width of a median filter over the gold standard; 0 for none.
        on_file: Called with each file that is done and the number of all.

    Returns:
        A row per recording and dimension: ``subject``, ``dimension`` and `agreement_table`'s columns.

    Raises:
        InputError: For the first thing wrong with the ratings, the options or ``out``.
    """
    folder = LabelFolder(ratings, rule)
    check_smoothing(smooth_seconds)
    if Path(out).resolve().is_relative_to(Path(ratings).resolve()):
        raise InputError("this lies in the folder of ratings, where it would pass for ratings; name another", file=out)
    read_subjects_csv(folder.path)
    rows = []
    with new_folder(out) as made:
        for dimension in folder.dimensions:
            (made / dimension).mkdir()
            for subject in folder.subjects:
                time, fused, row = _fused(folder, subject, dimension, rule, smooth_seconds)
                write_label(made / dimension / f"{subject}.csv", time, fused)
                rows.append({"subject": subject, "dimension": dimension, **row})
                if on_file:
                    on_file(f"{dimension} {subject}", len(folder.dimensions) * len(folder.subjects))
        table = pd.DataFrame(rows)
        table.to_csv(made / AGREEMENT, index=False)
        write_fusion(made, FusionRecord(rule, float(smooth_seconds), says_synthetic(folder.path)))
        _take_along(folder.path, made)
    return table


def _fused(
    folder: LabelFolder, subject: str, dimension: str, rule: str, smooth_seconds: float
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    time, names, ratings = folder.ratings(subject, dimension)
    try:
        agreement = agreement_table(ratings, names)
        fused = fusion_named(rule, folder.frame_rate)(ratings)
        return time, smooth(fused, folder.frame_rate, smooth_seconds) if smooth_seconds else fused, agreement
    except InputError as error:
        raise InputError(error.reason, file=folder.file(subject, dimension), subject=subject) from error


def _take_along(ratings: Path, made: Path) -> None:
    if (ratings / SUBJECTS_CSV).is_file():
        (made / SUBJECTS_CSV).write_bytes((ratings / SUBJECTS_CSV).read_bytes())
    if says_synthetic(ratings):
        (made / MARKER).write_text("SYNTHETIC ratings, fused; nobody was rated.\n", encoding="utf-8")
