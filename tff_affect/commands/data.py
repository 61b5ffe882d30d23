"""``tff-affect data``: look at sources, convert them to cohorts, generate SYNTHETIC ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tff_affect.commands.shared import AsJson, Out, Overwrite, Quiet, print_cohort, print_rows
from tff_affect.errors import InputError

data_app = typer.Typer(help="Look at sources, convert them to cohorts, generate SYNTHETIC ones.", no_args_is_help=True)

ColumnMapOption = Annotated[
    str | None, typer.Option("--map", help="For a table: a YAML map of its columns, or a packaged one's name.")
]
Labels = Annotated[
    Path | None, typer.Option("--labels", help="Folder with <dimension>/<subject>.csv, where the source has none.")
]
FrameRate = Annotated[
    float | None, typer.Option("--frame-rate", help="Frames per second, instead of what timestamps say.")
]
Pose = Annotated[bool, typer.Option("--pose", help="Take head pose along with the action units.")]
FeatureSet = Annotated[str | None, typer.Option("--feature-set", help="Which of a corpus's feature folders to read.")]
Fusion = Annotated[str | None, typer.Option("--fusion", help="Of several raters: mean, ewe, ccc_centred or dba.")]
Deltas = Annotated[bool, typer.Option("--deltas", help="For RECOLA: take the features' time differences along.")]


def _options(
    column_map: str | None,
    labels: Path | None,
    frame_rate: float | None,
    pose: bool,
    feature_set: str | None,
    fusion: str | None,
    deltas: bool,
) -> Any:
    from data_prep.column_map import load_column_map
    from data_prep.source import SourceOptions

    return SourceOptions(
        column_map=load_column_map(column_map) if column_map else None,
        fusion=fusion,
        deltas=deltas,
        labels=labels,
        frame_rate=frame_rate,
        pose=pose,
        feature_set=feature_set,
    )


@data_app.command("inspect")
def data_inspect(
    source: Annotated[Path, typer.Argument(help="A cohort, or what can be converted to one.")],
    column_map: ColumnMapOption = None,
    labels: Labels = None,
    frame_rate: FrameRate = None,
    pose: Pose = False,
    feature_set: FeatureSet = None,
    fusion: Fusion = None,
    deltas: Deltas = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything is wrong.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a source is, a row per subject, and what is wrong with it.

    Example: tff-affect data inspect cohorts/mine
    """
    from data_prep.inspect import inspect_source

    found = inspect_source(source, _options(column_map, labels, frame_rate, pose, feature_set, fusion, deltas))
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        print(f"{'SYNTHETIC ' if found.synthetic else ''}{found.kind}, {len(found.features)} features")
        print_rows([_flat(row) for row in found.to_json()["subjects"]], as_json)
        print("\n".join(found.problems) or "nothing wrong")
    if strict and found.problems:
        raise typer.Exit(1)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    spans = {f"{name} span": _text(span) for name, span in row.pop("label_span").items()}
    return {name: _text(value) for name, value in row.items()} | spans


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " to ".join(f"{end:.2f}" for end in value)
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


@data_app.command("convert")
def data_convert(
    source: Annotated[Path, typer.Argument(help="A corpus's folder, a folder of action-unit files, or a table.")],
    out: Out,
    column_map: ColumnMapOption = None,
    labels: Labels = None,
    frame_rate: FrameRate = None,
    pose: Pose = False,
    feature_set: FeatureSet = None,
    fusion: Fusion = None,
    deltas: Deltas = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write a source as a cohort; all of it, or nothing.

    Example: tff-affect data convert clips.tsv cohorts/clips --map clip_self_report
    """
    from data_prep.convert import convert
    from tff_affect.progress import counted, make_progress

    options = _options(column_map, labels, frame_rate, pose, feature_set, fusion, deltas)
    with counted(make_progress(quiet), "Converting") as on_subject:
        print_cohort(convert(source, out, options, overwrite, on_subject))


@data_app.command("synthesize")
def data_synthesize(
    out: Out,
    subjects: Annotated[int, typer.Option(min=1, help="Number of subjects.")] = 27,
    seconds: Annotated[float, typer.Option(help="Length of each recording.")] = 300.0,
    frame_rate: Annotated[float, typer.Option(help="Frames per second.")] = 25.0,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 2021,
    layout: Annotated[str, typer.Option(help="cohort, or recola: the original distribution's folders.")] = "cohort",
    overwrite: Overwrite = False,
) -> None:
    """Generate a SYNTHETIC RECOLA-like cohort.

    Example: tff-affect data synthesize cohorts/synthetic --subjects 100
    """
    from data_prep.recola_writer import write_recola_layout
    from data_prep.synthetic import write_synthetic_cohort
    from data_prep.synthetic_model import SyntheticConfig

    config = SyntheticConfig(subjects=subjects, seconds=seconds, frame_rate=frame_rate, seed=seed)
    if layout == "cohort":
        print_cohort(write_synthetic_cohort(out, config, overwrite))
    elif layout == "recola":
        print(f"SYNTHETIC RECOLA layout of {subjects} subjects: {write_recola_layout(out, config)}")
    else:
        raise InputError(f"--layout: expected cohort or recola, found {layout!r}")
