"""The command line. Heavy modules are imported inside the commands that need them."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tff_affect import __version__
from tff_affect.commands.anonymize import anonymize_app
from tff_affect.commands.compare import compare
from tff_affect.commands.completion import ASKED_BY, completion, prepare_completion
from tff_affect.commands.data import data_app
from tff_affect.commands.export import export
from tff_affect.commands.gait import gait_app
from tff_affect.commands.grid import grid
from tff_affect.commands.labels import labels_app
from tff_affect.commands.personalize import personalize
from tff_affect.commands.predict import predict
from tff_affect.commands.privacy import privacy_app
from tff_affect.commands.report import report
from tff_affect.commands.shared import AsJson, OutOrResumed, Processes, Quiet, print_rows
from tff_affect.commands.video import data_video
from tff_affect.commands.worker import worker_app
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
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app.command("video", short_help="Follow the face in each video and write action units.")(data_video)
app.add_typer(data_app, name="data", short_help="Look at sources, convert them to cohorts, generate some.")
app.add_typer(labels_app, name="labels", short_help="Fuse raters, measure their agreement, find the delay.")
app.add_typer(privacy_app, name="privacy", short_help="Plan differential privacy, see its cost, attack its claims.")
app.add_typer(anonymize_app, name="anonymize", short_help="Train an anonymiser of faces, apply it, judge it.")
app.add_typer(gait_app, name="gait", short_help="Take gaits apart into emotion and identity.")
app.add_typer(worker_app, name="worker", short_help="Serve a cohort where it lies, to a driver elsewhere.")

_INTERRUPTED = 130


def main() -> None:
    """Runs the command line; errors of the user are one message on stderr, never a traceback."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if ASKED_BY in os.environ:
        prepare_completion()
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
            hint = "run the same command again (a study: 'tff-affect train FOLDER --resume')"
            print(f"tff-affect: interrupted; {hint}", file=sys.stderr, flush=True)
            # Computations cut off half-way complain as the interpreter ends, of what no user can mend.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
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


@app.command(short_help="Train every way on the embedded SYNTHETIC cohort.")
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


@app.command(short_help="Train federated and its baselines over seeds and folds.")
def train(
    out: OutOrResumed,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with the study's settings.")] = None,
    cohort: Annotated[
        Path | None, typer.Option("--cohort", help="The cohort's folder; short for -o data.cohort=...")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("-o", help="A dotted setting, such as training.rounds=50; all settings: docs/training.md."),
    ] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Run seeds 0 to N-1.")] = None,
    folds: Annotated[
        int | None, typer.Option("--folds", min=2, help="Subject-wise k-fold with this many folds.")
    ] = None,
    processes: Processes = 1,
    workers: Annotated[
        Path | None, typer.Option("--workers", help="YAML file that lists remote workers, which hold the data.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the study in OUT, with its own settings.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Accept a privacy.delta of 1 / subjects or more.")] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write each federated round for TensorBoard.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train federated and its baselines over seeds and folds; ends with a table, CSV files and report.html.

    Example: tff-affect train runs/mine --cohort cohorts/mine --folds 5 --seeds 3 -o training.rounds=50
    """
    from experiments.train import train as run
    from tff_affect.config_file import load_config
    from tff_affect.progress import make_progress

    settings = list(override or [])
    settings += [f"seeds={list(range(seeds))}"] if seeds is not None else []
    settings += ["privacy.force=true"] if force else []
    settings += ["split.scheme=k-fold", f"split.folds={folds}"] if folds is not None else []
    if resume and config is None and (out / "config.yaml").is_file():
        config = out / "config.yaml"
    if workers is not None:
        if cohort is not None or processes != 1:
            other = "--cohort" if cohort is not None else "--processes"
            raise InputError(f"expected --workers alone, found {other} too: the workers hold the data and compute")
        cohort = workers
    study = load_config(config, settings, cohort)
    outcome = run(study, out, resume, make_progress(quiet), processes, hosts=workers, tensorboard=tensorboard)
    _show(outcome, as_json)


@app.command(short_help="Summarise a study again from its results.")
def evaluate(
    study: Annotated[Path, typer.Argument(help="A study's folder, as 'train' wrote it.")], as_json: AsJson = False
) -> None:
    """Summarise a study again from its results: table, summary.csv, report.html.

    Example: tff-affect evaluate runs/mine
    """
    from experiments.train import evaluate as run

    _show(run(study), as_json)


@app.command(short_help="Show who would train, develop and test.")
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
    from tff_affect.config_file import load_config
    from tff_affect.splits import make_splits

    config = load_config(None, override, cohort)
    rows = [{"fold": fold, **asdict(s)} for fold, s in enumerate(make_splits(Cohort.open(cohort), config.split))]
    texts = [{k: " ".join(v) if isinstance(v, tuple) else v for k, v in row.items()} for row in rows]
    print_rows(rows if as_json else texts, as_json)


@app.command(short_help="Check the installation, workers or a job; say what mends it.")
def doctor(
    smoke: Annotated[bool, typer.Option(help="Also run one round of federated averaging.")] = True,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that round may take.")] = 120.0,
    workers: Annotated[
        Path | None, typer.Option("--workers", help="YAML file that lists remote workers: look at those instead.")
    ] = None,
    jobs: Annotated[
        list[Path] | None,
        typer.Option("--jobs", help="A Slurm script or Kubernetes manifests: look at that instead; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the installation, the workers of a study or a job that starts them; every fault comes with its fix.

    Example: tff-affect doctor --no-smoke
    """
    from dataclasses import asdict

    from tff_affect.doctor import diagnose, smoke_test
    from tff_affect.progress import STARTING, make_progress

    checks = []
    if workers is not None:
        from tff_affect.doctor_workers import diagnose_workers

        checks += diagnose_workers(workers)
    if jobs:
        from tff_affect.doctor_jobs import diagnose_jobs

        checks += diagnose_jobs(jobs)
    if workers is None and not jobs:
        checks = diagnose()
        if smoke:
            make_progress(quiet=as_json).say(STARTING)
            checks.append(smoke_test(timeout))
    print_rows([asdict(check) for check in checks], as_json)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


app.command("grid", short_help="Train every variant every way under one protocol.")(grid)
app.command("export", short_help="Write a trained model as TFLite, ONNX or SavedModel.")(export)
app.command("predict", short_help="Predict perceived affect of new recordings.")(predict)
app.command("personalize", short_help="Adapt a study's federated model to each test client.")(personalize)
app.command("compare", short_help="Compare studies, or methods of one, client by client.")(compare)
app.command("completion", short_help="Print a script by which a shell completes commands.")(completion)
app.command("report", short_help="Write report.html, and the CSV of every figure.")(report)


def _show(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        print(json.dumps(outcome.records, indent=1))
        return
    from rich.console import Console

    from tff_affect.evaluation.comparison import comparison_text
    from tff_affect.report.tables import headline_table

    width = None if sys.stdout.isatty() else 100
    facts, leading = outcome.facts, outcome.leading
    table = headline_table(outcome.summary, facts.synthetic, facts.name, privacy=outcome.privacy)
    Console(width=width).print(table)
    if outcome.privacy.methods:
        print(f"{outcome.privacy.text()}\n")
    for dimension, test in outcome.comparisons.items():
        print(f"{leading[:1].upper()}{leading[1:]} minus local-only, {dimension}: {comparison_text(test)}")
    print(f"Report: {outcome.report}")


if __name__ == "__main__":
    main()
