"""Writes SYNTHETIC recordings as one table of all subjects, with the column map that reads it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from data_prep.layouts.layout_subject import LayoutSubject
from data_prep.recola_layout import DIMENSIONS

TABLE = "frames.csv"
COLUMN_MAP = "columns.yaml"


def write_generic(folder: Path, subjects: Iterable[LayoutSubject]) -> None:
    """Writes ``frames.csv`` and ``columns.yaml``, a subject at a time.

    Args:
        folder: An empty folder.
        subjects: The subjects, at least one, of one configuration.
    """
    with open(folder / TABLE, "w", encoding="utf-8", newline="") as stream:
        for subject in subjects:
            _frame(subject).to_csv(stream, index=False, header=subject.index == 0)
            last = subject
    (folder / COLUMN_MAP).write_text(_column_map(last), encoding="utf-8")


def _frame(subject: LayoutSubject) -> pd.DataFrame:
    frame = pd.DataFrame(subject.features, columns=list(subject.config.action_units))
    frame.insert(0, "seconds", subject.table.time)
    frame.insert(0, "participant", subject.subject)
    for d, dimension in enumerate(DIMENSIONS):
        frame[f"rated {dimension}"] = subject.table.labels[:, d].astype(np.float64)
    frame["gender"] = subject.entry.groups["gender"]
    return frame.assign(video="SYNTHETIC.mp4")


def _column_map(subject: LayoutSubject) -> str:
    content = {
        "name": "table",
        "synthetic": True,
        "subject": "participant",
        "order": "seconds",
        "features": list(subject.config.action_units),
        "labels": {dimension: f"rated {dimension}" for dimension in DIMENSIONS},
        "groups": {"gender": "gender"},
        "feature_scale": "0-5",
        "frame_rate": subject.config.frame_rate,
        "time_unit": "second",
    }
    return OmegaConf.to_yaml(OmegaConf.create(content))
