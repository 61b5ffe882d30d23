"""``tff-affect personalize``: what clients gain, and who loses, by adapting a federated model to themselves."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tff_affect.commands.shared import AsJson, Quiet, numbers


def personalize(
    run: Annotated[Path, typer.Argument(help="A finished study's folder, as 'train' wrote it.")],
    cohort: Annotated[
        Path | None, typer.Option("--cohort", help="The study's cohort, where it does not lie where it lay.")
    ] = None,
    ways: Annotated[
        str | None,
        typer.Option("--ways", help="Separated by commas; default shift,fine-tune,head,fedrecon,clustered,own-only."),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="Whose model is adapted: 'federated' or 'federated + DP'.")
    ] = "federated",
    share: Annotated[
        float, typer.Option("--share", help="Share of each recording, from its beginning, that a client learns from.")
    ] = 0.5,
    gap: Annotated[
        float, typer.Option("--gap", help="Time units left out after it, beside the annotation delay.")
    ] = 0.0,
    rates: Annotated[
        str, typer.Option("--rates", help="Learning rates to choose from on development clients.")
    ] = "0.001,0.003,0.01,0.03",
    passes: Annotated[
        str, typer.Option("--passes", help="Passes over the support part to choose from.")
    ] = "1,3,10,30,100,300",
    clusters: Annotated[int, typer.Option("--clusters", min=1, help="Models of the way 'clustered'.")] = 2,
    out: Annotated[Path | None, typer.Option("--out", help="Where results go; default RUN/personalised.")] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Adapt a study's federated model to each test client with the beginning of its recording; score it on the rest.

    Writes personalised.csv, gains.csv, personalised.md and a figure; run again it carries out what is missing.

    Example: tff-affect personalize runs/mine --cohort cohorts/mine --ways shift,fine-tune
    """
    from experiments.personalization import PersonalizationRequest
    from experiments.personalization import personalize as carry_out
    from tff_affect.errors import InputError
    from tff_affect.learning.personalization_config import WAYS, PersonalizationConfig
    from tff_affect.plain_json import plain
    from tff_affect.progress import make_progress

    named = WAYS if ways is None else tuple(way.strip() for way in ways.split(","))
    counts = numbers("--passes", passes)
    if not all(count.is_integer() for count in counts):
        raise InputError(f"--passes: expected whole numbers, found {passes!r}")
    config = PersonalizationConfig(
        named, method, share, gap, numbers("--rates", rates), tuple(map(int, counts)), clusters
    )
    found = carry_out(PersonalizationRequest(run, cohort, out, config), make_progress(quiet))
    if as_json:
        print(json.dumps(plain(found.summary.to_dict("records")), indent=1))
        return
    from rich.console import Console

    from tff_affect.report.personalised import caption, legend, terminal_tables, verdicts

    console = Console(width=None if sys.stdout.isatty() else 120)
    for table in terminal_tables(found.frame, found.settings):
        console.print(table)
    legends = legend(list(found.frame["way"].unique()))
    for line in (caption(found.frame, found.settings), *legends, *verdicts(found.frame)):
        console.print(line, markup=False, highlight=False)
    print(f"Tables and figure: {found.folder}")
