"""``tff-affect compare``: studies against each other, or the methods of one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tff_affect.commands.shared import AsJson


def compare(
    studies: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Folders of studies; each is compared with the first. One alone: its methods."
        ),
    ],
    method: Annotated[
        str | None,
        typer.Option("--method", help="Compare this method alone; of one study: all others with it. Default: all."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="measured or post-processed; default: what every study has.")
    ] = None,
    all_pairs: Annotated[
        bool, typer.Option("--all-pairs", help="Compare every pair, not each with the first.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for comparison.csv, comparison.tex and comparison.md.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare studies of one cohort, protocol and split, client by client: differences, effect sizes, corrected p.

    Studies that differ in cohort, protocol or splits are refused, with what differs.

    Example: tff-affect compare runs/lstm runs/gru --out tables
    """
    from tff_affect.evaluation.comparability import comparable, open_studies
    from tff_affect.evaluation.run_comparison import compare_methods_of, compare_studies
    from tff_affect.report.comparison import (
        check_comparison_folder,
        comparison_caption,
        comparison_records,
        comparison_tables,
        terminal_tables,
        write_comparison,
    )
    from tff_affect.report.data_text import DataText

    if out is not None:
        check_comparison_folder(out)
    opened = open_studies(studies)
    if len(opened) == 1:
        found, table = opened, compare_methods_of(opened[0], method, kind)
    else:
        found = comparable(opened, kind)
        table = compare_studies(found, method, kind, all_pairs)
    records = comparison_records(table, found)
    left_out = sorted(set.union(*(study.seeds for study in opened)) - found[0].seeds)
    caption = comparison_caption(records, left_out)
    shown = comparison_tables(records, DataText(found[0].cohort, any(study.synthetic for study in found)))
    if out is not None:
        write_comparison(out, records, shown, caption)
    if as_json:
        print(json.dumps(records, indent=1))
        return
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 100)
    for terminal_table in terminal_tables(shown):
        console.print(terminal_table)
    console.print(caption, markup=False, highlight=False)
    if out is not None:
        print(f"Tables: {out}")
