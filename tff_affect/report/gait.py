"""Emotion and identity in gaits that were taken apart, as tables and plain sentences.

Emotion is read leaving one person out by turns. Identity, drawing and swaps are judged by strangers, on whom nothing
was trained, and identity is what the strongest of several fresh attackers finds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from tff_affect.atomic import replace_text
from tff_affect.errors import InputError
from tff_affect.plain_json import plain
from tff_affect.report.data_text import DataText
from tff_affect.report.gait_verdicts import (
    FULL,
    emotion_verdicts,
    explanation_verdicts,
    identity_verdicts,
    swap_verdicts,
)
from tff_affect.report.over_seeds import Row, mean_text, sheet, spreads
from tff_affect.report.tables import ABSENT, SYNTHETIC, counted, interval, number
from tff_affect.report.tradeoff import Sheet, significant

SUMMARY_CSV, SUMMARY_MARKDOWN = "summary.csv", "summary.md"
_KEYS = {"emotion": "method", "identity": "seen", "judged": "left_out", "explained": ""}
"""What a table has a row of, besides seeds; explanations have one of each seed alone."""
_INTERVAL = {"accuracy_low": "interval_low", "accuracy_high": "interval_high"}
"""The bootstrap's ends over people, in a summary in which ``accuracy_low`` is that of seeds."""
_NO_MEASURES = ("seed", "shallow", "synthetic")


@dataclass(frozen=True)
class GaitText(DataText):
    """What is said with the numbers; ``synthetic`` where walkers are drawn."""


