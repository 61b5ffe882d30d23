"""What is left of emotion and identity in transformed faces, as tables and plain sentences.

Identity is what the strongest of several fresh attackers finds, who learnt on transformed images. The adversary that a
transformation was trained against is no evidence: it stands in a table of its own, beside those who did better.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tff_affect.atomic import replace_text
from tff_affect.plain_json import plain
from tff_affect.report.data_text import DataText
from tff_affect.report.over_seeds import Row, mean_text, numbers, records, sheet, spreads
from tff_affect.report.tables import ABSENT, SYNTHETIC, counted, number
from tff_affect.report.tradeoff import Sheet, percent, significant

RESULTS_CSV, SUMMARY_CSV, SUMMARY_MARKDOWN = "results.csv", "summary.csv", "summary.md"
UNCHANGED, CONSTANT = "unchanged", "constant"
"""Names of the ceiling and of the floor."""
_TRAINED = "trained"
MEASURES = (
    "emotion_uar", "emotion_accuracy", "own_emotion_uar", "adversary_accuracy", "identity_top1", "identity_together",
    "known_top1", "everyone_top1", "verification_auc", "verification_eer", "reconstruction_error",
    "reconstruction_floor", "reconstruction_top1",
)  # fmt: skip
"""Columns that are averaged over seeds."""
CHANCES = (
    "emotion_chance", "adversary_chance", "identity_chance", "identity_luck", "known_chance", "everyone_chance",
)  # fmt: skip
LEARNT = 0.02
"""With less emotion above chance in unchanged images there is nothing to keep a share of."""


@dataclass(frozen=True)
class FacesText(DataText):
    """What is said with the numbers; ``synthetic`` where faces are drawn."""


def learned_name(objective: str) -> str:
    """How the transformations of an objective are called in tables."""
    return f"{_TRAINED} ({objective})"


def is_learned(name: str) -> bool:
    """Whether a transformation was trained."""
    return name.startswith(f"{_TRAINED} (")


def summarise(results: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over seeds of each transformation at each strength.

    Args:
        results: A row for each transformation, strength and seed, with ``transformation, strength, seed, people,
            images, synthetic``, ``MEASURES``, ``CHANCES`` and ``identity_attacker``; numbers may be NaN, and columns
            that nothing fills may be missing.

    Returns:
        The ceiling first, the floor last, trained ones before the others, by strength. Each measure with its standard
        deviation ``_sd`` (NaN with one seed), ``_low`` and ``_high``; ``seeds``; ``identity_attacker`` with how often
        it was the strongest.
    """
    rows = [_summary_row(group) for _, group in results.groupby(["transformation", "strength"], sort=False)]
    frame = pd.DataFrame(rows)
    order = frame["transformation"].map(_place)
    return (
        frame.assign(order=order)
        .sort_values(["order", "transformation", "strength"], ignore_index=True)
        .drop(columns="order")
    )


def _place(name: str) -> int:
    return {UNCHANGED: 0, CONSTANT: 3}.get(name, 1 if is_learned(name) else 2)


def _summary_row(group: pd.DataFrame) -> dict[str, Any]:
    first = group.iloc[0]
    row: dict[str, Any] = {
        "transformation": str(first["transformation"]), "strength": float(first["strength"]),
        "seeds": int(group["seed"].nunique()), "people": int(first["people"]), "images": int(first["images"]),
    }  # fmt: skip
    row |= spreads(group, MEASURES) | {name: float(np.mean(numbers(group, name))) for name in CHANCES}
    return row | {"identity_attacker": _strongest(group), "synthetic": bool(first["synthetic"])}


def _strongest(group: pd.DataFrame) -> str:
    found = Counter(str(name) for name in group.get("identity_attacker", ()) if name)
    if len(group) == 1:
        return next(iter(found), "")
    return ", ".join(f"{name} {times}/{len(group)}" for name, times in found.most_common())


