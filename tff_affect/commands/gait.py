"""``tff-affect gait``: what is felt and who walks, taken apart; how far that goes, and where emotion is seen."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tff_affect.commands.shared import AsJson, Processes, Quiet, dotted
from tff_affect.errors import InputError

if TYPE_CHECKING:
    from experiments.gait_disentanglement import StudyOutcome
    from experiments.gait_settings import GaitExperiment

gait_app = typer.Typer(
    help="Take gaits apart into emotion and identity, judge it, and explain what speaks for an emotion.",
    no_args_is_help=True,
)

Walks = Annotated[
    Path | None, typer.Option("--walks", help="Folder of recordings; default drawn walkers, which are SYNTHETIC.")
]
Layout = Annotated[
    str | None, typer.Option("--layout", help="glasgow, folders or manifest; default: as the folder looks.")
]
JointMap = Annotated[
    str | None,
    typer.Option("--joint-map", help="A packaged joint map or a YAML file; default: as the names of points look."),
]
Override = Annotated[
    list[str] | None, typer.Option("-o", help="A dotted setting, such as gait.steps=300 or drawn.people=24.")
]


@gait_app.command("train", short_help="Train the encoders and the decoder.")
def gait_train(
    out: Annotated[Path, typer.Argument(help="The folder to write; it must be new or empty.")],
    walks: Walks = None,
    layout: Layout = None,
    joint_map: JointMap = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of who trains, and of training.")] = 0,
    override: Override = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train the emotion encoder, the biometric encoder and the decoder on gaits; writes them.

    Walks are only read. How well people are hidden the training does not show: see 'gait evaluate'.

    Example: tff-affect gait train models/gait --walks walks/mine
    """
    from experiments.gait_disentanglement import train_gait
    from tff_affect.progress import make_progress

    config = _config(walks, layout, joint_map, override)
    outcome = train_gait(out, walks, config, seed, make_progress(quiet))
    if as_json:
        report = None if outcome.report is None else outcome.report.to_json()
        print(json.dumps({**outcome.record, "folder": report}, indent=1))
        return
    if outcome.report is not None:
        print(outcome.report.text())
    print(_trained_text(outcome.record))
    print(f"Networks: {out}")


@gait_app.command("evaluate", short_help="Read emotion in people left out, and attack the codes.")
def gait_evaluate(
    out: Annotated[Path, typer.Argument(help="The folder to write; what an earlier study left there is used.")],
    walks: Walks = None,
    layout: Layout = None,
    joint_map: JointMap = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Run seeds 0 to N-1, each with other strangers; default 3.")
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Also draw how strangers walk, which identifies them.")
    ] = False,
    override: Override = None,
    processes: Processes = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Read emotion in people who were left out, attack codes of strangers, and leave each loss out by turns.

    Writes emotion.csv, identity.csv, judged.csv, explained.csv, summary.csv, summary.md, figures and gait.html, and
    keeps the trained networks in parts/. Run again it carries out what is missing.

    Example: tff-affect gait evaluate runs/gait --seeds 1 -o study.shallow=false --processes 4
    """
    from experiments.gait_disentanglement import study_gaits
    from tff_affect.progress import make_progress

    settings = [] if seeds is None else [f"study.seeds={list(range(seeds))}"]
    config = _config(walks, layout, joint_map, [*(override or []), *settings])
    _show(study_gaits(out, walks, config, pictures, processes, make_progress(quiet)), as_json)


@gait_app.command("explain", short_help="Say which joints spoke for which emotion.")
def gait_explain(
    model: Annotated[Path, typer.Argument(help="The folder that 'gait train' wrote.")],
    walks: Annotated[Path, typer.Argument(help="Folder of recordings; it is only read.")],
    out: Annotated[Path, typer.Argument(help="The folder to write; it must be new or empty.")],
    layout: Layout = None,
    joint_map: JointMap = None,
    codes: Annotated[
        bool, typer.Option("--codes", help="Also write both codes of each cycle; biometric ones identify people.")
    ] = False,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Also draw how people walk, which identifies them.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Say for which emotion each gait cycle is taken, and which joints at which phase speak for it (Guided Grad-CAM).

    Writes emotions.csv, importance.csv and a heat map.

    Example: tff-affect gait explain models/gait walks/mine explained/mine
    """
    from experiments.gait_explain import explain_walks
    from tff_affect.progress import make_progress

    found = explain_walks(out, model, walks, layout, joint_map, codes, pictures, make_progress(quiet))
    if as_json:
        record = {"synthetic": found.synthetic, "cycles": found.emotions.to_dict("records")}
        print(json.dumps({**record, "folder": found.report.to_json()}, indent=1))
        return
    print(found.report.text())
    counts = found.emotions["read"].value_counts()
    head = "SYNTHETIC, or learned from SYNTHETIC walkers: " if found.synthetic else ""
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(
        f"{head}{len(found.emotions)} gait cycles taken for {said}. That is what a walk looks like, not what is felt."
    )
    print(f"Heat map and tables: {out}")


def _config(
    walks: Path | None, layout: str | None, joint_map: str | None, override: list[str] | None
) -> GaitExperiment:
    """Dotted settings; options win over ``-o``."""
    from experiments.gait_settings import gait_experiment

    for option, value in (("--layout", layout), ("--joint-map", joint_map)):
        if value is not None and walks is None:
            raise InputError(f"{option}: expected it with --walks alone; drawn walkers need none")
    options = {"layout": layout, "joint_map": joint_map}
    return gait_experiment(
        dotted(override or []), {name: value for name, value in options.items() if value is not None}
    )


def _trained_text(record: Any) -> str:
    head = "SYNTHETIC data: " if record["synthetic"] else ""
    return (
        f"{head}trained on {record['people']} people. In {record['strangers']} others emotion is read from codes with "
        f"UAR {record['emotion_uar']:.3f} (guessing: {record['emotion_chance']:.3f}); cycles are drawn with "
        f"{record['reconstruction']:.0%} of the mean gait's squared error. How well people are hidden, 'tff-affect "
        "gait evaluate' shows."
    )


def _show(outcome: StudyOutcome, as_json: bool) -> None:
    from tff_affect.report.gait import gait_caption, gait_records, gait_sheets, verdicts

    if as_json:
        report = None if outcome.report is None else outcome.report.to_json()
        record = {"synthetic": outcome.text.synthetic, **gait_records(outcome.results), "folder": report}
        print(json.dumps(record, indent=1))
        return
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 100)
    if outcome.report is not None:
        print(outcome.report.text())
    for sheet in gait_sheets(outcome.results, outcome.text):
        console.print(sheet.terminal())
    for line in (gait_caption(outcome.results, outcome.text), *verdicts(outcome.results, outcome.text)):
        console.print(line, markup=False, highlight=False)
    print(f"Report: {outcome.page}")
