"""Gaits explained: the networks of a study, held against what was planted; and walks that somebody brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from data_prep.gait_report import GaitReport
from data_prep.mocap import GaitOptions, read_walks
from data_prep.skeleton import JOINTS
from data_prep.synthetic_walkers import effect_size, expressiveness
from experiments.gait_settings import GaitExperiment, divide, walkers
from tff_affect.atomic import replace_text
from tff_affect.cohort import new_folder
from tff_affect.errors import InputError
from tff_affect.gait_set import GaitSet
from tff_affect.progress import Progress, counted
from tff_affect.report.gait_heat_map import heat_map, importance_figures
from tff_affect.report.stick_figures import stick_figures
from tff_affect.report.tradeoff_plot import Drawing, write_drawing

if TYPE_CHECKING:
    from tff_affect.gait.disentangler import Disentangler
    from tff_affect.gait.explanation import HeatMaps

EMOTIONS, IMPORTANCE, CODES = "emotions.csv", "importance.csv", "codes.csv"
HEAT_MAP, FIGURES, SWAP, STRIP = "heat-map", "importance", "swap", "walks"
_STRIPS = 6
_PLANTED = ("planted_metres", "planted_places", "planted_directions")


def explain_study(
    networks: Mapping[int, Path], gaits: GaitSet, config: GaitExperiment, drawn: bool, pictures: bool
) -> tuple[pd.DataFrame, dict[str, Drawing]]:
    """How far explanations can be believed, with each seed; and what they show with the first.

    Args:
        networks: Of each seed, the folder of networks that learned from everybody in the study.
        gaits: Of all people.
        config: All settings.
        drawn: Whether walkers are those of the settings, of whom it is known where emotion was planted.
        pictures: Whether gaits of strangers are drawn.

    Returns:
        A row for each seed; name -> drawing.

    Raises:
        InputError: If networks are missing or damaged.
    """
    from tff_affect.gait.explained import explain
    from tff_affect.gait.saved import load_disentangler

    rows, drawings = [], {}
    for seed, folder in networks.items():
        _, strangers = divide(gaits, config.study, seed)
        trained = load_disentangler(folder).disentangler
        found = explain(trained, strangers, seed)
        planted = _planted(config) if drawn else {}
        rows.append({"seed": seed, **dict.fromkeys(_PLANTED, float("nan")), **found.row(planted)})
        if seed == config.study.seeds[0]:
            if any(found.maps.cycles):
                drawings[HEAT_MAP] = heat_map(found.maps, "What speaks for each emotion", gaits.synthetic)
            if any(found.maps.cycles) and pictures:
                title = "Joints that speak for each emotion"
                drawings[FIGURES] = importance_figures(found.maps, strangers, title)
            if pictures:
                drawings[SWAP] = _swap_strip(trained, strangers, seed)
    return pd.DataFrame(rows), drawings


def _planted(config: GaitExperiment) -> dict[str, np.ndarray]:
    """What was planted in drawn walkers, by three measures."""
    made, options = walkers(config.drawn), config.walks
    return {
        "metres": np.array([expressiveness(joint, made, options) for joint in JOINTS]),
        "places": np.array([effect_size(joint, made, options) for joint in JOINTS]),
        "directions": np.array([effect_size(joint, made, options, directions=True) for joint in JOINTS]),
    }


def _swap_strip(networks: Disentangler, gaits: GaitSet, seed: int) -> Drawing:
    """One stranger as they walk, as they are drawn, and with the emotion of another."""
    emotion = gaits.emotion(gaits.classes)
    # Of other people, who are there in every study, the emotion that is the last in the alphabet.
    others = np.flatnonzero((gaits.person != gaits.person[0]) & (emotion != emotion[0]))
    chosen = others[np.argmax(emotion[others])]
    one, other = gaits.part(np.array([0])), gaits.part(np.array([chosen]))
    of_one, of_other = one.emotions[0], other.emotions[0]
    rows = {
        f"one person, {of_one}": one.motions[0],
        "the same, drawn from both codes": networks.reconstruct(one, seed).motions[0],
        f"another person, {of_other}": other.motions[0],
        f"the one person with the other's emotion, {of_other}": networks.swap(other, one, seed).motions[0],
    }
    return stick_figures(rows, gaits, "Emotion of one, identity of the other")


@dataclass(frozen=True)
class WalksOutcome:
    """What networks say of walks.

    Attributes:
        emotions: A row for each gait cycle: recording, seconds, what it is taken for, probabilities.
        maps: What speaks for the emotions that were read.
        synthetic: Whether the walks, or those that the networks learned from, are made up.
        report: What became of each file.
    """

    emotions: pd.DataFrame
    maps: HeatMaps
    synthetic: bool
    report: GaitReport


def explain_walks(
    out: Path,
    model: Path,
    folder: Path,
    layout: str | None,
    joint_map: str | None,
    codes: bool,
    pictures: bool,
    progress: Progress,
) -> WalksOutcome:
    """Reads walks as the networks' training did, says which emotion each cycle is taken for, and what speaks for it.

    Args:
        out: The folder to write, new or empty.
        model: Folder of trained networks.
        folder: Of walks.
        layout: As of `GaitOptions`.
        joint_map: As of `GaitOptions`.
        codes: Whether both codes of each cycle are written; biometric codes identify people.
        pictures: Whether figures of how people walk are drawn; they identify people.
        progress: Shows how far reading is.

    Raises:
        InputError: If networks or walks cannot be read.
    """
    from tff_affect.gait.explained import guided_maps
    from tff_affect.gait.saved import load_disentangler

    saved = load_disentangler(model)
    networks = saved.disentangler
    known = {field.name for field in fields(GaitOptions)}
    if not set(saved.preparation) <= known:
        raise InputError("expected networks that say how walks were read; train them again", file=model)
    options = {**saved.preparation, "layout": layout, "joint_map": joint_map, "least_people": 1, "least_emotions": 1}
    with new_folder(out) as place:
        with counted(progress, "Walks") as step:
            gaits, report = read_walks(folder, GaitOptions(**options), step)
        synthetic = gaits.synthetic or bool(saved.facts.get("synthetic"))
        noisy = networks.emotion_codes(gaits)
        read = networks.read_codes(noisy)
        named = tuple(networks.classes[number] for number in read.argmax(axis=1))
        shown = replace(gaits, emotions=named, synthetic=synthetic)
        maps = guided_maps(networks, shown)
        table = _table(gaits, read, networks.classes, named).assign(synthetic=synthetic)
        _write_csv(place / EMOTIONS, table)
        importance = pd.DataFrame(maps.emotion_joint_importance.T, index=maps.joints, columns=maps.emotions)
        _write_csv(place / IMPORTANCE, importance.rename_axis("joint").reset_index().assign(synthetic=synthetic))
        write_drawing(place, HEAT_MAP, heat_map(maps, "What speaks for the emotion that is read", synthetic))
        if pictures:
            write_drawing(place, FIGURES, importance_figures(maps, shown, "Joints that speak for what is read"))
            first = [int(np.flatnonzero(gaits.take == take)[0]) for take in np.unique(gaits.take)][:_STRIPS]
            rows = {gaits.takes[row]: gaits.motions[row] for row in first}
            write_drawing(place, STRIP, stick_figures(rows, shown, "One gait cycle of each recording"))
        if codes:
            _write_csv(place / CODES, _codes(table, noisy, networks.biometric_codes(gaits)))
    return WalksOutcome(table, maps, synthetic, report)


def _table(gaits: GaitSet, read: np.ndarray, classes: tuple[str, ...], named: tuple[str, ...]) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "recording": gaits.takes, "start": gaits.spans[:, 0].round(3), "end": gaits.spans[:, 1].round(3),
        "stated": gaits.emotions, "read": named,
    }  # fmt: skip
    return pd.DataFrame(columns | {f"p_{name}": read[:, number].round(4) for number, name in enumerate(classes)})


def _codes(table: pd.DataFrame, emotion: np.ndarray, biometric: np.ndarray) -> pd.DataFrame:
    named = {"emotion": emotion, "biometric": biometric}
    columns = {
        f"{name}_{number}": values[:, number] for name, values in named.items() for number in range(values.shape[1])
    }
    return pd.concat([table[["recording", "start", "end", "synthetic"]], pd.DataFrame(columns)], axis=1)


def _write_csv(file: Path, table: pd.DataFrame) -> None:
    replace_text(file, table.to_csv(index=False, lineterminator="\n"))
