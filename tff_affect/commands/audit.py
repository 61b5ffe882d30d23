"""``tff-affect privacy audit`` and ``compare``: what attacks find of a run, and of one protection beside another."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tff_affect.commands.shared import AsJson, Processes, Quiet, numbers

Shadows = Annotated[int, typer.Option("--shadows", help="Shadow runs for membership inference, even.")]


def privacy_audit(
    run: Annotated[
        Path, typer.Argument(help="A study's folder as 'train' wrote it, one of its runs, a cohort, or a sweep.")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Where results go; default RUN/audit.")] = None,
    cohort: Annotated[
        Path | None, typer.Option("--cohort", help="The run's cohort, where it does not lie where it lay.")
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            "--attack", help="re-identification, verification, attribute, inversion, epsilon or membership; repeat it."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same numbers.")] = 0,
    shadows: Shadows = 16,
    seconds: Annotated[float, typer.Option("--seconds", help="Length of the windows that people show.")] = 10.0,
    processes: Processes = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Attack what a run gives away and put it next to what it claims; exit code 1 where a claim is refuted.

    Writes audit.json and audit.html; run again it carries out what is missing. Of a sweep every guarantee is checked.

    Example: tff-affect privacy audit runs/mine
    """
    from experiments.privacy_audit import AuditRequest, audit
    from tff_affect.progress import make_progress
    from tff_affect.runs.audit.settings import ATTACKS, AuditConfig

    config = AuditConfig(tuple(attack or ATTACKS), seed, seconds, shadows)
    result, page = audit(AuditRequest(run, out, cohort, config), make_progress(quiet), processes)
    from tff_affect.report.audit import audit_records, audit_table

    if as_json:
        print(json.dumps(audit_records(result), indent=1))
    else:
        from rich.console import Console

        Console(width=None if sys.stdout.isatty() else 100).print(audit_table(result))
        print(f"Report: {page}")
    if result.refuted:
        raise typer.Exit(1)


def privacy_compare(
    out: Annotated[Path, typer.Argument(help="The folder to write; what an earlier comparison left there is used.")],
    cohort: Annotated[
        Path | None, typer.Option("--cohort", help="The cohort's folder; default the demo's SYNTHETIC one, OUT/cohort.")
    ] = None,
    noise_multiplier: Annotated[
        str, typer.Option("--noise-multiplier", help="Three of subjects; the middle one also of windows.")
    ] = "0.5,2,8",
    clip: Annotated[
        float, typer.Option("--clip", help="Clipping norm of a client's update, and of a window's gradient.")
    ] = 0.3,
    shadows: Shadows = 16,
    override: Annotated[list[str] | None, typer.Option("-o", help="A setting, such as training.rounds=50.")] = None,
    processes: Processes = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Attack one training unprotected, federated, and with differential privacy; exit code 1 where a claim is refuted.

    Writes protections.csv, protections.md and a figure. Run again it carries out what is missing.

    Example: tff-affect privacy compare runs/protections --cohort cohorts/mine
    """
    from experiments.protections import (
        COHORT_FOLDER,
        COMPARED,
        ProtectionsRequest,
        check_comparison,
        compare_protections,
        demo_cohort,
    )
    from tff_affect.progress import make_progress
    from tff_affect.report.protections import is_refuted, protection_records, protection_tables
    from tff_affect.runs.audit.settings import AuditConfig

    progress, noises = make_progress(quiet), numbers("--noise-multiplier", noise_multiplier)
    place, audit = cohort or out / COHORT_FOLDER, AuditConfig(COMPARED, shadows=shadows)
    request = ProtectionsRequest(place, noises, clip, audit, tuple(override or ()))
    check_comparison(out, request)
    if cohort is None:
        demo_cohort(out, progress)
    table = compare_protections(out, request, progress, processes)
    records = protection_records(table)
    if as_json:
        print(json.dumps(records, indent=1))
    else:
        from rich.console import Console

        console = Console(width=None if sys.stdout.isatty() else 100)
        for shown, caption in protection_tables(table):
            console.print(shown)
            console.print(caption, markup=False, highlight=False)
        print(f"Tables and figure: {out}")
    if any(map(is_refuted, records)):
        raise typer.Exit(1)
