"""``tff-affect privacy``: what a guarantee costs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tff_affect.commands.shared import AsJson

privacy_app = typer.Typer(help="Plan differential privacy.", no_args_is_help=True)


# A group of its own also while it has one command.
@privacy_app.callback()
def _privacy() -> None:
    pass


@privacy_app.command("plan")
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