def write_faces_tables(folder: Path, results: pd.DataFrame, text: FacesText) -> pd.DataFrame:
    """Writes ``results.csv``, ``summary.csv`` and ``summary.md``; a number that is not defined is an empty cell.

    Returns:
        The summary.

    Raises:
        InputError: If the folder cannot be written to.
    """
    rows = summarise(results)
    for name, frame in ((RESULTS_CSV, results), (SUMMARY_CSV, rows)):
        replace_text(folder / name, frame.to_csv(index=False, lineterminator="\n"))
    replace_text(folder / SUMMARY_MARKDOWN, faces_markdown(rows, text))
    return rows


def faces_markdown(rows: pd.DataFrame, text: FacesText) -> str:
    """Tables, caption and sentences for a page of documentation."""
    tables = [each.markdown() for each in faces_sheets(rows, text)]
    return "\n".join([*tables, faces_caption(rows, text), "", *(f"- {line}" for line in verdicts(rows, text)), ""])


def faces_records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The summary for ``--json``; what is not defined is None."""
    return [plain(row) for row in records(rows)]


def faces_sheets(rows: pd.DataFrame, text: FacesText) -> list[Sheet]:
    """What is left of emotion and identity; and, of trained transformations, what the training itself saw.

    Args:
        rows: Of `summarise`.
        text: What is said with them.
    """
    summary = records(rows)
    sheets = [sheet(text.heading("Emotion kept and people recognised"), [_left_cells(row) for row in summary])]
    trained = [row for row in summary if is_learned(row["transformation"])]
    if trained:
        title = text.heading("What training saw of it, and what fresh attackers found")
        sheets.append(sheet(title, [_training_cells(row) for row in trained]))
    rebuilt = [row for row in summary if not math.isnan(row["reconstruction_error"])]
    if rebuilt:
        sheets.append(sheet(text.heading("Rebuilt from transformed images"), [_rebuilt_cells(row) for row in rebuilt]))
    return sheets


def _left_cells(row: Row) -> dict[str, str]:
    return _named(row) | {
        "emotion UAR": mean_text(row, "emotion_uar"),
        "unseen top-1": mean_text(row, "identity_top1"),
        "known top-1": mean_text(row, "known_top1"),
        **_everyone_cells(row),
        "EER": ABSENT if math.isnan(row["verification_eer"]) else f"{row['verification_eer']:.2f}",
        "strongest attacker": _short(row["identity_attacker"]) or ABSENT,
    }


def _everyone_cells(row: Row) -> dict[str, str]:
    """Empty where not all people were attacked together; the whole study is of one kind."""
    if math.isnan(row["everyone_top1"]):
        return {}
    return {"all people top-1 (chance)": _with_chance(row, "everyone_top1", "everyone_chance")}


def _short(attackers: str) -> str:
    """The first of several, without the count, short enough for a terminal."""
    return re.split(r" \d+/|, ", attackers)[0].replace("logistic regression on", "logistic on")


def _training_cells(row: Row) -> dict[str, str]:
    return _named(row) | {
        "own head UAR": mean_text(row, "own_emotion_uar"),
        "fresh reader UAR": mean_text(row, "emotion_uar"),
        "adversary (chance)": _with_chance(row, "adversary_accuracy", "adversary_chance"),
        "fresh attacker (chance)": _with_chance(row, "known_top1", "known_chance"),
    }


def _rebuilt_cells(row: Row) -> dict[str, str]:
    return _named(row) | {
        "squared error": mean_text(row, "reconstruction_error", 4),
        "mean face's": mean_text(row, "reconstruction_floor", 4),
        "top-1 (chance)": _with_chance(row, "reconstruction_top1", "identity_chance"),
    }


def _named(row: Row) -> dict[str, str]:
    strength = ABSENT if row["transformation"] in (UNCHANGED, CONSTANT) else significant(row["strength"])
    return {"transformation": row["transformation"], "strength": strength}


def _with_chance(row: Row, measure: str, chance: str) -> str:
    told = mean_text(row, measure)
    return told if told == ABSENT else f"{told} ({row[chance]:.3f})"


def faces_caption(rows: pd.DataFrame, text: FacesText) -> str:
    """What the numbers rest on, and what each column means."""
    first = rows.iloc[0]
    seeds = counted("-".join(map(str, sorted(set(rows["seeds"])))), "seed")
    return " ".join(
        [
            *([f"{SYNTHETIC} data."] if text.synthetic else []),
            f"Mean ± standard deviation over {seeds}, each with its own split of the same people and its own training; "
            f"{counted(first['people'], 'test person').replace('persons', 'people')}, none of whom a transformation or "
            "reader learnt from.",
            f"Emotion UAR: unweighted average recall of a fresh reader on test people (chance "
            f"{number(first['emotion_chance'])}). Top-1: images given to the right person by the strongest of several "
            f"fresh attackers, who learnt on transformed images (chance {number(first['identity_chance'])}"
            f"{_luck(rows)}); unseen: test people; known: "
            "people the transformation was trained on. The strongest attacker is the one that won most often. EER: the "
            "error of telling whether two images of unseen people are of one (0.5 is guessing).",
            "Strength: the privacy weight of a trained one, the blur's sigma in pixels, cells a side, or the "
            "noise's standard deviation. Unchanged is the ceiling, constant the floor.",
            *text.remarks,
        ]
    )


def _luck(rows: pd.DataFrame) -> str:
    """What the strongest of several attackers reaches by luck, on what the game's transformations give."""
    played = rows["transformation"].map(is_learned) & (rows["strength"] > 0)
    highest = rows.loc[played, "identity_luck"].max()
    if not math.isfinite(highest):
        return ""
    said = "if nobody could be told apart in what the game gives, the strongest would stay below"
    return f"; {said} {number(highest)} in 99 % of cases"


