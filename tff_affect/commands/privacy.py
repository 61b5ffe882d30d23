"""``tff-affect privacy``: what a guarantee takes, what it costs, and what attacks find beside it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tff_affect.commands.audit import privacy_audit, privacy_compare
from tff_affect.commands.shared import AsJson, Quiet, numbers
from tff_affect.errors import InputError

privacy_app = typer.Typer(
    help="Plan differential privacy, see what it costs, and attack what it claims.", no_args_is_help=True
)


@privacy_app.command("plan", short_help="What a guarantee takes, before anything is trained.")
def privacy_plan(
    epsilon: Annotated[float | None, typer.Option("--epsilon", help="The guarantee.")] = None,
    noise_multiplier: Annotated[
        float | None, typer.Option("--noise-multiplier", help="Standard deviation of the noise over the clipping norm.")
    ] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", help="Rounds of training.")] = None,
    clients: Annotated[int | None, typer.Option("--clients", help="Training subjects.")] = None,
    clients_per_round: Annotated[
        int, typer.Option("--clients-per-round", help="Expected subjects of a round; 0 is all.")
    ] = 0,
    delta: Annotated[float | None, typer.Option("--delta", help="Default 1 / (10 x subjects).")] = None,
    sampling: Annotated[str, typer.Option("--sampling", help="poisson or fixed-size.")] = "poisson",
    adjacency: Annotated[
        str | None,
        typer.Option(
            "--adjacency", help="add-remove, zero-out or replace-one; default add-remove, fixed-size: replace-one."
        ),
    ] = None,
    model: Annotated[str, typer.Option("--model", help="The network, for its number of weights.")] = "lstm",
    units: Annotated[int, typer.Option("--units", help="Units of each of its layers.")] = 32,
    layers: Annotated[int, typer.Option("--layers", help="Its recurrent layers.")] = 1,
    features: Annotated[int, typer.Option("--features", help="Features of a frame.")] = 17,
    labels: Annotated[int, typer.Option("--labels", help="Label dimensions.")] = 2,
    parameters: Annotated[
        int | None, typer.Option("--parameters", help="Number of weights, instead of a model.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw noise over signal: a .png or .svg file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Accept a delta of 1 / subjects or more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Of epsilon, noise multiplier, rounds and clients leave one out: it is found, and the noise is judged.

    Protects all of a subject's data. The table carries the guarantee over to more and fewer subjects.

    Example: tff-affect privacy plan --epsilon 4 --rounds 20 --clients 27 --model lstm --units 16
    """
    from tff_affect.config import ModelConfig
    from tff_affect.models.parameters import count_parameters
    from tff_affect.privacy.planner import Question, make_plan
    from tff_affect.privacy_config import PrivacyConfig
    from tff_affect.report.privacy_plan import check_figure_path, write_plan_figure

    if plot is not None:
        check_figure_path(plot)
    if parameters is None:
        parameters = count_parameters(ModelConfig(model, units, layers), features, labels)
    neighbours = adjacency or ("replace-one" if sampling == "fixed-size" else "add-remove")
    privacy = PrivacyConfig(noise_multiplier, sampling=sampling, adjacency=neighbours, delta=delta, force=force)
    plan = make_plan(Question(clients, rounds, epsilon, clients_per_round, parameters, privacy))
    if plot is not None:
        write_plan_figure(plot, plan)
    if as_json:
        print(json.dumps(plan.to_json(), indent=1))
        return
    from rich.console import Console

    from tff_affect.report.privacy_plan import plan_table

    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(plan.text(), markup=False, highlight=False)
    console.print(plan_table(plan))
    if plot is not None:
        print(f"Figure: {plot}")


@privacy_app.command("sweep", short_help="What a guarantee costs: CCC against epsilon.")
def privacy_sweep(
    out: Annotated[Path, typer.Argument(help="The folder to write; what an earlier sweep left there is used.")],
    cohort: Annotated[
        list[Path] | None, typer.Option("--cohort", help="A cohort's folder; several, of different sizes, if repeated.")
    ] = None,
    subjects: Annotated[
        str | None, typer.Option("--subjects", help="Instead: sizes of SYNTHETIC cohorts, such as 27,300,3000.")
    ] = None,
    epsilon: Annotated[str, typer.Option("--epsilon", help="Guarantees, such as 1,4; noise is searched for.")] = "",
    noise_multiplier: Annotated[str, typer.Option("--noise-multiplier", help="Or noise, such as 0.5,1.")] = "",
    clip: Annotated[str, typer.Option("--clip", help="Clipping norms, such as 0.3,1.")] = "1",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs of each point.")] = 5,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with the settings of all.")] = None,
    override: Annotated[list[str] | None, typer.Option("-o", help="A setting, such as training.rounds=50.")] = None,
    processes: Annotated[
        int, typer.Option("--processes", min=0, help="Runs carried out side by side; 0 is one for each core.")
    ] = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train at several noises and clipping norms, and without privacy: CCC against epsilon, and who pays.

    Writes tradeoff.csv, fairness.csv, tradeoff.md and figures. Run again with more points it computes what is missing.

    Example: tff-affect privacy sweep runs/cost --cohort cohorts/mine --epsilon 1,2,4,8 --clip 0.3,1
    """
    from experiments.cohort_scaling import synthetic_cohorts
    from experiments.dp_tradeoff import TradeoffRequest, run
    from experiments.sweep import SweepGrid, check_sweep_folder
    from tff_affect.progress import make_progress

    if bool(cohort) == bool(subjects):
        raise InputError("privacy sweep: expected --cohort, or --subjects for SYNTHETIC cohorts, and not both")
    progress = make_progress(quiet)
    noises = numbers("--noise-multiplier", noise_multiplier)
    grid = SweepGrid(numbers("--epsilon", epsilon), noises, numbers("--clip", clip), seeds)
    check_sweep_folder(out)
    sizes = tuple(int(size) for size in numbers("--subjects", subjects or ""))
    cohorts = tuple(cohort or synthetic_cohorts(out, sizes, progress))
    outcome = run(out, TradeoffRequest(cohorts, grid, config, tuple(override or ())), processes, progress)
    if as_json:
        print(outcome.rows.to_json(orient="records", indent=1))
        return
    from rich.console import Console

    from tff_affect.report.tradeoff import fairness_sheets, tradeoff_caption, tradeoff_sheets, verdicts

    console = Console(width=None if sys.stdout.isatty() else 100)
    shown = outcome.falls[outcome.falls["point"].isin(outcome.rows["point"])]
    for sheet in (*tradeoff_sheets(outcome.rows, outcome.text), *fairness_sheets(shown, outcome.text)):
        console.print(sheet.terminal())
    for line in (tradeoff_caption(outcome.rows, outcome.text), *verdicts(outcome.rows, outcome.text)):
        console.print(line, markup=False, highlight=False)
    print(f"Tables and figures: {out}")


privacy_app.command("audit", short_help="Attack a run, and compare with what it claims.")(privacy_audit)
privacy_app.command("compare", short_help="Attack one training under several protections.")(privacy_compare)
