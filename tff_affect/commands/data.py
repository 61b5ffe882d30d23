"""``tff-affect data``: look at sources, convert them to cohorts, generate SYNTHETIC ones."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tff_affect.commands.shared import AsJson, Out, Overwrite, Quiet, print_cohort, print_rows, without_labels
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


@data_app.command("inspect", short_help="Say what a source is, and what is wrong with it.")
def data_inspect(
    source: Annotated[Path, typer.Argument(help="A cohort, or what can be converted to one.")],
    column_map: ColumnMapOption = None,
    labels: Labels = None,
    frame_rate: FrameRate = None,
    pose: Pose = False,
    feature_set: FeatureSet = None,
    fusion: Fusion = None,
    deltas: Deltas = False,
    heat_map: Annotated[
        Path | None, typer.Option("--heat-map", help="Draw subjects x time into this file, .png or .html.")
    ] = None,
    identity: Annotated[
        bool, typer.Option("--identity", help="Instead, try to tell the subjects apart by their features.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything is wrong.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a source is, a row per subject, and what is wrong with it.

    Example: tff-affect data inspect cohorts/mine --heat-map quality.html
    """
    from data_prep.inspect import inspect_source

    options = _options(column_map, labels, frame_rate, pose, feature_set, fusion, deltas)
    problems: Sequence[str] = ()
    if heat_map is not None:
        _check_heat_map(heat_map)
    if heat_map is not None or not identity:
        found = inspect_source(source, options)
        problems = found.problems
        if heat_map is not None:
            _write_heat_map(heat_map, found, (source, labels))
        if not identity:
            _print_inspection(found, as_json)
    if identity:
        problems = _probe(source, options, as_json)
    if strict and problems:
        raise typer.Exit(1)


def _print_inspection(found: Any, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
        return
    print(f"{'SYNTHETIC ' if found.synthetic else ''}{found.kind}, {len(found.features)} features")
    # Two tables, because one would not fit a terminal.
    print_rows([_tracking(row, found.time_unit) for row in found.subjects], as_json)
    if any(row.label_span for row in found.subjects):
        print_rows([{"subject": row.subject, **_labelling(row)} for row in found.subjects], as_json)
    for row in found.subjects:
        if counts := _counts(row.quality):
            print(f"{row.subject}: {', '.join(counts)}")
    for note in found.notes:
        print(f"note: {note}")
    if found.subjects and not any(row.label_span for row in found.subjects):
        print(without_labels(converted=found.kind == "cohort"))
    print("\n".join(found.problems) or "nothing wrong")


def _tracking(row: Any, time_unit: str) -> dict[str, str]:
    return {
        "subject": row.subject,
        "frames": str(row.frames),
        "rate": _text(row.rate),
        "tracked %": f"{row.tracked_percent:.1f}",
        "valid %": f"{row.valid_percent:.1f}",
        "missing %": f"{row.nan_percent:.1f}",
        "gaps": str(row.gaps),
        f"longest gap {'(s)' if time_unit == 'second' else '(steps)'}": _text(row.longest_gap),
    }


def _labelling(row: Any) -> dict[str, str]:
    spans = {f"{name} span": _text(span) for name, span in row.label_span.items()}
    return {**spans, "lag hint (s)": _text(row.lag_hint)} if spans else {}


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " to ".join(f"{end:.2f}" for end in value)
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _counts(quality: Mapping[str, Any]) -> list[str]:
    """What the reader counted, save what every recording has: frames, and one face."""
    usual = {"rows", "frames", "frame_rate", *(["faces_seen"] if quality.get("faces_seen") == 1 else [])}
    numbers = {name: count for name, count in quality.items() if type(count) in (int, float) and name not in usual}
    return [f"{name.replace('_', ' ')} {_text(count)}" for name, count in numbers.items() if count]


def _check_heat_map(path: Path) -> None:
    from tff_affect.report.quality import check_suffix

    check_suffix(path)


def _write_heat_map(path: Path, found: Any, sources: Iterable[Path | None]) -> None:
    from tff_affect.report.quality import QualityMap, write_quality

    strips = {row.subject: row.strip for row in found.subjects}
    table = [{**_tracking(row, found.time_unit), **_labelling(row)} for row in found.subjects]
    facts = (found.name, found.synthetic, found.time_unit, found.span)
    problems = [_without_folders(problem, sources) for problem in found.problems]
    write_quality(path, QualityMap(*facts, strips, table, problems, found.notes))


def _without_folders(problem: str, sources: Iterable[Path | None]) -> str:
    """A page is passed on: it names files below the source, and not where on this machine that is."""
    for source in sources:
        if source is not None and len(source.parts) > 1:
            problem = problem.replace(f"{source.parent}{os.sep}", "")
    return problem


def _probe(source: Path, options: Any, as_json: bool) -> list[str]:
    """Prints how well subjects are told apart; returns what is wrong with those that cannot be read."""
    from data_prep.inspect import open_for_inspection
    from tff_affect.privacy.identity_probe import probe_identity

    opened = open_for_inspection(source, options)
    manifest = opened.manifest
    problems: list[str] = []
    tables = ((entry.subject, table) for entry, table in opened.readable(problems))
    found = probe_identity(tables, manifest.frame_rate, manifest.features, manifest.time_unit)
    if as_json:
        print(json.dumps({"synthetic": manifest.synthetic, **found.to_json(), "problems": problems}, indent=1))
        return problems
    print(
        f"{'SYNTHETIC ' if manifest.synthetic else ''}{opened.kind}, {found.subjects} subjects: "
        f"{found.training_windows} training and {found.test_windows} test windows of {found.window}"
    )
    print_rows([row for score in found.scores for row in _score_rows(score, found)], as_json)
    print(f"{found.trained_on_unit}: trained on per subject, the mean; *: the stronger attacker of its view")
    print("p: by permutation of subjects, corrected for four tests")
    for subject, reason in found.left_out.items():
        print(f"subject {subject} left out: {reason}")
    if found.not_drawn:
        print(f"{found.not_drawn} subjects were not drawn")
    print("\n".join([*problems, *found.limits(), found.verdict()]))
    return problems


def _score_rows(score: Any, found: Any) -> list[dict[str, str]]:
    shares = ((1, score.top1, score.top1_interval), (5, score.top5, score.top5_interval))
    return [
        {
            "features": score.view.removesuffix(" per subject"),
            "attacker": score.attacker,
            "top": str(first),
            f"share\n{found.trained_on:.3g}\n{found.trained_on_unit}": f"{share:.3f}{' *' if score.strongest else ''}",
            "95 % interval": "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}",
            "chance": f"{first / found.subjects:.3f}",
            "p": f"{score.p:.2g}" if first == 1 else "-",
        }
        for first, share, interval in shares
        if share is not None
    ]


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
    as_json: AsJson = False,
) -> None:
    """Write a source as a cohort; all of it, or nothing.

    Example: tff-affect data convert clips.tsv cohorts/clips --map clip_self_report
    """
    from data_prep.convert import convert
    from tff_affect.progress import counted, make_progress

    options = _options(column_map, labels, frame_rate, pose, feature_set, fusion, deltas)
    with counted(make_progress(quiet), "Converting") as on_subject:
        cohort = convert(source, out, options, overwrite, on_subject)
    notes = cohort.manifest.provenance["notes"]
    for note in () if as_json else notes:
        print(f"note: {note}", file=sys.stderr)
    print_cohort(cohort, as_json, notes=notes)


