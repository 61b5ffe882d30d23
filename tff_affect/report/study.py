"""What a report reads: a study's folder of runs, and a few facts of the cohort."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tff_affect.cohort_types import FEATURE_SCALES, TIME_UNITS
from tff_affect.config import PRIVATE_FEDERATED
from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import read_study, run_folders
from tff_affect.evaluation.text_table import read_text_table, require_rows
from tff_affect.report.privacy import StudyPrivacy, read_privacy
from tff_affect.report.rerun import shareable_config
from tff_affect.run_folder import CONFIG, ENVIRONMENT, SPLIT, file_name, read_json
from tff_affect.runs.expected import missing_runs, named_runs
from tff_affect.splits import read_partitions

FEDERATED_METHODS = ("federated", PRIVATE_FEDERATED)
_NAMES = ("client", "partition", "dimension")
_FLAG = "constant"


@dataclass(frozen=True)
class CohortFacts:
    """What a report says of the cohort.

    Attributes:
        name: The cohort's name.
        synthetic: True for generated data; every table and plot then says SYNTHETIC.
        subjects: Subjects in the cohort.
        frame_rate: Frames per time unit.
        time_unit: ``second`` or ``step``.
        features: Names of the features, in order; empty in studies of older versions, as the rest below.
        feature_scale: Key of ``tff_affect.cohort.FEATURE_SCALES``.
        labels: Names of the label dimensions, in order.
    """

    name: str
    synthetic: bool
    subjects: int
    frame_rate: float
    time_unit: str = "second"
    features: Sequence[str] = ()
    feature_scale: str = ""
    labels: Sequence[str] = ()

    @classmethod
    def read(cls, file: Path) -> CohortFacts:
        """Reads what training wrote.

        Raises:
            InputError: If the file is missing, or an entry is missing or wrong.
        """
        content = read_json(file)
        known = {entry.name: entry.default is MISSING for entry in fields(cls)}
        needed = {name for name, is_needed in known.items() if is_needed}
        if not isinstance(content, dict) or not needed <= set(content) <= set(known):
            raise InputError("expected the facts that training wrote; train into a new folder", file=file)
        for name, value in content.items():
            expected, holds = _FACTS[name]
            if not holds(value):
                raise InputError(
                    f"{name}: expected {expected}, found {reprlib.repr(value)}; train into a new folder",
                    file=file,
                )
        return cls(**content)


def _is_text(value: object) -> bool:
    # Half of a pair of UTF-16 could not be written.
    return isinstance(value, str) and bool(value.strip()) and value == value.encode("utf-8", "ignore").decode("utf-8")


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value)) and len(set(value)) == len(value)


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1000


# By the name of the attribute.
_FACTS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("a name", _is_text),
    "synthetic": ("true or false", lambda value: isinstance(value, bool)),
    "subjects": ("a whole number of 1 or more", lambda value: type(value) is int and value >= 1),
    "frame_rate": ("a number above 0 and up to 1000", _is_rate),
    "time_unit": (" or ".join(TIME_UNITS), lambda value: value in TIME_UNITS),
    "features": ("a list of different names", _are_names),
    "feature_scale": (f"one of {', '.join(FEATURE_SCALES)}", lambda value: value in ("", *FEATURE_SCALES)),
    "labels": ("a list of different names", _are_names),
}


@dataclass(frozen=True)
class Study:
    """A study's runs, read. Tables of several runs carry the columns ``seed`` and ``fold``.

    Those of rounds carry ``method`` too: federated training with and without privacy each have their own.

    Attributes:
        runs: Seed, fold and folder of each run, in order.
        results: ``results.csv`` of all runs.
        rounds: ``rounds.csv`` of all runs; empty where there is none.
        per_client: ``per_client.csv`` of all runs; empty where there is none.
        config: ``config.yaml`` of the study as text, without paths, empty where there is none.
        environment: ``environment.json`` of the study, empty where there is none.
        splits: ``split.json`` of each run that has one.
        privacy: ``privacy.json`` of all runs.
        missing: Names of the runs that its settings ask for and that have no results.
        folder: The study's folder.
        shown: Subject -> its name in all of the above; empty where subjects have their own.
    """

    runs: tuple[tuple[int, int, Path], ...]
    results: pd.DataFrame
    rounds: pd.DataFrame
    per_client: pd.DataFrame
    config: str
    environment: dict[str, Any]
    splits: tuple[dict[str, list[str]], ...]
    privacy: StudyPrivacy = field(default_factory=StudyPrivacy)
    missing: tuple[str, ...] = ()
    folder: Path = Path()
    shown: Mapping[str, str] = field(default_factory=dict)

    @property
    def federated(self) -> str:
        """The federated method that the figures are about."""
        return leading_method(self.results)

    @property
    def dimensions(self) -> list[str]:
        """Label dimensions, in the order of the results."""
        return list(dict.fromkeys(self.results["dimension"]))


@dataclass(frozen=True)
class Trace:
    """One test client's recording.

    Attributes:
        place: ``best``, ``median`` or ``worst`` among the test clients.
        client: The client.
        ccc: CCC of the shown prediction.
        frame: Columns ``time`` (in the cohort's time unit), ``gold`` and ``predicted``; NaN where missing.
    """

    place: str
    client: str
    ccc: float
    frame: pd.DataFrame


def open_study(folder: str | Path) -> Study:
    """Reads a study folder; only ``results.csv`` must be there.

    Raises:
        InputError: If there is no run with results, or a file is unreadable.
    """
    runs = tuple(run_folders(folder))
    results = read_study(folder)
    return Study(
        runs=runs,
        results=results,
        rounds=_tables(runs, "rounds.csv", ["round"]),
        per_client=_tables(runs, "per_client.csv", ["round", "partition", "client", "dimension", "ccc"]),
        config=shareable_config(_text(Path(folder) / CONFIG), Path(folder) / CONFIG),
        environment=_object(Path(folder) / ENVIRONMENT),
        splits=tuple(read_partitions(path / SPLIT) for _, _, path in runs if (path / SPLIT).is_file()),
        privacy=read_privacy(runs, results),
        missing=tuple(missing_runs(Path(folder))),
        folder=Path(folder),
    )


def leading_method(results: pd.DataFrame) -> str:
    """The federated method that other rows are compared with: without privacy, where there is one."""
    return PRIVATE_FEDERATED if {PRIVATE_FEDERATED} == set(results["method"]) & set(FEDERATED_METHODS) else "federated"


def _tables(runs: tuple[tuple[int, int, Path], ...], name: str, columns: list[str]) -> pd.DataFrame:
    frames = [
        read_table(file, columns).assign(method=method, seed=seed, fold=fold)
        for seed, fold, path in runs
        for method, file in _files_of_rounds(path, name)
        if file.is_file()
    ]
    keys = ["method", "seed", "fold"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*columns, *keys])


def _files_of_rounds(run: Path, name: str) -> list[tuple[str, Path]]:
    """Training without privacy keeps its tables in the run's folder itself."""
    private = run / file_name(PRIVATE_FEDERATED) / name
    return list(zip(FEDERATED_METHODS, (run / name, private), strict=True))


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A table of rounds, or of clients in rounds; all columns hold numbers but those that name something.

    Args:
        path: Of the file.
        columns: Those that must be there.

    Raises:
        InputError: If it is unreadable, lacks a column, a name is empty, or a cell is neither a number nor empty.
    """
    frame = read_text_table(path, columns, index_col=False)
    for column in frame.columns:
        cells = frame[column].fillna("")
        if column in _NAMES:
            require_rows(cells != "", f"expected a name in {column!r}, found nothing", path)
        elif column == "round":
            require_rows(cells.str.fullmatch(r"\d{1,9}"), "expected a whole number in 'round'", path)
            frame[column] = cells.astype(np.int64)
        elif column != _FLAG:
            empty = cells.isin(["", "nan"])
            # Python's reading is exact.
            frame[column] = numbers = cells.where(~empty, "nan").map(_number).astype(np.float64)
            require_rows(empty | np.isfinite(numbers), f"expected a number or nothing in {column!r}", path)
    return frame


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _text(path: Path) -> str:
    if not path.is_file():
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"expected readable UTF-8 text: {error}", file=path) from error


def _object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_text(path) or "{}")
    except json.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error.msg}", file=path, line=error.lineno) from error
    if not isinstance(content, dict):
        raise InputError(f"expected a JSON object, found a {type(content).__name__}", file=path)
    return content


def unfinished(study: Study) -> str:
    """What has to be said of a study that lacks runs; empty where it has all that its settings ask for."""
    if not study.missing:
        return ""
    few = len(study.missing) == 1
    return (
        f"Unfinished: {len(study.missing)} of {len(study.missing) + len(study.runs)} runs "
        f"{'is' if few else 'are'} missing ({named_runs(study.missing)}), and no number here is of "
        f"{'it' if few else 'them'}; tff-affect train FOLDER --resume carries {'it' if few else 'them'} out."
    )


def overlapping_subjects(study: Study) -> list[str]:
    """Subjects that a run both trained or chose on and tested on: empty where the study is subject-independent."""
    overlap: set[str] = set()
    for split in study.splits:
        used = set(split.get("train", [])) | set(split.get("development", []))
        overlap |= used & set(split.get("test", []))
    return sorted(overlap)


def traces(study: Study, dimension: str) -> list[Trace]:
    """The best, median and worst test client of the first seed whose predictions were kept; fewer if there are fewer.

    Their predictions are those of ``study.federated``.

    Raises:
        InputError: If a table of predictions is unreadable or lacks a column.
    """
    seed, method = study.runs[0][0], study.federated
    rows = study.results.query("method == @method and kind == 'measured' and dimension == @dimension and seed == @seed")
    files = {
        (fold, study.shown.get(path.stem, path.stem)): path
        for s, fold, run in study.runs
        if s == seed
        for path in _predictions(run, method)
    }
    there = [(fold, client) in files for fold, client in zip(rows["fold"], rows["client"], strict=True)]
    kept = rows[np.array(there, dtype=bool)]
    kept = kept.sort_values(["ccc", "client"], ascending=[False, True]).reset_index(drop=True)
    last = len(kept) - 1
    places = {0: "best", last // 2: "median", last: "worst"} if last >= 2 else dict.fromkeys(range(last + 1), "test")
    return [
        Trace(place, row.client, float(row.ccc), _predicted(files[row.fold, row.client], dimension))
        for row, place in ((kept.iloc[i], place) for i, place in places.items())
    ]


def _predictions(run: Path, method: str) -> list[Path]:
    return sorted((run / "predictions" / file_name(method)).glob("*.parquet"))


def _predicted(path: Path, dimension: str) -> pd.DataFrame:
    names = {"time": "time", dimension: "gold", f"{dimension}_predicted": "predicted"}
    try:
        frame = pd.read_parquet(path, columns=list(names))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"expected a Parquet table with columns {', '.join(names)}: {error}", file=path) from error
    return frame.rename(columns=names)