@dataclass(frozen=True, eq=False)
class GaitResults:
    """What a study found, a row for each method and seed; numbers may be NaN or None.

    Attributes:
        emotion: How well emotion is read in each person of the study by who never saw that person; may be empty.
        identity: What strangers' gaits and codes give away.
        judged: How strangers' gaits are taken apart and put together, by which loss was left out; columns of
            `tff_affect.gait.evaluation.Judgement.row`.
        explained: Rank correlations of explanations; may be empty.

    Raises:
        InputError: If a table that is not empty lacks a column.
    """

    emotion: pd.DataFrame
    identity: pd.DataFrame
    judged: pd.DataFrame
    explained: pd.DataFrame
    columns: ClassVar[dict[str, tuple[str, ...]]] = {
        "emotion": (
            "method", "shallow", "seed", "accuracy", "uar", "accuracy_low", "accuracy_high", "people", "cycles",
            "chance",
        ),
        "identity": (
            "seen", "seed", "top1", "attacker", "together", "verification_error", "chance", "luck", "people", "cycles",
        ),
        "judged": (
            "left_out", "seed", "accuracy", "uar", "emotion_code_top1", "emotion_code_together", "biometric_code_top1",
            "biometric_emotion", "reconstruction_cm", "mean_gait_cm", "swap_emotion", "real_emotion", "drawn_emotion",
            "swap_identity", "drawn_identity", "bone_variation", "people", "cycles",
        ),
        "explained": (
            "seed", "planted_metres", "planted_places", "planted_directions", "occlusion_joints", "occlusion_phases",
            "random_joints", "random_phases", "random_planted", "mapped",
        ),
    }  # fmt: skip
    """Of each table; there may be more."""

    def __post_init__(self) -> None:
        for name, table in self.tables():
            missing = [column for column in self.columns[name] if column not in table]
            if missing and len(table):
                raise InputError(f"results of gaits, {name}: expected the column {missing[0]!r}, found none")

    def tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Their names and tables."""
        return ((field.name, getattr(self, field.name)) for field in fields(self))


def summarise(found: GaitResults) -> dict[str, list[dict[str, Any]]]:
    """Mean and spread over seeds of all numbers of each table.

    Returns:
        Name of a table -> rows, each with what it is of, ``seeds``, and each measure as of
        `tff_affect.report.over_seeds.spreads`; ``identity`` with the ``attacker`` that was the strongest most often.
        Methods are the best first, losses and what is seen as they stand.
    """
    rows = {name: _summarised(table, _KEYS[name]) for name, table in found.tables()}
    rows["emotion"].sort(key=lambda row: -row["accuracy"] if math.isfinite(row["accuracy"]) else math.inf)
    rows["judged"].sort(key=lambda row: row["left_out"] != FULL)
    return rows


def _summarised(table: pd.DataFrame, key: str) -> list[dict[str, Any]]:
    if not len(table):
        return []
    table = table.rename(columns=_INTERVAL)
    named = [(str(name), group) for name, group in table.groupby(key, sort=False)] if key else [("", table)]
    measures = [
        str(name)
        for name in table
        if name not in (key, *_NO_MEASURES) and not any(isinstance(value, str) for value in table[name])
    ]
    rows = []
    for name, group in named:
        row: dict[str, Any] = {key: name} if key else {}
        row |= {"shallow": bool(group["shallow"].iloc[0])} if "shallow" in group else {}
        row |= {"attacker": Counter(map(str, group["attacker"])).most_common(1)[0][0]} if "attacker" in group else {}
        rows.append(row | {"seeds": int(group["seed"].nunique())} | spreads(group, measures))
    return rows


def write_gait_tables(folder: Path, found: GaitResults, text: GaitText) -> None:
    """Writes ``emotion.csv``, ``identity.csv``, ``judged.csv``, ``explained.csv``, ``summary.csv`` and ``summary.md``.

    The first four have a row for each seed. A number that is not defined is an empty cell.

    Raises:
        InputError: If the folder cannot be written to.
    """
    for name, table in found.tables():
        told = table if len(table) else pd.DataFrame(columns=list(found.columns[name]))
        replace_text(
            folder / f"{name}.csv", told.assign(synthetic=text.synthetic).to_csv(index=False, lineterminator="\n")
        )
    summary = pd.DataFrame(
        list(_long(found)), columns=["table", "row", "measure", "seeds", "mean", "sd", "low", "high"]
    )
    told = summary.assign(synthetic=text.synthetic)
    replace_text(folder / SUMMARY_CSV, told.to_csv(index=False, lineterminator="\n"))
    replace_text(folder / SUMMARY_MARKDOWN, gait_markdown(found, text))


def _long(found: GaitResults) -> Iterator[tuple[Any, ...]]:
    """A row for each measure of each row of the summary."""
    for table, rows in summarise(found).items():
        for row in rows:
            for measure in (name.removesuffix("_sd") for name in row if name.endswith("_sd")):
                values = (row[f"{measure}{ending}"] for ending in ("", "_sd", "_low", "_high"))
                yield table, row.get(_KEYS[table], ""), measure, row["seeds"], *values


def gait_markdown(found: GaitResults, text: GaitText) -> str:
    """Tables, caption and sentences for a page of documentation."""
    tables = [each.markdown() for each in gait_sheets(found, text)]
    return "\n".join([*tables, gait_caption(found, text), "", *(f"- {line}" for line in verdicts(found, text)), ""])


def gait_records(found: GaitResults) -> dict[str, Any]:
    """The summary for ``--json``; what is not defined is None."""
    records_of: dict[str, Any] = plain(summarise(found))
    return records_of


def gait_sheets(found: GaitResults, text: GaitText) -> list[Sheet]:
    """Emotion, identity, gaits taken apart and put together, losses left out, explanations; each where there is one."""
    rows, ablated = summarise(found), _ablated(found.judged)
    full = [row for row in rows["judged"] if row["left_out"] == FULL]
    asked = (
        ("Emotion read in people left out", [_emotion_cells(row) for row in rows["emotion"]]),
        ("What strangers' gaits give away of who walks", [_identity_cells(row) for row in rows["identity"]]),
        ("Gaits of strangers, taken apart and put together", _gait_cells(full[0], rows["identity"]) if full else []),
        (f"Losses left out by turns ({_seeds_of(ablated)})", [_left_out_cells(row) for row in _of_judged(ablated)]),
        ("Explanations beside what checks them", _explained_cells(rows["explained"][0]) if rows["explained"] else []),
    )
    return [sheet(text.heading(title), cells) for title, cells in asked if cells]


def _emotion_cells(row: Row) -> dict[str, str]:
    return {
        "method": row["method"],
        "kind": "shallow" if row["shallow"] else "network",
        "accuracy": mean_text(row, "accuracy"),
        "95 % interval": interval(row["interval_low"], row["interval_high"]),
        "UAR": mean_text(row, "uar"),
        "guessing": number(row["chance"]),
    }


def _identity_cells(row: Row) -> dict[str, str]:
    return {
        "seen": row["seen"],
        "top 1": mean_text(row, "top1"),
        "all together": mean_text(row, "together"),
        "EER": mean_text(row, "verification_error"),
        "guessing": number(row["chance"]),
        "luck": number(row["luck"]),
        "strongest attacker": row["attacker"],
    }


def _gait_cells(row: Row, identity: Sequence[Row]) -> list[dict[str, str]]:
    guessing = number(identity[0]["chance"]) if identity else ABSENT
    bones = significant(100 * row["bone_variation"], 2)
    judge = "real gaits, same judge"
    cells = (
        (
            "redrawn: cm between joints",
            mean_text(row, "reconstruction_cm"),
            mean_text(row, "mean_gait_cm"),
            "mean gait",
        ),
        ("redrawn: show their emotion", mean_text(row, "drawn_emotion"), mean_text(row, "real_emotion"), judge),
        ("swapped: show the emotion given", mean_text(row, "swap_emotion"), mean_text(row, "real_emotion"), judge),
        ("redrawn: taken for their person", mean_text(row, "drawn_identity"), guessing, "guessing"),
        ("swapped: taken for the person given", mean_text(row, "swap_identity"), guessing, "guessing"),
        ("both: largest change of a bone, %", bones, ABSENT, ABSENT),
    )
    return [dict(zip(("measure", "found", "compare", "with"), each, strict=True)) for each in cells]


def _ablated(judged: pd.DataFrame) -> pd.DataFrame:
    """Rows of those seeds with which something is left out: others have other strangers."""
    seeds = set(judged.loc[judged["left_out"] != FULL, "seed"]) if len(judged) else set()
    return judged[judged["seed"].isin(seeds)] if len(judged) else judged


def _seeds_of(judged: pd.DataFrame) -> str:
    seeds = sorted(set(judged["seed"])) if len(judged) else []
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _of_judged(judged: pd.DataFrame) -> list[Row]:
    return sorted(_summarised(judged, _KEYS["judged"]), key=lambda row: row["left_out"] != FULL)


def _left_out_cells(row: Row) -> dict[str, str]:
    return {
        "left out": "nothing" if row["left_out"] == FULL else row["left_out"].replace("_", " "),
        "emotion code: accuracy": mean_text(row, "accuracy"),
        "emotion code: top 1": mean_text(row, "emotion_code_top1"),
        "biometric code: emotion": mean_text(row, "biometric_emotion"),
        "redrawn, cm": mean_text(row, "reconstruction_cm"),
        "swap: emotion": mean_text(row, "swap_emotion"),
        "swap: person": mean_text(row, "swap_identity"),
    }


def _explained_cells(row: Row) -> list[dict[str, str]]:
    asked = (
        ("the map, and planted: places in metres", "planted_metres", ""),
        ("the map, and planted: places beside people's spread", "planted_places", ""),
        ("the map, and planted: directions of bones", "planted_directions", ""),
        ("the map, and occlusion", "occlusion_joints", "occlusion_phases"),
        ("the map, and that of random weights", "random_joints", "random_phases"),
        ("that of random weights, and planted", "random_planted", ""),
    )
    return [
        {
            "rank correlation of": what,
            "joints": mean_text(row, joints),
            "joints and phases": mean_text(row, phases) if phases else ABSENT,
        }
        for what, joints, phases in asked
    ]


def gait_caption(found: GaitResults, text: GaitText) -> str:
    """What the numbers rest on, and what each column means."""
    seeds = [int(each["seed"].nunique()) for _, each in found.tables() if len(each)]
    said = [
        *([f"{SYNTHETIC} data."] if text.synthetic else []),
        f"Mean ± standard deviation over {counted(_range(seeds or [0]), 'seed')}, each with another division of people "
        "and its own training; they tell how far seeds differ, and are no test.",
    ]
    if len(found.emotion):
        said.append(
            f"Emotion: leave-one-subject-out among {_people(found.emotion)}. Interval: of the accuracy over people, by "
            "bootstrap at 95 %, the mean of the seeds' lower and upper ends. UAR: unweighted average recall."
        )
    if len(found.identity):
        said.append(
            f"Strangers: {_people(found.identity)} on whom nothing was trained. Top 1: cycles of held-out recordings "
            "given to the right person by the strongest of several fresh attackers, who know people by other "
            "recordings; the attacker named won most often. Together: people named by all their held-out cycles. EER: "
            "equal error rate of telling whether two cycles are of one person, of people the attacker never saw (0.5 "
            "is guessing). Luck: what the strongest stays below in 99 % of cases where nobody can be told apart."
        )
    if len(found.judged):
        said.append(
            "The noise of emotion codes is part of what is released, and of every number that is of them. Redrawn: "
            "from a cycle's own two codes; swapped: with the emotion code of another person, of another emotion. Who "
            "judges these learned from real gaits alone."
        )
        if found.judged["left_out"].nunique() > 1:
            said.append("Left out: a loss; noise: that of emotion codes; game: all losses but that of emotions.")
    if len(found.explained):
        said.append("Explanations: guided Grad-CAM, means over people; Spearman's rank correlation.")
    return " ".join([*said, *text.remarks])


def _people(table: pd.DataFrame) -> str:
    return counted(_range([int(count) for count in table["people"]]), "person").replace("persons", "people")


def _range(counts: Sequence[int]) -> str:
    return "-".join(map(str, dict.fromkeys((min(counts), max(counts)))))


def verdicts(found: GaitResults, text: GaitText) -> list[str]:
    """What the numbers come to: emotion, identity, codes, swaps, bones and explanations, a sentence for each."""
    lines = [
        *(emotion_verdicts(found.emotion) if len(found.emotion) else ()),
        *(identity_verdicts(found.identity, found.judged) if len(found.identity) else ()),
        *swap_verdicts(found.judged),
        *explanation_verdicts(found.explained),
    ]
    return [text.sentence(line[:1].upper() + line[1:] if not text.synthetic else line) for line in lines]
