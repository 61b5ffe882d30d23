"""``tff-affect anonymize``: images that keep the emotion and lose the person; and how far they do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tff_affect.commands.shared import AsJson, Processes, Quiet, dotted, numbers
from tff_affect.errors import InputError

if TYPE_CHECKING:
    from experiments.face_anonymizer import FrontierOutcome
    from experiments.face_settings import FaceConfig

anonymize_app = typer.Typer(
    help="Train an anonymiser of faces, apply it to images, and see what it keeps and hides.", no_args_is_help=True
)

Faces = Annotated[
    Path | None, typer.Option("--faces", help="Folder of face images; default drawn faces, which are SYNTHETIC.")
]
Layout = Annotated[
    str | None,
    typer.Option("--layout", help="yale, jaffe, london, folders or manifest; default: as the folder looks."),
]
Alignment = Annotated[
    str | None, typer.Option("--alignment", help="How faces are cut out: none (default), haar or facemesh.")
]
Size = Annotated[int | None, typer.Option("--size", help="Side of an image in pixels; default 48.")]
Pictures = Annotated[
    bool, typer.Option("--pictures", help="Also write a picture with ORIGINAL images beside transformed ones.")
]
Override = Annotated[
    list[str] | None, typer.Option("-o", help="A dotted setting, such as anonymizer.steps=500 or drawn.people=30.")
]


@anonymize_app.command("train", short_help="Train one anonymiser on faces.")
def anonymize_train(
    out: Annotated[Path, typer.Argument(help="The folder to write; it must be new or empty.")],
    faces: Faces = None,
    layout: Layout = None,
    alignment: Alignment = None,
    size: Size = None,
    privacy_weight: Annotated[
        float | None, typer.Option("--privacy-weight", help="Weight of identity against emotion; 0 hides nobody.")
    ] = None,
    objective: Annotated[
        str | None, typer.Option("--objective", help="adversary, reversal, entropy or federated.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of who trains and tests, and of training.")] = 0,
    pictures: Pictures = False,
    override: Override = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train one anonymiser on faces; writes it, also as SavedModel and TensorFlow Lite.

    Images of people are only read; none is written unless --pictures asks for it. How well people are hidden the
    training does not show: see 'anonymize evaluate'.

    Example: tff-affect anonymize train models/mine --faces faces/mine --alignment haar --privacy-weight 1
    """
    from experiments.face_anonymizer import train_anonymizer
    from tff_affect.progress import make_progress

    settings = _settings(faces, layout, alignment, size, override)
    settings += [] if privacy_weight is None else [f"anonymizer.privacy_weight={privacy_weight}"]
    settings += [] if objective is None else [f"anonymizer.objective={objective}"]
    outcome = train_anonymizer(out, faces, _config(settings), seed, pictures, make_progress(quiet))
    if as_json:
        report = None if outcome.report is None else outcome.report.to_json()
        print(json.dumps({**outcome.record, "folder": report}, indent=1))
        return
    if outcome.report is not None:
        print(outcome.report.text())
    print(_trained_text(outcome.record))
    print(f"Anonymiser: {out}")


