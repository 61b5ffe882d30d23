"""The command line. Heavy modules are imported inside the commands that need them."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tff_affect import __version__
from tff_affect.errors import AffectError, InputError

if TYPE_CHECKING:
    from experiments.train import Outcome

app = typer.Typer(
    name="tff-affect",
    help="Federated affect recognition from facial action units. Exit codes: 0 done, 1 ran and failed, 2 bad input.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(help="Look at sources, convert them to cohorts, generate SYNTHETIC ones.", no_args_is_help=True)
app.add_typer(data_app, name="data")

_INTERRUPTED = 130

Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the table as JSON.")]
Out = Annotated[Path, typer.Argument(help="The folder to write; it must be new or empty.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing cohort.")]


def main() -> None:
    """Runs the command line; errors of the user are one message on stderr, never a traceback."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except AffectError as error:
        print(f"tff-affect: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        print(f"tff-affect: {error}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        # Typer makes this of Ctrl-C, and says nothing.
        if end.code == _INTERRUPTED:
            print("tff-affect: interrupted; a study goes on with 'tff-affect train FOLDER --resume'", file=sys.stderr)
        raise


def _version(wanted: bool) -> None:
    if wanted:
        print(f"tff-affect {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for cohort and study; default runs/demo-<time>.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train on the embedded SYNTHETIC cohort: mean predictor, local-only, centralised, federated.

    Example: tff-affect demo --out runs/demo
    """
    from datetime import datetime

    from experiments.demo import demo as run
    from tff_affect.progress import make_progress

    folder = out or Path("runs") / datetime.now().strftime("demo-%Y%m%d-%H%M%S")
    _show(run(folder, make_progress(quiet)), as_json)


@app.command()
def train(
    out: Out,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with the study's settings.")] = None,
    cohort: Annotated[
        Path | None, typer.Option("--cohort", help="The cohort's folder; short for -o data.cohort=...")
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option("-o", help="A dotted setting, such as training.rounds=50.")
    ] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Run seeds 0 to N-1.")] = None,
    folds: Annotated[
        int | None, typer.Option("--folds", min=2, help="Subject-wise k-fold with this many folds.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the study in OUT, with its own settings.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train federated and its baselines over seeds and folds; ends with a table, CSV files and report.html.

    Example: tff-affect train runs/mine --cohort cohorts/mine --folds 5 --seeds 3 -o training.rounds=50
    """
    from experiments.train import train as run
    from tff_affect.config import load_config
    from tff_affect.progress import make_progress

    settings = list(override or [])
    settings += [f"seeds={list(range(seeds))}"] if seeds is not None else []
    settings += ["split.scheme=k-fold", f"split.folds={folds}"] if folds is not None else []
    if resume and config is None and (out / "config.yaml").is_file():
        config = out / "config.yaml"
    _show(run(load_config(config, settings, cohort), out, resume, make_progress(quiet)), as_json)


@app.command()
def evaluate(
    study: Annotated[Path, typer.Argument(help="A study's folder, as 'train' wrote it.")], as_json: AsJson = False
) -> None:
    """Summarise a study again from its results: table, summary.csv, report.html.

    Example: tff-affect evaluate runs/mine
    """
    from experiments.train import evaluate as run

    _show(run(study), as_json)


@app.command()
def split(
    cohort: Annotated[Path, typer.Argument(help="The cohort's folder.")],
    override: Annotated[list[str] | None, typer.Option("-o", help="A setting, such as split.scheme=k-fold.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show who would train, develop and test; always whole subjects.

    Example: tff-affect split cohorts/mine -o split.scheme=k-fold -o split.folds=5
    """
    from dataclasses import asdict

    from tff_affect.cohort import Cohort
    from tff_affect.config import load_config
    from tff_affect.splits import make_splits

    config = load_config(None, override, cohort)
    rows = [{"fold": fold, **asdict(s)} for fold, s in enumerate(make_splits(Cohort.open(cohort), config.split))]
    texts = [{k: " ".join(v) if isinstance(v, tuple) else v for k, v in row.items()} for row in rows]
    _print_rows(rows if as_json else texts, as_json)


@app.command()
def doctor(
    smoke: Annotated[bool, typer.Option(help="Also run one round of federated averaging.")] = True,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that round may take.")] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Check the installation; every fault comes with its fix.

    Example: tff-affect doctor --no-smoke
    """
    from dataclasses import asdict

    from tff_affect.doctor import diagnose, smoke_test

    checks = [*diagnose(), *([smoke_test(timeout)] if smoke else [])]
    _print_rows([asdict(check) for check in checks], as_json)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


@data_app.command("inspect")
def data_inspect(
    source: Annotated[Path, typer.Argument(help="A cohort, a RECOLA folder or a table.")],
    column_map: Annotated[str | None, typer.Option("--map", help="For a table: what its columns mean.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything is wrong.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a source is, a row per subject, and what is wrong with it.

    Example: tff-affect data inspect cohorts/mine
    """
    from data_prep.column_map import load_column_map
    from data_prep.inspect import inspect_source

    found = inspect_source(source, load_column_map(column_map) if column_map else None)
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        print(f"{'SYNTHETIC ' if found.synthetic else ''}{found.kind}, {len(found.features)} features")
        _print_rows([_flat(row) for row in found.to_json()["subjects"]], as_json)
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
    source: Annotated[Path, typer.Argument(help="A RECOLA folder or a table.")],
    out: Out,
    column_map: Annotated[
        str | None, typer.Option("--map", help="For a table: a YAML map, or a packaged one's name.")
    ] = None,
    fusion: Annotated[str, typer.Option(help="For RECOLA: mean or ccc_centred.")] = "mean",
    overwrite: Overwrite = False,
) -> None:
    """Write a source as a cohort; all of it, or nothing.

    Example: tff-affect data convert clips.tsv cohorts/clips --map clip_self_report
    """
    from data_prep.convert import convert

    _print_cohort(convert(source, out, column_map, fusion, overwrite=overwrite))


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
        _print_cohort(write_synthetic_cohort(out, config, overwrite))
    elif layout == "recola":
        print(f"SYNTHETIC RECOLA layout of {subjects} subjects: {write_recola_layout(out, config)}")
    else:
        raise InputError(f"--layout: expected cohort or recola, found {layout!r}")


def _print_cohort(cohort: Any) -> None:
    manifest = cohort.manifest
    frames = sum(entry.frames for entry in manifest.subjects)
    print(
        f"{manifest.name}: {len(cohort.subjects)} subjects, {frames} frames, {len(manifest.features)} features, "
        f"labels {', '.join(manifest.labels)}: {cohort.path}"
    )


def _print_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
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


def _show(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        print(json.dumps(outcome.records, indent=1))
        return
    from rich.console import Console

    from tff_affect.evaluation.comparison import comparison_text
    from tff_affect.report.tables import headline_table

    width = None if sys.stdout.isatty() else 100
    Console(width=width).print(headline_table(outcome.summary, outcome.facts.synthetic, outcome.facts.name))
    for dimension, test in outcome.comparisons.items():
        print(f"Federated minus local-only, {dimension}: {comparison_text(test)}")
    print(f"Report: {outcome.report}")


if __name__ == "__main__":
    main()
