"""``tff-affect predict``: an exported model on new recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tff_affect.commands.data import ColumnMapOption, FrameRate
from tff_affect.commands.shared import AsJson, print_rows


def predict(
    model: Annotated[Path, typer.Argument(help="The folder that 'export' wrote.")],
    sources: Annotated[list[Path], typer.Argument(help="Cohorts, folders of action-unit tables, or single tables.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write: new or empty, and not within a source.")],
    column_map: ColumnMapOption = None,
    frame_rate: FrameRate = None,
    resample: Annotated[
        bool, typer.Option("--resample", help="Bring recordings of another frame rate to the model's.")
    ] = False,
    post_process: Annotated[
        bool, typer.Option("--post-process", help="Apply the chain that was fitted with the model.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Predict perceived affect of new recordings: a CSV each, with time and every dimension.

    Tables of OpenFace, py-feat and LibreFace are known by their columns; any other table needs --map.

    Example: tff-affect predict models/mine openface_out --out predictions/mine
    """
    from data_prep.column_map import load_column_map
    from data_prep.source import SourceOptions
    from tff_affect.cohort import check_destination
    from tff_affect.export.description import ModelDescription

    # TensorFlow is imported below: what is wrong with model and folder is said first, and fast.
    check_destination(out)
    ModelDescription.read(model)
    from experiments.predict import PredictRequest
    from experiments.predict import predict as run

    options = SourceOptions(column_map=load_column_map(column_map) if column_map else None, frame_rate=frame_rate)
    content = run(PredictRequest(model, sources, out, options, resample, post_process))
    if as_json:
        print(json.dumps(content, indent=1))
        return
    if content["synthetic"]:
        print("SYNTHETIC data")
    print_rows(content["recordings"], as_json)
    print(f"Estimates of perceived affect, not of what was felt: {out}")
