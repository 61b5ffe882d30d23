"""What the commands share: options of one meaning, and how tables are printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tff_affect.errors import InputError

Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Out = Annotated[Path, typer.Argument(help="The folder to write; it must be new or empty.")]
OutOrResumed = Annotated[
    Path, typer.Argument(help="The folder to write: new or empty, or with --resume what is to go on.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing cohort.")]

Processes = Annotated[
    int, typer.Option("--processes", min=0, help="Runs carried out side by side; 0 is one for each core.")
]


def numbers(option: str, text: str) -> tuple[float, ...]:
    """The numbers of an option, separated by commas.

    Raises:
        InputError: For anything else.
    """
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise InputError(f"{option}: expected numbers separated by commas, found {text!r}") from error


def dotted(settings: list[str]) -> list[str]:
    """Settings of ``-o``, each with a value.

    Raises:
        InputError: If one has none.
    """
    wrong = [setting for setting in settings if "=" not in setting]
    if wrong:
        raise InputError(f"-o: expected NAME=VALUE, found {wrong[0]!r}")
    return settings


def print_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Prints rows of one shape as a table, or as JSON."""
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for name in rows[0] if rows else ():
        table.add_column(str(name))
    for row in rows:
        table.add_row(*(("no", "yes")[value] if isinstance(value, bool) else str(value) for value in row.values()))
    Console().print(table)


def without_labels(converted: bool) -> str:
    """What to do about a source, or a cohort that was converted already, without labels."""
    again = "converting the source again with --labels FOLDER" if converted else "--labels FOLDER"
    return f"no labels: can be predicted from, not trained on; {again} adds them"


def print_cohort(cohort: Any, as_json: bool = False, **more: Any) -> None:
    """Prints what a cohort holds, in a line; or as JSON, with what else there is to say of it."""
    manifest = cohort.manifest
    frames = sum(entry.frames for entry in manifest.subjects)
    if as_json:
        counts = {"subjects": len(cohort.subjects), "frames": frames, "features": len(manifest.features)}
        facts = {"synthetic": manifest.synthetic, "name": manifest.name, **counts, "labels": list(manifest.labels)}
        print(json.dumps({**facts, **more}, indent=1))
        return
    print(
        f"{manifest.name}: {len(cohort.subjects)} subjects, {frames} frames, {len(manifest.features)} features, "
        f"{'labels ' + ', '.join(manifest.labels) if manifest.labels else 'no labels'}: {cohort.path}"
    )
    if not manifest.labels:
        print(without_labels(converted=False))
