"""``tff-affect export``: a trained network for use elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tff_affect.commands.shared import AsJson


def export(
    run: Annotated[Path, typer.Argument(help="A study's folder as 'train' wrote it, or one of its runs.")],
    to: Annotated[str, typer.Option("--to", help="tflite, onnx or savedmodel.")],
    method: Annotated[str, typer.Option("--method", help="Whose model: a row of the study's table.")] = "federated",
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Training seed; default the first.")] = None,
    fold: Annotated[int | None, typer.Option("--fold", min=0, help="Number of the split; default the first.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder to write, new; default in the run, exports/METHOD-FORMAT.")
    ] = None,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="tflite: a model of one frame, with its state as input and output.")
    ] = False,
    cohort: Annotated[
        Path | None, typer.Option("--cohort", help="The run's cohort, where names of features were not kept.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a trained model as TensorFlow Lite, ONNX or SavedModel, with model.json and MODEL_CARD.md.

    The model is compared with the trained one on windows with missing frames; if it differs, nothing is written.

    Example: tff-affect export runs/mine --to tflite --out models/mine
    """
    from tff_affect.cohort import check_destination
    from tff_affect.evaluation.per_client import run_folders
    from tff_affect.export.description import require_format

    # TensorFlow is imported below: what is wrong with choice and folders is said first, and fast.
    require_format(to)
    run_folders(run)
    if out is not None:
        check_destination(out)
    from tff_affect.export.exporting import export_run
    from tff_affect.export.source import RunChoice

    folder, described = export_run(run, to, RunChoice(method, seed, fold, cohort), out, streaming)
    unit = described.time_unit
    facts = {
        "synthetic": described.synthetic,
        "cohort": described.cohort,
        "method": described.method,
        "seed": described.seed,
        "fold": described.fold,
        "format": described.format,
        "streaming": described.streaming,
        "bytes": described.size_bytes,
        "largest_difference": described.parity["largest_difference"],
        f"milliseconds_per_{unit}": described.latency[f"milliseconds_per_{unit}_of_signal"],
    }
    if as_json:
        print(json.dumps(facts, indent=1))
        return
    print(
        f'{"SYNTHETIC " if described.synthetic else ""}{described.architecture["name"]}, "{described.method}", seed '
        f"{described.seed}, split {described.fold}: {described.format}{', streaming' if streaming else ''}, "
        f"{described.size_bytes} bytes"
    )
    print(
        f"Largest difference from the trained model: {facts['largest_difference']:.2g}; one {unit} of signal takes "
        f"{facts[f'milliseconds_per_{unit}']:.3g} ms"
    )
    if streaming and described.scaling == "subject":
        print(
            "Note: it was trained on features standardised over whole recordings, whose mean and deviation a stream "
            "does not have; data.scaling=federated or none does without"
        )
    print(f"Model, model.json and MODEL_CARD.md: {folder}")