@data_app.command("synthesize", short_help="Generate a SYNTHETIC RECOLA-like cohort, or a tool's files.")
def data_synthesize(
    out: Out,
    subjects: Annotated[int, typer.Option(min=1, help="Number of subjects.")] = 27,
    seconds: Annotated[float, typer.Option(help="Length of each recording.")] = 300.0,
    frame_rate: Annotated[float, typer.Option(help="Frames per second.")] = 25.0,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 2021,
    layout: Annotated[
        str, typer.Option(help="cohort, or a tool's or corpus's files: openface-2, py-feat, recola, avec2016, muse ...")
    ] = "cohort",
    fusion: Annotated[str, typer.Option(help="Gold standard of a cohort: mean, or ccc_centred.")] = "mean",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Generate a SYNTHETIC RECOLA-like cohort, or the files that a tool or corpus would have for it.

    Example: tff-affect data synthesize cohorts/synthetic --subjects 100
    """
    from data_prep.layouts.registry import LAYOUTS, how_to_convert, write_layout
    from data_prep.synthetic import write_synthetic_cohort
    from data_prep.synthetic_model import SyntheticConfig

    config = SyntheticConfig(subjects=subjects, seconds=seconds, frame_rate=frame_rate, seed=seed, fusion=fusion)
    if layout == "cohort":
        print_cohort(write_synthetic_cohort(out, config, overwrite), as_json)
        return
    if layout not in LAYOUTS:
        raise InputError(f"--layout: expected cohort or one of {', '.join(LAYOUTS)}, found {layout!r}")
    if fusion != "mean":
        raise InputError(f"--fusion is for a cohort; layout {layout} is fused when it is converted")
    if overwrite:
        raise InputError("--overwrite replaces a cohort, never files in a layout; name a new folder", file=out)
    folder, how = write_layout(layout, out, config), how_to_convert(layout, out, config)
    if as_json:
        print(json.dumps({"synthetic": True, "layout": layout, "subjects": subjects, "convert": how}, indent=1))
        return
    print(f"SYNTHETIC {layout} layout of {subjects} subjects: {folder}")
    print(f"To a cohort: {how}")
