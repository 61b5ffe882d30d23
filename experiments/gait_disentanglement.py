"""Gaits taken apart: networks trained and saved; and the study of what they keep and hide, beside simpler readers.

Each part of a study is kept in a file of its own, so that a study that was cut off goes on where it was. Walks of a
folder are read into memory and never written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_prep.gait_report import GaitReport
from data_prep.mocap import read_walks
from data_prep.synthetic_walkers import draw_walkers
from experiments.gait_explain import FIGURES, HEAT_MAP, SWAP, explain_study
from experiments.gait_jobs import (
    FEATURES,
    FEDERATED,
    LOSO,
    NETWORKS,
    REFERENCE,
    SHALLOW,
    STRANGERS,
    Part,
    left_out,
    parts_of,
    read_loso,
    read_part,
    run_parts,
)
from experiments.gait_settings import GaitExperiment, divide, preparation, walkers
from experiments.study_folder import PARTS, check_study, fingerprint, make_parts, start
from tff_affect.atomic import replace_text
from tff_affect.cohort import new_folder
from tff_affect.emotion_scores import check_emotions, score_emotions
from tff_affect.errors import InputError
from tff_affect.gait.bone_tree import bones_of
from tff_affect.gait.evaluation import Judgement
from tff_affect.gait.identity import exposed_gaits
from tff_affect.gait.shallow import raw_joints
from tff_affect.gait_set import GaitSet
from tff_affect.plain_json import plain
from tff_affect.progress import Progress, counted
from tff_affect.report.data_text import of_folder
from tff_affect.report.gait import GaitResults, GaitText, write_gait_tables
from tff_affect.report.gait_page import write_gait_page
from tff_affect.report.gait_plot import emotion_plot, identity_plot
from tff_affect.report.gait_verdicts import FULL, RAW
from tff_affect.report.tables import SYNTHETIC
from tff_affect.report.tables import counted as said_count
from tff_affect.report.tradeoff_plot import write_drawing
from tff_affect.run_folder import locked, write_json

HISTORY, WALKS = "training.csv", "walks.json"
_DRAWING = (
    "reconstruction_cm", "swap_emotion", "drawn_emotion", "swap_identity", "drawn_identity", "biometric_code_top1",
    "biometric_code_together", "biometric_emotion",
)  # fmt: skip
_UNTRAINED: Mapping[str, tuple[str, ...]] = {"emotion": ("accuracy", "uar"), "game": _DRAWING}
"""What is left out -> figures of networks that then were not trained, which say nothing."""
_CAPTIONS = {
    HEAT_MAP: "Which joints, at which phases, speak for each emotion: Guided Grad-CAM, mean over strangers' cycles",
    FIGURES: "The same over the whole cycle, by joint",
    SWAP: "Cycles of two strangers, and one with the emotion of the other",
}


@dataclass(frozen=True)
class Source:
    """Gaits in memory, and where they are from.

    Attributes:
        gaits: All of them.
        report: What became of each file of a folder; None where walkers were drawn.
    """

    gaits: GaitSet
    report: GaitReport | None = None

    @property
    def text(self) -> GaitText:
        """For tables and figures."""
        remarks = of_folder(0 if self.report is None else len(self.report.dropped))
        return GaitText(self.gaits.name, self.gaits.synthetic, remarks)


def read_source(folder: Path | None, config: GaitExperiment, progress: Progress) -> Source:
    """Reads a folder of walks, or draws SYNTHETIC walkers where there is none.

    Raises:
        InputError: If the folder cannot be read or holds too little.
    """
    if folder is None:
        progress.say(f"drawing {said_count(config.drawn.people, SYNTHETIC + ' walker')}")
        return Source(draw_walkers(walkers(config.drawn), config.walks))
    with counted(progress, "Walks") as step:
        return Source(*read_walks(folder, config.walks, step))


@dataclass(frozen=True)
class TrainedOutcome:
    """What a training gave.

    Attributes:
        record: Figures and facts, of JSON's types.
        report: What became of each file of a folder; None where walkers were drawn.
    """

    record: Mapping[str, Any]
    report: GaitReport | None


def train_gait(out: Path, folder: Path | None, config: GaitExperiment, seed: int, progress: Progress) -> TrainedOutcome:
    """Trains encoders and decoder and writes them; all of it, or nothing, and no name of a file or person.

    Args:
        out: The folder to write, new or empty.
        folder: Of walks; None for drawn walkers.
        config: All settings.
        seed: Of the division of people and of the training.
        progress: Shows how far training is.

    Raises:
        InputError: For settings or walks that do not do.
        RunError: If training fails.
    """
    with new_folder(out) as place:
        source = read_source(folder, config, progress)
        study, strangers = divide(source.gaits, config.study, seed)
        from tff_affect.gait.saved import save_disentangler
        from tff_affect.gait.training import train

        with counted(progress, "Training") as step:
            networks = train(study, strangers, config.gait, seed, step)
        scores = score_emotions(networks.emotion(strangers, seed), strangers, networks.classes, seed)
        facts = {
            "walks": source.gaits.name if source.report is None else source.report.layout,
            "synthetic": source.gaits.synthetic, "seed": seed, "cycles": len(study),
            "people": len(study.people), "strangers": len(strangers.people), "emotion_uar": scores.uar,
            "emotion_chance": scores.chance, "reconstruction": networks.history[-1]["reconstruction"],
        }  # fmt: skip
        record = plain(facts)
        history = pd.DataFrame(networks.history).assign(synthetic=source.gaits.synthetic)
        replace_text(place / HISTORY, history.to_csv(index=False, lineterminator="\n"))
        save_disentangler(place, networks, preparation(config.walks), record)
    return TrainedOutcome(record, source.report)


@dataclass(frozen=True)
class StudyOutcome:
    """What a study gave.

    Attributes:
        results: All figures.
        text: What is said with them.
        page: The HTML page.
        report: What became of each file of a folder; None where walkers were drawn.
    """

    results: GaitResults
    text: GaitText
    page: Path
    report: GaitReport | None


def study_gaits(
    out: Path, folder: Path | None, config: GaitExperiment, pictures: bool, processes: int, progress: Progress
) -> StudyOutcome:
    """Reads emotion in people who were left out, and judges by strangers what is kept and hidden, with each seed.

    Run again, it carries out what is missing.

    Args:
        out: The study's folder.
        folder: Of walks; None for drawn walkers.
        config: All settings.
        pictures: Whether gaits of strangers are drawn, as they are and with another's emotion; drawn walkers always
            are.
        processes: Parts carried out side by side; 0 for one a core.
        progress: Shows how far the study is.

    Raises:
        InputError: For settings or walks that do not do, or a folder that holds something else.
        RunError: If a process died.
    """
    check_study(out, "gaits")
    source = read_source(folder, config, progress)
    gaits = source.gaits
    people = _check(gaits, config)
    place = make_parts(out)
    with locked(out):
        shared = asdict(config) | {"walks": preparation(config.walks)}
        del shared["study"]
        facts = {
            "walks": gaits.name, "motions": fingerprint(gaits.series, gaits, gaits.take.tolist()),
            "strangers": config.study.strangers, "reversal": config.study.reversal, "settings": shared,
        }  # fmt: skip
        told = {name: name for name in facts}
        start(out, facts, told, "more seeds and ablations")
        parts = parts_of(config.study, people)
        run_parts(place, parts, gaits, config, processes, progress)
        return _write(out, source, config, pictures or gaits.synthetic, progress)


def _check(gaits: GaitSet, config: GaitExperiment) -> int:
    """What cannot be studied is said before anything is trained.

    Returns:
        How many people are left out by turns.
    """
    bones_of(gaits)
    for seed in config.study.seeds:
        study, strangers = divide(gaits, config.study, seed)
        check_emotions(strangers, study.classes)
        for person in study.people if config.study.leave_one_out else ():
            check_emotions(study.of([person]), study.part(np.array(study.subjects) != person).classes)
        if len(exposed_gaits(strangers, raw_joints(strangers), seed).people) < 2:
            raise InputError(
                "gait: expected two strangers or more with two recordings each, by whom codes are attacked"
            )
    return len(study.people)


def _write(out: Path, source: Source, config: GaitExperiment, pictures: bool, progress: Progress) -> StudyOutcome:
    progress.say("explaining networks and writing tables")
    networks = {seed: out / PARTS / Part(STRANGERS, FULL, seed).name for seed in config.study.seeds}
    explained, drawings = explain_study(networks, source.gaits, config, source.report is None, pictures)
    results, text = GaitResults(*_frames(out, source.gaits, config), explained), source.text
    write_gait_tables(out, results, text)
    for name, drawing in {"emotion": emotion_plot(results, text), "identity": identity_plot(results, text)}.items():
        if drawing is not None:
            write_drawing(out, name, drawing)
    for name, drawing in drawings.items():
        write_drawing(out, name, drawing)
    if source.report is not None:
        write_json(out / WALKS, source.report.to_json())
    shown = {_CAPTIONS[name]: (drawing[1], _CAPTIONS[name]) for name, drawing in drawings.items()}
    page = write_gait_page(out, results, text, shown)
    return StudyOutcome(results, text, page, source.report)


def _frames(out: Path, gaits: GaitSet, config: GaitExperiment) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Emotion in who was left out; what gives strangers away; what strangers say of networks."""
    place, emotion, identity, judged = out / PARTS, [], [], []
    for seed in config.study.seeds:
        study, _ = divide(gaits, config.study, seed)
        if config.study.leave_one_out:
            emotion += _left_out(place, study, config, seed)
        for shown in (RAW, FEATURES):
            identity.append({"seen": shown, "seed": seed, **read_part(place, Part(REFERENCE, shown, seed))})
        codes = read_part(place, Part(STRANGERS, FULL, seed))
        for shown in ("emotion", "biometric"):
            identity.append({"seen": f"{shown} code", "seed": seed, **codes[f"{shown}_code"]})
        for name in (FULL, *left_out(config.study, seed)):
            row = Judgement.from_json(read_part(place, Part(STRANGERS, name, seed))).row()
            judged.append({"left_out": name, "seed": seed, **row, **dict.fromkeys(_UNTRAINED.get(name, ()), None)})
        if config.study.federated:
            shared = read_part(place, Part(FEDERATED, FULL, seed))
            identity.append({"seen": "federated emotion code", "seed": seed, **shared["emotion_code"]})
    return pd.DataFrame(emotion), pd.DataFrame(identity), pd.DataFrame(judged)


def _left_out(place: Path, study: GaitSet, config: GaitExperiment, seed: int) -> list[dict[str, Any]]:
    order = np.argsort(study.person, kind="stable")
    by_person, rows = study.part(order), []
    for network in NETWORKS:
        read = read_loso(place, Part(LOSO, network, seed), len(study.people))
        scores = score_emotions(read, by_person, study.classes, seed)
        rows.append(_emotion_row(network, False, seed, len(study), asdict(scores)))
    if config.study.shallow:
        for shown in (RAW, FEATURES):
            for learner, found in read_part(place, Part(SHALLOW, shown, seed)).items():
                rows.append(_emotion_row(f"{learner} on {shown}", True, seed, len(study), found))
    return rows


def _emotion_row(method: str, shallow: bool, seed: int, cycles: int, scores: Mapping[str, Any]) -> dict[str, Any]:
    low, high = scores["accuracy_interval"] or (None, None)
    return {
        "method": method, "shallow": shallow, "seed": seed, "accuracy": scores["accuracy"], "uar": scores["uar"],
        "accuracy_low": low, "accuracy_high": high, "people": scores["people"], "cycles": cycles,
        "chance": max(map(sum, scores["confusion"])) / cycles,
    }  # fmt: skip
