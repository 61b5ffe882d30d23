"""New recordings through an exported model: what ``tff-affect predict`` runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_prep.files.resample import regular_times, to_times, without_jitter
from data_prep.source import POSE, SourceOptions
from data_prep.sources import detect, open_source
from tff_affect.cohort import Cohort, CohortManifest, SubjectTable, check_destination, new_folder
from tff_affect.errors import InputError
from tff_affect.export.description import ModelDescription
from tff_affect.export.prediction import Predicted, Predictor, columns_of, same_rate, with_columns
from tff_affect.run_folder import write_json

SUMMARY = "predictions.json"


@dataclass(frozen=True)
class PredictRequest:
    """What to predict.

    Attributes:
        model: An export's folder.
        sources: Cohorts, folders of action-unit tables, or single tables.
        out: The folder to write; new or empty, and not within a source.
        options: How tables are read.
        resample: Whether recordings of another frame rate are resampled to the model's.
        post_process: Whether the chain that was fitted with the model is applied.
    """

    model: Path
    sources: Sequence[Path]
    out: Path
    options: SourceOptions
    resample: bool = False
    post_process: bool = False


@dataclass(frozen=True)
class _Recording:
    """A recording's name, sequence in the model's order of features, and whether it is SYNTHETIC."""

    name: str
    table: SubjectTable
    synthetic: bool


def predict(request: PredictRequest) -> dict[str, Any]:
    """Predicts every recording into ``OUT/<recording>.csv``; all of them, or nothing.

    Returns:
        What ``predictions.json`` holds: the model, and for each recording its frames and the share that was observed.

    Raises:
        InputError: For the first thing wrong with the model, a source or the folder.
    """
    _require_apart(request)
    predictor = Predictor(request.model, request.post_process)
    described = predictor.description
    rows: list[dict[str, Any]] = []
    with new_folder(request.out) as folder:
        for source in request.sources:
            for recording in _recordings(source, request, described):
                if any(row["recording"].lower() == recording.name.lower() for row in rows):
                    raise InputError(
                        "two recordings have this name; predict them into folders of their own",
                        file=source, subject=recording.name,
                    )  # fmt: skip
                synthetic = described.synthetic or recording.synthetic
                found = predictor.predict(recording.name, recording.table)
                _write(folder / f"{recording.name}.csv", found, described, synthetic)
                rows.append(_row(recording, found, described, synthetic))
        content = {
            "synthetic": any(row["synthetic"] for row in rows),
            "model": {"cohort": described.cohort, "method": described.method, "files": dict(described.files)},
            "post_processed": request.post_process,
            "recordings": rows,
        }
        write_json(folder / SUMMARY, content)
    return content


def _require_apart(request: PredictRequest) -> None:
    target = check_destination(request.out)
    for place in (*request.sources, request.model):
        try:
            home = place.resolve() if place.is_dir() else place.resolve().parent
        except (OSError, RuntimeError) as error:
            raise InputError(f"cannot look here: {error}", file=place) from error
        if target == home or (place.is_dir() and target.is_relative_to(home)):
            raise InputError(f"--out lies within {place}; name a folder elsewhere", file=request.out)


def _recordings(source: Path, request: PredictRequest, described: ModelDescription) -> Iterator[_Recording]:
    if detect(source) == "cohort":
        cohort = Cohort.open(source, verify=False)
        opened = ((subject, cohort.load(subject)) for subject in cohort.subjects)
        manifest = cohort.manifest
    else:
        pose = any(name in POSE for name in described.features)
        found = open_source(source, replace(request.options, pose=pose or request.options.pose))
        manifest, opened = found.manifest, ((subject, found.read(subject)[1]) for subject in found.subjects)
    columns = columns_of(described, manifest, source)
    _require_rate(manifest, request, described, source)
    for subject, table in opened:
        table = with_columns(table, columns)
        if not same_rate(described, manifest.frame_rate):
            table = _resampled(table, described.frame_rate)
        yield _Recording(subject, table, manifest.synthetic)


def _require_rate(manifest: CohortManifest, request: PredictRequest, described: ModelDescription, source: Path) -> None:
    if same_rate(described, manifest.frame_rate) or request.resample:
        return
    raise InputError(
        f"the model reads {described.frame_rate:g} frames a {described.time_unit}, these recordings have "
        f"{manifest.frame_rate:g}; add --resample to bring them to the model's rate by time",
        file=source,
    )


def _resampled(table: SubjectTable, frame_rate: float) -> SubjectTable:
    """As conversion brings recordings to the clock of labels."""
    time = regular_times(table.time, frame_rate)
    time = time[time <= table.time[-1]]
    features = to_times(table.features, without_jitter(table.time, frame_rate), time).astype(np.float32)
    return SubjectTable.of_complete_frames(time, features, np.empty((len(time), 0), np.float32))


def _write(file: Path, found: Predicted, described: ModelDescription, synthetic: bool) -> None:
    columns: dict[str, Any] = {"time": found.time}
    columns |= {label: found.values[:, place] for place, label in enumerate(described.labels)}
    columns |= {"observed": found.observed} | ({"synthetic": True} if synthetic else {})
    file.write_text(
        pd.DataFrame(columns).to_csv(index=False, float_format="%.8g", lineterminator="\n"), encoding="utf-8"
    )


def _row(recording: _Recording, found: Predicted, described: ModelDescription, synthetic: bool) -> dict[str, Any]:
    observed = recording.table.valid
    return {
        "recording": recording.name,
        "frames": recording.table.frames,
        "predictions": int(np.isfinite(found.values).all(axis=1).sum()),
        "observed": round(float(observed.mean()), 6),
        "file": f"{recording.name}.csv",
        "synthetic": synthetic,
    }
