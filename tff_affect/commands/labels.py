"""``tff-affect labels``: fuse raters to a gold standard, measure their agreement, find the annotation delay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tff_affect.commands.shared import AsJson, Out, Quiet, print_rows
from tff_affect.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from data_prep.labels.annotation_delay import DelaySearch
    from tff_affect.cohort import Cohort

labels_app = typer.Typer(
    help="Fuse raters to a gold standard, measure their agreement, find the annotation delay.", no_args_is_help=True
)

_MEASURES = ("ccc", "icc_2_1", "icc_2_k", "cronbach_alpha")


@labels_app.command("fuse", short_help="Write one gold standard of several raters.")
def labels_fuse(
    ratings: Annotated[Path, typer.Argument(help="Folder with <dimension>/<subject>.csv, a column per rater.")],
    out: Out,
    rule: Annotated[str, typer.Option("--rule", help="mean, ewe, ccc_centred or dba.")] = "mean",
    smooth: Annotated[
        float, typer.Option("--smooth", help="Seconds of a median filter over the result; 0 for none.")
    ] = 0.0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write one gold standard per subject and dimension, and how far the raters agree; all of it, or nothing.

    Example: tff-affect labels fuse RECOLA-Annotation/emotional_behaviour labels/recola --rule ewe
    """
    from data_prep.files.marker import says_synthetic
    from data_prep.labels.label_folder import LabelFolder
    from data_prep.labels.label_fusion import AGREEMENT, fuse_folder
    from tff_affect.progress import counted, make_progress

    with counted(make_progress(quiet), "Fusing") as on_file:
        table = fuse_folder(ratings, out, rule, smooth, on_file)
    rows = _agreement_rows(table)
    if as_json:
        print(json.dumps({"synthetic": says_synthetic(ratings), "rule": rule, "agreement": rows}, indent=1))
        return
    print(f"{'SYNTHETIC ratings. ' if says_synthetic(ratings) else ''}Agreement over n recordings, mean ±deviation:")
    print_rows([_agreement_text(row) for row in rows], as_json)
    print("\n".join(_raters(rows)))
    for note in LabelFolder(ratings, rule).notes:
        print(f"Note: {note}")
    print(f"Gold standard ({rule}) and {AGREEMENT}: {out}")


def _agreement_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per dimension: mean and sample deviation over recordings; None for the deviation of a single one."""
    rows = []
    for dimension, part in table.groupby("dimension"):
        row: dict[str, Any] = {"dimension": dimension, "recordings": len(part), "raters": int(part["raters"].max())}
        for measure in _MEASURES:
            spread = float(part[measure].std(ddof=1)) if len(part) > 1 else None
            row |= {measure: float(part[measure].mean()), f"{measure}_deviation": spread}
        each = part.filter(regex="^ccc ").mean().dropna()
        row["ccc_of_rater"] = {str(name).removeprefix("ccc "): float(value) for name, value in each.items()}
        rows.append(row)
    return rows


def _raters(rows: list[dict[str, Any]]) -> list[str]:
    """Who was taken for a rater: a line where it is the same in all dimensions, else one for each."""
    each = {row["dimension"]: ", ".join(row["ccc_of_rater"]) for row in rows}
    if len(set(each.values())) == 1:
        return [f"Raters: {next(iter(each.values()))}"]
    return [f"Raters of {dimension}: {names}" for dimension, names in each.items()]


def _agreement_text(row: dict[str, Any]) -> dict[str, str]:
    def measure(name: str) -> str:
        spread = row[f"{name}_deviation"]
        return f"{row[name]:.2f}" + ("" if spread is None else f" ±{spread:.2f}")

    least = min(row["ccc_of_rater"], key=row["ccc_of_rater"].get)
    return {
        "dimension": row["dimension"],
        "n": str(row["recordings"]),
        "raters": str(row["raters"]),
        **dict(zip(("CCC", "ICC(2,1)", "ICC(2,k)", "alpha"), map(measure, _MEASURES), strict=True)),
        "least": f"{least} {row['ccc_of_rater'][least]:.2f}",
    }


@labels_app.command("delay", short_help="Find how far the labels lag behind the face.")
def labels_delay(
    cohort: Annotated[Path, typer.Argument(help="The cohort's folder.")],
    override: Annotated[list[str] | None, typer.Option("-o", help="A setting, such as split.scheme=k-fold.")] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Find how far the labels lag behind the face: fitted on training subjects, scored on development subjects.

    Example: tff-affect labels delay cohorts/mine -o split.scheme=fixed
    """
    from data_prep.labels.annotation_delay import search_delay
    from tff_affect.cohort import Cohort
    from tff_affect.config_file import load_config
    from tff_affect.progress import counted, make_progress
    from tff_affect.splits import make_splits

    config = load_config(None, override, cohort)
    opened = Cohort.open(cohort, verify=False)
    _require_timed_labels(opened)
    splits = make_splits(opened, config.split)
    train, development = (
        {subject: opened.load(subject) for subject in subjects} for subjects in (splits[0].train, splits[0].development)
    )
    manifest = opened.manifest
    with counted(make_progress(quiet), "Searching") as on_delay:
        found = search_delay(train, development, manifest.frame_rate, manifest.labels, on_delay=on_delay)
    if as_json:
        print(
            json.dumps(_delay_json(found, manifest.synthetic, len(splits), tuple(train), tuple(development)), indent=1)
        )
        return
    print(
        f"{'SYNTHETIC cohort, ' if manifest.synthetic else ''}{len(train)} subjects fitted, {len(development)} scored; "
        "CCC, mean over recordings and pooled:"
    )
    print_rows([_delay_text(row, found) for row in _rows(found)], as_json)
    print("\n".join(_conclusion(found, len(splits), len(development))))


