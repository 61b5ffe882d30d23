"""``tff-affect report``: one page for a study, or for several side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tff_affect.commands.shared import AsJson


def report(
    studies: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of studies; several are compared on one page.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the report; default: that of the one study.")
    ] = None,
    names: Annotated[
        bool, typer.Option("--names", help="Show subjects' ids and folders' names; by default they are made up.")
    ] = False,
    groups: Annotated[
        bool,
        typer.Option(
            "--groups", help="Show CCC by group too; beside the CCC of each client it gives away who is in which."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write report.html, which needs no network, and the CSV of every table and figure beside it.

    Example: tff-affect report runs/lstm runs/gru --out reports/lstm-gru
    """
    from experiments.report import report as run
    from tff_affect.report.report_files import ReportOptions

    pages = run(studies, out, ReportOptions(names, groups))
    if as_json:
        print(json.dumps([{"report": str(page), "files": str(page.parent / "figures")} for page in pages], indent=1))
        return
    for page in pages:
        print(f"Report: {page}")
