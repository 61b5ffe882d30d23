"""``tff-affect grid``: a protocol over variants of the network, one table."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tff_affect.commands.shared import AsJson, OutOrResumed, Processes, Quiet


def grid(
    out: OutOrResumed,
    protocol: Annotated[str | None, typer.Option("--protocol", help="mase2021, avec or clips.")] = None,
    cohort: Annotated[Path | None, typer.Option("--cohort", help="The cohort's folder.")] = None,
    variants: Annotated[
        str | None,
        typer.Option(
            "--variants",
            help="Networks, separated by commas; default simple_rnn,lstm,gru,bilstm,bigru. Further: cnn_bilstm, "
            "cnn_bigru, tcn, ridge.",
        ),
    ] = None,
    processes: Processes = 0,
    override: Annotated[
        list[str] | None,
        typer.Option("-o", help="A setting that the protocol leaves to choose, such as split.folds=5."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the grid in OUT, with its own settings.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train every variant every way under one protocol: table.csv, table.tex, table.svg, table.png.

    Each variant is a study in a folder of its own. Numbers of different protocols never share a table.

    Example: tff-affect grid runs/mase --protocol mase2021 --cohort cohorts/mine --variants lstm,bilstm
    """
    from experiments.rnn_variants import Request, run
    from tff_affect.progress import make_progress

    names = tuple(name.strip() for name in variants.split(",")) if variants is not None else ()
    request = Request(protocol, cohort, names, tuple(override or ()))
    found, records = run(out, request, processes, resume, make_progress(quiet))
    if as_json:
        print(json.dumps(records, indent=1))
        return
    from rich.console import Console

    from experiments.grid import text_of
    from tff_affect.report.grid import grid_captions, grid_table

    console = Console(width=None if sys.stdout.isatty() else 100)
    for table in grid_table(records, text_of(found)):
        console.print(table)
    for caption in grid_captions(records, text_of(found)):
        console.print(caption, markup=False, highlight=False)
    print(f"Tables and figure: {out}")
