"""The face anonymiser: trained, saved and exported; and the frontier of what it keeps and hides, beside simple means.

Each part of a study is kept in a file of its own, so that a study that was cut off goes on where it was. Original
images of a folder are read into memory and never written, unless pictures are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_prep.face_report import FaceReport
from data_prep.faces import read_faces
from data_prep.synthetic_faces import SyntheticFacesConfig, draw_faces
from experiments.face_apply import check_new
from experiments.face_jobs import (
    REBUILT,
    SINGLE_TASK,
    TRANSFORMED,
    Part,
    Transformation,
    WithNoise,
    parts_of,
    read_part,
    read_pictures,
    run_parts,
)
from experiments.face_settings import FaceConfig, divide
from experiments.face_training import train_on
from experiments.study_folder import PARTS, check_study, fingerprint, make_parts, start
from tff_affect.anonymizer.baselines import Blur, Unchanged
from tff_affect.anonymizer.config import IDENTITY_ONLY
from tff_affect.anonymizer.reconstruction import Pairs
from tff_affect.atomic import replace_bytes, replace_text
from tff_affect.cohort import new_folder
from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet
from tff_affect.plain_json import plain
from tff_affect.progress import Progress, counted
from tff_affect.report.data_text import of_folder
from tff_affect.report.face_grid import GRID_NAME, face_grid, rows_to_show
from tff_affect.report.faces import FacesText, write_faces_tables
from tff_affect.report.faces_page import write_faces_page
from tff_affect.report.faces_plot import adversary_plot, frontier_plot
from tff_affect.report.tables import SYNTHETIC
from tff_affect.report.tables import counted as said_count
from tff_affect.report.tradeoff_plot import write_drawing
from tff_affect.run_folder import locked, write_json

HISTORY, FACES = "training.csv", "faces.json"
_SHOWN_BLUR = 4.0
_MOST_WEIGHTS = 5
_GRID_TITLE = "Test people, and what is made of them"


@dataclass(frozen=True)
class Source:
    """Faces in memory, and where they are from.

    Attributes:
        faces: All of them.
        report: What became of each file of a folder; None where faces were drawn.
    """

    faces: FaceSet
    report: FaceReport | None = None

    @property
    def text(self) -> FacesText:
        """For tables and figures."""
        remarks = of_folder(0 if self.report is None else len(self.report.dropped))
        return FacesText(self.faces.name, self.faces.synthetic, remarks)

    @property
    def fingerprint(self) -> str:
        """Of images, people and emotions, whatever the files are called."""
        return fingerprint(self.faces.images, self.faces)


def read_source(folder: Path | None, config: FaceConfig, progress: Progress) -> Source:
    """Reads a folder of images, or draws SYNTHETIC faces where there is none.

    Raises:
        InputError: If the folder cannot be read or holds too few faces.
    """
    if folder is None:
        drawn = config.drawn
        progress.say(f"drawing {said_count(drawn.people, SYNTHETIC + ' face').replace('faces', 'people')}")
        return Source(draw_faces(SyntheticFacesConfig(drawn.people, drawn.images, config.faces.size, drawn.seed)))
    with counted(progress, "Images") as step:
        return Source(*read_faces(folder, config.faces, step))


@dataclass(frozen=True)
class TrainedOutcome:
    """What a training gave.

    Attributes:
        record: Figures and facts, of JSON's types.
        report: What became of each file of a folder; None where faces were drawn.
    """

    record: Mapping[str, Any]
    report: FaceReport | None


def train_anonymizer(
    out: Path, folder: Path | None, config: FaceConfig, seed: int, pictures: bool, progress: Progress
) -> TrainedOutcome:
    """Trains one anonymiser and writes it and its exports; all of it, or nothing, and no name of a file or person.

    Args:
        out: The folder to write, new or empty.
        folder: Of images; None for drawn faces.
        config: All settings.
        seed: Of the division of people and of the training.
        pictures: Whether a picture of test people, original and transformed, is written too.
        progress: Shows how far training is.

    Raises:
        InputError: For settings or faces that do not do.
        RunError: If training fails.
    """
    check_new(out)
    if config.anonymizer.objective == IDENTITY_ONLY:
        raise InputError(f"anonymizer.objective: {IDENTITY_ONLY} is trained to recognise people; it belongs to studies")
    source = read_source(folder, config, progress)
    faces = source.faces
    split = divide(faces, config.division, seed)
    from tff_affect.anonymizer.export import export_transformation
    from tff_affect.anonymizer.saved import save_anonymizer
    from tff_affect.emotion_scores import score_emotions

    test = faces.of(split.test)
    with counted(progress, "Training") as step:
        anonymizer = train_on(faces, split, config, seed, step)
    transformation = WithNoise(anonymizer.transform, seed)
    own = score_emotions(anonymizer.emotion(transformation(test.images)), test, anonymizer.classes, seed)
    facts = {
        "faces": faces.name if source.report is None else source.report.layout,
        "synthetic": faces.synthetic, "seed": seed, "images": len(faces),
        "train_people": len(split.train), "development_people": len(split.development),
        "test_people": len(split.test), "own_emotion_uar": own.uar, "emotion_chance": own.chance,
        "adversary_accuracy": anonymizer.adversary_accuracy, "adversary_chance": 1 / anonymizer.adversary_people,
    }  # fmt: skip
    record = plain(facts)
    with new_folder(out) as place:
        export_transformation(anonymizer.transformation, place)
        history = pd.DataFrame(anonymizer.history)
        replace_text(place / HISTORY, history.to_csv(index=False, lineterminator="\n"))
        if pictures:
            replace_bytes(place / GRID_NAME, _pair_grid(test, transformation, faces.synthetic))
        save_anonymizer(place, anonymizer, asdict(config.faces), record)
    return TrainedOutcome(record, source.report)


def _pair_grid(test: FaceSet, transformation: Transformation, synthetic: bool) -> bytes:
    rows = rows_to_show(test)
    columns = {"original": test.images[rows], "transformed": transformation(test.images)[rows]}
    return face_grid(columns, _row_names(test, rows), _GRID_TITLE, synthetic)


def _row_names(test: FaceSet, rows: np.ndarray) -> list[str]:
    """By number: a picture need not say what its people are called."""
    people = {
        person: f"person {number}" for number, person in enumerate(dict.fromkeys(test.subjects[r] for r in rows), 1)
    }
    return [f"{people[test.subjects[row]]}\n{test.emotions[row]}" for row in rows]


@dataclass(frozen=True)
class FrontierOutcome:
    """What a study gave.

    Attributes:
        results: A row for each transformation, strength and seed.
        rows: Their summary over seeds.
        text: What is said with them.
        page: The HTML page.
        report: What became of each file of a folder; None where faces were drawn.
    """

    results: pd.DataFrame
    rows: pd.DataFrame
    text: FacesText
    page: Path
    report: FaceReport | None


def study_frontier(
    out: Path, folder: Path | None, config: FaceConfig, pictures: bool, processes: int, progress: Progress
) -> FrontierOutcome:
    """Trains and judges every objective at every privacy weight and seed, beside blur, pixelation and noise.

    Run again, it carries out what is missing. Writes ``results.csv``, ``summary.csv``, ``summary.md``, figures,
    ``anonymizer.html``, and of a folder ``faces.json``.

    Args:
        out: The study's folder.
        folder: Of images; None for drawn faces.
        config: All settings.
        pictures: Whether test people are shown, original, transformed and rebuilt; drawn faces always are.
        processes: Transformations judged side by side; 0 for one a core.
        progress: Shows how far the study is.

    Raises:
        InputError: For settings or faces that do not do, or a folder that holds something else.
        RunError: If a process died.
    """
    check_study(out, "anonymisers")
    source = read_source(folder, config, progress)
    for seed in config.frontier.seeds:
        test = source.faces.of(divide(source.faces, config.division, seed).test)
        # What cannot be attacked is said before anything is trained.
        config.attacks.expose(Pairs(test, test), seed, Unchanged(), draws=1)
    place = make_parts(out)
    with locked(out):
        _start(out, source, config)
        shows = pictures or source.faces.synthetic
        asked = parts_of(config.frontier)
        first = config.frontier.seeds[0]
        parts = {part: shows and part.seed == first and _is_shown(part, config) for part in asked}
        run_parts(place, parts, source.faces, config, processes, progress)
        results = pd.DataFrame([read_part(place, part) for part in asked])
        return _write(out, source, config, results, [part for part, kept in parts.items() if kept])


def _start(out: Path, source: Source, config: FaceConfig) -> None:
    shared = asdict(config)
    del shared["frontier"]
    facts = {"faces": source.faces.name, "images": source.fingerprint, "settings": shared}
    start(out, facts, {name: name for name in facts}, "more seeds, weights, objectives and strengths")


def _is_shown(part: Part, config: FaceConfig) -> bool:
    """Whether the picture grid has it: emotion only, the first objective at several weights, and one blur."""
    frontier = config.frontier
    if part.kind in SINGLE_TASK:
        return part.kind == next(iter(SINGLE_TASK))
    if part.trained:
        return part.kind == frontier.objectives[0] and part.strength in frontier.privacy_weights[:_MOST_WEIGHTS]
    return part.kind == Blur.name and part.strength == min(frontier.blur, key=lambda sigma: abs(sigma - _SHOWN_BLUR))


def _write(
    out: Path, source: Source, config: FaceConfig, results: pd.DataFrame, shown: Sequence[Part]
) -> FrontierOutcome:
    text = source.text
    rows = write_faces_tables(out, results, text)
    write_drawing(out, "frontier", frontier_plot(results, rows, text))
    drawn = adversary_plot(rows, text)
    if drawn is not None:
        write_drawing(out, "adversary", drawn)
    grid = _grid(out / PARTS, source, config, shown) if shown else None
    if grid is not None:
        replace_bytes(out / GRID_NAME, grid)
    if source.report is not None:
        write_json(out / FACES, source.report.to_json())
    return FrontierOutcome(results, rows, text, write_faces_page(out, results, rows, text, grid), source.report)


def _grid(folder: Path, source: Source, config: FaceConfig, shown: Sequence[Part]) -> bytes:
    """Originals, each weight of the first objective, what the strongest weight's were rebuilt to, and a blur."""
    faces = source.faces
    test = faces.of(divide(faces, config.division, shown[0].seed).test)
    rows = rows_to_show(test)
    columns = {"original": test.images[rows]}
    trained = sorted((part for part in shown if part.trained), key=lambda part: part.strength)
    for part in trained:
        columns[f"weight {part.strength:g}" if part.strength else part.kind] = read_pictures(folder, part)[TRANSFORMED]
    for part in trained[-1:]:
        found = read_pictures(folder, part)
        if REBUILT in found:
            columns[f"rebuilt from\nweight {part.strength:g}"] = found[REBUILT]
    for part in (part for part in shown if not part.trained):
        columns[f"{part.kind} {part.strength:g}"] = read_pictures(folder, part)[TRANSFORMED]
    return face_grid(columns, _row_names(test, rows), _GRID_TITLE, faces.synthetic)
