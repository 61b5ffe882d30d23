"""Writes the SYNTHETIC cohort in the folder layout of the original RECOLA distribution (Ringeval et al., 2013).

For trying a RECOLA pipeline, ours or anybody's, without the licence. Read back by ``data_prep.recola``, the folder
gives the very tables that ``write_synthetic_cohort`` writes for the same configuration.
"""

from __future__ import annotations

import json
from pathlib import Path

import arff
import numpy as np
import pandas as pd

from data_prep.files.marker import MARKER
from data_prep.recola_layout import ANNOTATION, DIMENSIONS, FEATURES, METADATA, TIME_IN_SECONDS, TIMINGS
from data_prep.synthetic import SyntheticSubject, generate_subject
from data_prep.synthetic_model import SyntheticConfig, rater_panel
from tff_affect.cohort import new_folder
from tff_affect.errors import InputError

_PREFIX = "VIDEO_40_LLD_"


def write_recola_layout(
    path: Path,
    config: SyntheticConfig | None = None,
    features: str = "arff",
    rows: int | None = None,
    header_blanks: bool = True,
) -> Path:
    """Writes the layout; all of it, or nothing.

    Args:
        path: The folder to make.
        config: Defaults to ``SyntheticConfig()``; needs six raters.
        features: ``arff`` or ``csv``.
        rows: Annotation rows: the recording's frames plus one, as in the original (7501; the first row, at time 0,
            is the one loaders drop; default), or exactly its frames (7500).
        header_blanks: Whether rater names are followed by a blank, as in the original.

    Returns:
        ``path``.

    Raises:
        InputError: If an option is wrong or the folder cannot be made.
    """
    config = config or SyntheticConfig()
    rows = config.frames + 1 if rows is None else rows
    _check(config, features, rows)
    with new_folder(Path(path)) as folder:
        for place in (*(ANNOTATION / dimension for dimension in DIMENSIONS), FEATURES, TIMINGS, METADATA.parent):
            (folder / place).mkdir(parents=True)
        users = []
        for index in range(config.subjects):
            subject = generate_subject(config, index)
            _write_annotations(folder, config, subject, rows, " " if header_blanks else "")
            _write_features(folder / FEATURES / f"{subject.id}.{features}", config, subject)
            timing = pd.DataFrame({TIME_IN_SECONDS: _exact(subject.table.time)})
            timing.to_csv(folder / TIMINGS / f"{subject.id}.csv", sep=";", index=False)
            users.append({"id": subject.id, **subject.groups, "age": 20 + index % 10, "mother tongue": "French"})
        pd.DataFrame(users).to_csv(folder / METADATA, sep=";", index=False)
        marker = (
            f"SYNTHETIC data in the layout of RECOLA; nobody was recorded.\n{json.dumps(config.to_json(), indent=1)}\n"
        )
        (folder / MARKER).write_text(marker, encoding="utf-8")
    return Path(path)


def _check(config: SyntheticConfig, features: str, rows: int) -> None:
    if features not in ("arff", "csv"):
        raise InputError(f"expected features as 'arff' or 'csv', found {features!r}")
    if rows not in (config.frames, config.frames + 1):
        raise InputError(f"expected {config.frames} or {config.frames + 1} annotation rows, found {rows}")
    if config.raters != 6:
        raise InputError(f"RECOLA has six raters; expected raters=6, found {config.raters}")


def _exact(values: np.ndarray) -> list[str]:
    """Shortest texts that read back to the same float64."""
    return [repr(float(value)) for value in values]


def _write_annotations(folder: Path, config: SyntheticConfig, subject: SyntheticSubject, rows: int, blank: str) -> None:
    first = slice(0, rows - config.frames)
    time = _exact(np.concatenate([np.zeros(first.stop), subject.table.time]))
    names = [name + blank for name in rater_panel(config).names]
    names[-1] = names[-1].strip()
    for d, dimension in enumerate(DIMENSIONS):
        ratings = np.concatenate([subject.ratings[first, d], subject.ratings[:, d]])
        frame = pd.DataFrame(ratings, columns=names)
        frame.insert(0, "time", time)
        file = folder / ANNOTATION / dimension / f"{subject.id}.csv"
        frame.to_csv(file, sep=";", index=False, float_format="%.2f")


def _write_features(file: Path, config: SyntheticConfig, subject: SyntheticSubject) -> None:
    columns = [f"{_PREFIX}AU{int(unit[2:])}" for unit in config.action_units]
    values = np.round(subject.table.features.astype(np.float64), 5)
    frame = pd.DataFrame(values, columns=columns).assign(Face_detection_probability=subject.table.valid.astype(float))
    if file.suffix == ".csv":
        frame.to_csv(file, index=False, na_rep="NaN")
        return
    content = {
        "description": "SYNTHETIC",
        "relation": "VIDEO_FEATURES",
        "attributes": [(name, "REAL") for name in frame.columns],
        "data": frame.to_numpy().tolist(),
    }
    file.write_text(arff.dumps(content), encoding="utf-8")
