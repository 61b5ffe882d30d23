"""Writes SYNTHETIC recordings in the layouts of AVEC 2016 and of AVEC 2018's gold-standard sub-challenge.

The feature sets bear the packages' names and hold action units: what stands in the originals are functionals, whose
names differ from copy to copy. Labels of test subjects are withheld, as they are there.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import arff
import numpy as np
import pandas as pd

from data_prep.avec_layout import AVEC_2016, AVEC_2018, VIDEO_2016, VIDEO_2018, Edition
from data_prep.layouts.layout_subject import LayoutSubject, write_table
from data_prep.recola_layout import DIMENSIONS

# The window and the step (seconds) that 2018's files carry in their names.
_WINDOW = "4.0_0.04"


def write_avec2016(folder: Path, subjects: Iterable[LayoutSubject]) -> None:
    """Writes the layout of AVEC 2015 and 2016: ARFF, features once for each dimension.

    Args:
        folder: An empty folder.
        subjects: The subjects, named ``train_1``, ``dev_1``, ``test_1`` ...
    """
    sets = [folder / f"{VIDEO_2016}geometric" / dimension for dimension in DIMENSIONS]
    _make_folders(folder, AVEC_2016, sets)
    for subject in subjects:
        features = _frame(subject, "frameTime", pd.DataFrame(subject.features, columns=subject.config.action_units))
        for place in sets:
            _write_arff(place / f"{subject.subject}.arff", "VIDEO_GEOMETRIC", features)
        for d, dimension in enumerate(DIMENSIONS if subject.labelled else ()):
            gold = _frame(subject, "frameTime", _gold(subject, d))
            _write_arff(folder / AVEC_2016.gold / dimension / f"{subject.subject}.arff", "GOLDSTANDARD", gold)
            _write_ratings(folder / AVEC_2016.individual / dimension / f"{subject.subject}.csv", subject, d)


def write_avec2018(folder: Path, subjects: Iterable[LayoutSubject]) -> None:
    """Writes the layout of AVEC 2018's gold-standard sub-challenge: CSV, names with window and step.

    Args:
        folder: An empty folder.
        subjects: The subjects, named ``train_1``, ``dev_1``, ``test_1`` ...
    """
    place = folder / VIDEO_2018 / "AU"
    _make_folders(folder, AVEC_2018, [place])
    for subject in subjects:
        features = _frame(subject, "timeStamp", pd.DataFrame(subject.features, columns=subject.config.action_units))
        write_table(features, place / f"{subject.subject}_{_WINDOW}.csv", ";")
        for d, dimension in enumerate(DIMENSIONS if subject.labelled else ()):
            gold = _frame(subject, "timestamp", _gold(subject, d))
            write_table(gold, folder / AVEC_2018.gold / dimension / f"{subject.subject}.csv")
            _write_ratings(folder / AVEC_2018.individual / dimension / f"{subject.subject}.csv", subject, d)


def _make_folders(folder: Path, edition: Edition, sets: list[Path]) -> None:
    for place in sets:
        place.mkdir(parents=True)
    for labels in (edition.gold, edition.individual):
        for dimension in DIMENSIONS:
            (folder / labels / dimension).mkdir(parents=True)


def _frame(subject: LayoutSubject, clock: str, values: pd.DataFrame) -> pd.DataFrame:
    name = "Instance_name" if clock == "frameTime" else "name"
    return pd.concat([pd.DataFrame({name: subject.subject, clock: subject.table.time}), values], axis=1)


def _gold(subject: LayoutSubject, d: int) -> pd.DataFrame:
    return pd.DataFrame({"GoldStandard": subject.table.labels[:, d].astype(np.float64)})


def _write_ratings(file: Path, subject: LayoutSubject, d: int) -> None:
    frame = pd.DataFrame(subject.ratings[:, d], columns=list(subject.raters))
    frame.insert(0, "time", subject.table.time)
    write_table(frame, file, ";")


def _write_arff(file: Path, relation: str, frame: pd.DataFrame) -> None:
    content = {
        "description": "SYNTHETIC",
        "relation": relation,
        "attributes": [(name, "STRING" if i == 0 else "NUMERIC") for i, name in enumerate(frame.columns)],
        "data": frame.to_numpy(object).tolist(),
    }
    file.write_text(arff.dumps(content), encoding="utf-8")