def _require_timed_labels(cohort: Cohort) -> None:
    manifest = cohort.manifest
    if manifest.time_unit != "second":
        reason = f"a delay is searched in seconds, and this cohort's time is in {manifest.time_unit}s"
        raise InputError(reason, file=cohort.path)
    if not manifest.labels:
        raise InputError("the cohort has no labels; there is no delay to search", file=cohort.path)


def _rows(found: DelaySearch) -> list[dict[str, float]]:
    """A row per delay: mean CCC over recordings, and pooled, of each label."""
    rows: list[dict[str, float]] = []
    for i, delay in enumerate(found.grid):
        row = {"delay": delay}
        for label in found.per_recording:
            row |= {label: found.per_recording[label][i], f"{label} pooled": found.pooled[label][i]}
        rows.append(row)
    return rows


def _delay_text(row: dict[str, float], found: DelaySearch) -> dict[str, str]:
    """The row as text; a star marks each label's best."""
    text = {name: f"{value:.3f}" for name, value in row.items()} | {"delay": f"{row['delay']:g} s"}
    return text | {name: f"{text[name]} *" for name, best in found.best.items() if best == row["delay"]}


def _delay_json(
    found: DelaySearch, synthetic: bool, folds: int, train: tuple[str, ...], development: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "synthetic": synthetic,
        "fold": 0,
        "folds": folds,
        "train": train,
        "development": development,
        "same_frames": found.same_frames,
        "best": found.best,
        "joint": found.joint,
        "delays": _rows(found),
    }


def _conclusion(found: DelaySearch, folds: int, scored: int) -> list[str]:
    lines = [f"Best: {', '.join(f'{label} {delay:g} s' for label, delay in found.best.items())}"]
    for label, scores in found.per_recording.items():
        if max(scores) <= 0:
            lines.append(f"No delay gives {label} a CCC above 0: the features say nothing of it, nor does its delay.")
        elif found.best[label] == found.grid[-1]:
            lines.append(f"The best delay of {label} is the longest tried: the labels may not follow the face at all.")
    if not found.same_frames:
        lines.append("Features are missing in many frames: each delay was scored on the frames that it predicts.")
    if scored < 3:
        lines.append(f"Few subjects were scored ({scored}), and one can mislead; raise split.development.")
    if folds > 1:
        lines.append(f"Searched in fold 0 of {folds} alone; subjects that it develops on are tested in other folds.")
    return [*lines, f"For all labels together, in the training configuration: data.target_delay={found.joint:g}"]