def verdicts(rows: pd.DataFrame, text: FacesText) -> list[str]:
    """A sentence for each trained transformation: what it keeps, what it hides, and whether a simple one does as well.

    Args:
        rows: Of `summarise`.
        text: Whether the faces are drawn, which each line then says.
    """
    summary = records(rows)
    simple = [row for row in summary if not is_learned(row["transformation"])]
    return [text.sentence(_verdict(row, simple)) for row in summary if is_learned(row["transformation"])]


def _verdict(row: Row, simple: Sequence[Row]) -> str:
    kept = _kept(row, simple)
    said = (
        f"{row['transformation']}, weight {significant(row['strength'])}: "
        f"{'' if math.isnan(kept) else f'{percent(kept)} of what emotion unchanged images show above chance is kept; '}"
        f"the strongest fresh attacker names {percent(row['identity_top1'])} of unseen people's images (guessing: "
        f"{percent(row['identity_chance'])})"
    )
    if not math.isnan(row["identity_together"]):
        said += f", and {percent(row['identity_together'])} of the people by all their images taken together"
    better = [other for other in simple if dominates(other, row)]
    names = ", ".join(f"{other['transformation']} {significant(other['strength'])}" for other in better)
    return f"{said}; as good or better on both counts: {names}" if better else said


def _kept(row: Row, simple: Sequence[Row]) -> float:
    """Share of the unchanged images' emotion above chance; NaN where those show none."""
    above = [other["emotion_uar"] - other["emotion_chance"] for other in simple if other["transformation"] == UNCHANGED]
    if not above or not above[0] > LEARNT:
        return math.nan
    return max(0.0, (row["emotion_uar"] - row["emotion_chance"]) / above[0])


def dominates(simple: Row, trained: Row) -> bool:
    """Whether a simple transformation keeps at least as much emotion as a trained one and hides people as well."""
    keeps = simple["emotion_uar"] >= trained["emotion_uar"]
    hides = simple["identity_top1"] <= trained["identity_top1"]
    return bool(keeps and hides) and simple["transformation"] not in (UNCHANGED, CONSTANT)