@anonymize_app.command("apply", short_help="Transform all images of a folder.")
def anonymize_apply(
    model: Annotated[Path, typer.Argument(help="The folder that 'anonymize train' wrote.")],
    folder: Annotated[Path, typer.Argument(help="The images, in folders as they may be; it is only read.")],
    out: Annotated[Path, typer.Argument(help="The folder to write, new or empty, and not within FOLDER.")],
    rename: Annotated[
        bool, typer.Option("--rename", help="Number the images in random order, without folders or old names.")
    ] = False,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="With --rename: a CSV of new and old names, outside OUT. It undoes the renaming."),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Transform all images of a folder; writes transformed images as PNG and nothing else, without any metadata.

    Names of folders and files are kept, and may themselves say who it is: --rename. An image that cannot be used is
    named and left out; the exit code is then 1.

    Example: tff-affect anonymize apply models/mine pictures pictures-anonymised --rename
    """
    from experiments.face_apply import NAMES_MAY_TELL, apply_anonymizer, check_places
    from tff_affect.progress import make_progress

    check_places(folder, out, rename, key)
    from tff_affect.anonymizer.saved import load_anonymizer

    found = apply_anonymizer(load_anonymizer(model), folder, out, make_progress(quiet), rename, key)
    if as_json:
        record = {"written": found.written, "skipped": dict(found.skipped), "passed_over": list(found.passed_over)}
        print(json.dumps(record, indent=1))
    else:
        print(f"{found.written} images written, {len(found.passed_over)} files passed over by name: {out}")
    for name, reason in found.skipped.items():
        print(f"tff-affect: skipped {name}: {reason}", file=sys.stderr)
    if found.kept_names:
        print(f"tff-affect: {NAMES_MAY_TELL}", file=sys.stderr)
    if found.skipped:
        raise typer.Exit(1)


@anonymize_app.command("evaluate", short_help="Train at several privacy weights, and judge each.")
def anonymize_evaluate(
    out: Annotated[Path, typer.Argument(help="The folder to write; what an earlier study left there is used.")],
    faces: Faces = None,
    layout: Layout = None,
    alignment: Alignment = None,
    size: Size = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Run seeds 0 to N-1, each with other test people; default 5.")
    ] = None,
    privacy_weights: Annotated[
        str | None, typer.Option("--privacy-weights", help="Such as 0.25,0.5, the default.")
    ] = None,
    objectives: Annotated[
        str | None, typer.Option("--objectives", help="Of adversary,reversal,entropy,federated; default the first.")
    ] = None,
    pictures: Pictures = False,
    override: Override = None,
    processes: Processes = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train at several privacy weights, and judge each by fresh readers and attackers, beside blur, cells and noise.

    Writes results.csv, summary.md, figures and anonymizer.html. Run again it carries out what is missing.

    Example: tff-affect anonymize evaluate runs/faces --seeds 3 --privacy-weights 0.5,2 --processes 4
    """
    from experiments.face_anonymizer import study_frontier
    from tff_affect.progress import make_progress

    settings = _settings(faces, layout, alignment, size, override)
    settings += [] if seeds is None else [f"frontier.seeds={list(range(seeds))}"]
    if privacy_weights is not None:
        settings.append(f"frontier.privacy_weights={list(numbers('--privacy-weights', privacy_weights))}")
    if objectives is not None:
        settings.append(f"frontier.objectives=[{objectives}]")
    outcome = study_frontier(out, faces, _config(settings), pictures, processes, make_progress(quiet))
    _show(outcome, as_json)


def _settings(
    faces: Path | None, layout: str | None, alignment: str | None, size: int | None, override: list[str] | None
) -> list[str]:
    """Dotted settings; options win over ``-o``."""
    for option, value in (("--layout", layout), ("--alignment", alignment)):
        if value is not None and faces is None:
            raise InputError(f"{option}: expected it with --faces alone; drawn faces need none")
    options: dict[str, Any] = {"faces.layout": layout, "faces.alignment": alignment, "faces.size": size}
    return [*(override or []), *(f"{name}={value}" for name, value in options.items() if value is not None)]


def _config(settings: list[str]) -> FaceConfig:
    from experiments.face_settings import face_config

    return face_config(dotted(settings))


def _trained_text(record: Any) -> str:
    head = "SYNTHETIC data: " if record["synthetic"] else ""
    said = (
        f"{head}trained on {record['train_people']} people. Of {record['test_people']} others its own head reads "
        f"emotion with UAR {record['own_emotion_uar']:.3f} (guessing: {record['emotion_chance']:.3f})."
    )
    if record["adversary_accuracy"] is not None:
        named, chance = record["adversary_accuracy"], record["adversary_chance"]
        said += f" The adversary of the training names {named:.1%} of images (guessing: {chance:.1%}): no evidence."
    return f"{said} How well people are hidden, 'tff-affect anonymize evaluate' shows."


def _show(outcome: FrontierOutcome, as_json: bool) -> None:
    from tff_affect.report.faces import faces_caption, faces_records, faces_sheets, verdicts

    if as_json:
        print(json.dumps(faces_records(outcome.rows), indent=1))
        return
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 100)
    if outcome.report is not None:
        print(outcome.report.text())
    for sheet in faces_sheets(outcome.rows, outcome.text):
        console.print(sheet.terminal())
    for line in (faces_caption(outcome.rows, outcome.text), *verdicts(outcome.rows, outcome.text)):
        console.print(line, markup=False, highlight=False)
    print(f"Report: {outcome.page}")
