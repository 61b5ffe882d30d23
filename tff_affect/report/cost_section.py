"""What federated training cost: time, rounds, and bytes down and up for each client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from tff_affect.config import PRIVATE_FEDERATED
from tff_affect.learning.message_sizes import MessageSizes, scoring_messages, training_messages
from tff_affect.report.section import Column, DataTable, Section, plain_text, text
from tff_affect.report.study import FEDERATED_METHODS, Study, read_table
from tff_affect.report.tables import ABSENT
from tff_affect.round_timing import TIMES, read_times
from tff_affect.run_folder import file_name, read_weights

_CLOSED_FORM = "ridge"
_TRAINING, _SCORING = "training", "scoring"


@dataclass(frozen=True)
class _Trained:
    """All trainings of one federated method in a study: of each run, and of each candidate where a rate was tuned."""

    method: str
    folders: tuple[Path, ...]
    rounds: pd.DataFrame
    times: pd.DataFrame
    parameters: int


def cost_section(study: Study) -> Section | None:
    """The section; None where nothing was trained in rounds.

    Raises:
        InputError: If a table of rounds or times is unreadable.
    """
    settings = yaml.safe_load(study.config) if study.config else {}
    settings = settings if isinstance(settings, Mapping) else {}
    trained = list(_trained(study))
    rows = [row for each in trained for row in _rows(each, study, settings)]
    rows.sort(key=lambda row: row["work"] != _TRAINING)
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    table = DataTable(
        "run-cost",
        "Cost of federated training, all runs together",
        frame,
        (
            text("method", "method"), text("rounds", "rounds"),
            Column("seconds a round", ("seconds_a_round",), _seconds), Column("in all", ("seconds",), _duration),
            Column("clients a round", ("clients",), _few), Column("down", ("bytes_down",), _bytes),
            Column("up", ("bytes_up",), _bytes), Column("all messages", ("bytes_all",), _bytes),
        ),
        group=[str(row["work"]) for row in rows],
        note=_note(frame, trained, settings),
    )  # fmt: skip
    words = (
        "Down and up: bytes for one client in one round, of the numbers as they are; compression, encryption and "
        "headers are not counted. This is a simulation, so that the seconds are those of one machine and its other "
        "work, and no network is in them; they hold the scoring of development clients."
    )
    return Section("run-cost", "Run cost", (words,), tables=(table,))


def _trained(study: Study) -> Iterator[_Trained]:
    for method in FEDERATED_METHODS:
        folders = [folder for _, _, run in study.runs for folder in _folders(run, method)]
        tables = [
            read_table(folder / "rounds.csv", ["round"]) for folder in folders if (folder / "rounds.csv").is_file()
        ]
        if not tables:
            continue
        times = pd.concat([read_times(folder / TIMES) for folder in folders], ignore_index=True)
        rounds = pd.concat(tables, ignore_index=True)
        yield _Trained(method, tuple(folders), rounds, times, _parameters(study, method))


def _folders(run: Path, method: str) -> list[Path]:
    """Where a method was trained in a run: its candidates' folders, or the run's or the method's own."""
    candidates = sorted((run / "tuning").glob(f"{file_name(method)}-[0-9]*"))
    return candidates or [run / file_name(method) if method == PRIVATE_FEDERATED else run]


def _parameters(study: Study, method: str) -> int:
    """Trainable weights; 0 where none were kept."""
    for _, _, run in study.runs:
        if (run / "weights" / f"{file_name(method)}.npz").is_file():
            return sum(part.size for part in read_weights(run, method))
    return 0


def _rows(trained: _Trained, study: Study, settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    solved = _setting(settings, "model", "name") == _CLOSED_FORM
    private = trained.method == PRIVATE_FEDERATED
    level = str(_setting(settings, "privacy", "level") or "user") if private else ""
    mechanism = str(_setting(settings, "privacy", "mechanism") or "fixed")
    known = bool(trained.parameters) and not solved and (bool(settings) or not private)
    sizes = training_messages(trained.parameters, level, mechanism) if known else None
    told, scored = (
        trained.rounds["clients"] if "clients" in trained.rounds else pd.Series(dtype=float),
        _scored(trained),
    )
    clients = float(told.mean()) if told.notna().any() else _expected_clients(study, settings)
    seconds = trained.times["seconds"]
    time = {"seconds_a_round": float(seconds.median()), "seconds": float(seconds.sum())} if len(seconds) else {}
    yield _row(_TRAINING, trained.method, len(trained.rounds), clients, sizes) | time
    development = [len(split.get("development", [])) for split in study.splits]
    if scored and development and not solved:
        sizes = scoring_messages(trained.parameters, len(study.dimensions)) if known else None
        yield _row(_SCORING, trained.method, scored, float(np.mean(development)), sizes)


def _row(work: str, method: str, rounds: int, clients: float, sizes: MessageSizes | None) -> dict[str, Any]:
    down, up = (sizes.down, sizes.up) if sizes is not None else (np.nan, np.nan)
    return {
        "work": f"{work} development clients" if work == _SCORING else work, "method": method, "rounds": rounds,
        "seconds_a_round": np.nan, "seconds": np.nan, "clients": clients, "bytes_down": down, "bytes_up": up,
        "bytes_all": rounds * clients * (down + up),
    }  # fmt: skip


def _scored(trained: _Trained) -> int:
    """Rounds with scores of development clients."""
    scores = trained.rounds.filter(regex=r"^development_ccc_")
    return int(scores.notna().any(axis=1).sum())


def _expected_clients(study: Study, settings: Mapping[str, Any]) -> float:
    """Clients of a round as they were asked for, where those that took part are withheld."""
    asked = _setting(settings, "training", "clients_per_round")
    trained = [len(split.get("train", [])) for split in study.splits]
    return float(asked) if asked else float(np.mean(trained)) if trained else float("nan")


def _setting(settings: Mapping[str, Any], part: str, name: str) -> Any:
    found = settings.get(part)
    return found.get(name) if isinstance(found, Mapping) else None


def _note(frame: pd.DataFrame, trained: list[_Trained], settings: Mapping[str, Any]) -> str:
    said = []
    if any(each.times.empty for each in trained):
        said.append("Times were not kept, or not of all: this study was trained by an older version, or in one step.")
    elif any(len(each.times) > len(each.rounds) for each in trained):
        said.append("Training was cut off and resumed: rounds that were computed twice cost their time twice.")
    if any(each.method == PRIVATE_FEDERATED for each in trained):
        said.append("Who took part in a private round is withheld: its clients are those expected.")
    if _setting(settings, "model", "name") == _CLOSED_FORM:
        said.append("Ridge regression is solved from sums that each client sends once; their size is not counted.")
    elif frame["bytes_down"].isna().any():
        said.append("Bytes are not known where no weights or settings were kept.")
    return " ".join(said)


def _seconds(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else ABSENT


def _duration(value: float) -> str:
    return f"{value:.1f} s" if np.isfinite(value) else ABSENT


def _few(value: float) -> str:
    return plain_text(value) if not np.isfinite(value) or float(value).is_integer() else f"{value:.1f}"


def _bytes(value: float) -> str:
    return f"{value:,.0f} B" if np.isfinite(value) else ABSENT
