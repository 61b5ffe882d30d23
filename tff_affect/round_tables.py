"""``rounds.csv`` and ``per_client.csv`` of a federated training."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tff_affect.atomic import append_text, remove_temporaries, replace_text
from tff_affect.learning.program import RoundResult
from tff_affect.metrics import SufficientStatistics, merge_all

ROUNDS, PER_CLIENT = "rounds.csv", "per_client.csv"
PER_CLIENT_COLUMNS = ("round", "partition", "client", "dimension", "n", "ccc", "pcc", "rmse", "constant")
TRAIN, DEVELOPMENT, TEST = "train", "development", "test"


class RoundTables:
    """Observes a federated training and keeps ``rounds.csv`` and ``per_client.csv`` in step with its checkpoints."""

    def __init__(self, folder: Path, dimensions: Sequence[str]) -> None:
        self._rounds = folder / ROUNDS
        self._clients = folder / PER_CLIENT
        self._dimensions = tuple(dimensions)

    def resume_after(self, round_number: int) -> None:
        """Drops rows of later rounds, and of the final evaluation: they will be computed again."""
        for file, columns in ((self._rounds, self._round_columns()), (self._clients, PER_CLIENT_COLUMNS)):
            remove_temporaries(file.parent, file.name)
            kept = [row for row in _whole_rows(file) if _is_training_row(row, round_number)]
            replace_text(file, ",".join(columns) + "\n" + "".join(kept))

    def _round_columns(self) -> tuple[str, ...]:
        scores = (f"development_ccc_{d}_{kind}" for d in self._dimensions for kind in ("mean", "pooled"))
        return ("round", "clients", "train_windows", "train_loss", *scores)

    def observe(self, result: RoundResult) -> None:
        """Adds a round's rows; they are on the disk when this returns, before a checkpoint covers them."""
        told = {"clients": result.clients, "train_windows": result.windows, "train_loss": result.loss}
        row: dict[str, Any] = {"round": result.number}
        row |= {name: repr(value) for name, value in told.items() if value is not None}
        scored = {client: s for client, s in (result.development or {}).items() if s.n.any()}
        if scored:
            row |= self._development(list(scored.values()))
            self.add_clients(result.number, DEVELOPMENT, scored)
        _append(self._rounds, self._round_columns(), [row])

    def _development(self, statistics: list[SufficientStatistics]) -> dict[str, str]:
        mean, pooled = np.mean([s.ccc for s in statistics], axis=0), merge_all(statistics).ccc
        cells: dict[str, str] = {}
        for i, dimension in enumerate(self._dimensions):
            cells |= {f"development_ccc_{dimension}_mean": repr(float(mean[i]))}
            cells |= {f"development_ccc_{dimension}_pooled": repr(float(pooled[i]))}
        return cells

    def add_clients(self, round_number: int, partition: str, statistics: Mapping[str, SufficientStatistics]) -> None:
        """Adds the measures of clients after a round; one row per client and dimension where it has a score."""
        rows = [
            {
                "round": round_number, "partition": partition, "client": client, "dimension": dimension,
                "n": int(s.n[i]), "ccc": repr(float(s.ccc[i])), "pcc": repr(float(s.pcc[i])),
                "rmse": repr(float(s.rmse[i])), "constant": str(bool(s.constant[i])).lower(),
            }
            for client, s in statistics.items()
            for i, dimension in enumerate(self._dimensions)
            if s.n.any()
        ]  # fmt: skip
        _append(self._clients, PER_CLIENT_COLUMNS, rows)


def _append(file: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writerows(rows)
    append_text(file, text.getvalue())


def _whole_rows(file: Path) -> list[str]:
    """The lines of a table, without a last one that was cut short."""
    content = file.read_bytes() if file.is_file() else b""
    return [line + "\n" for line in content.decode("utf-8", errors="replace").split("\n")[:-1]]


def _is_training_row(row: str, last_round: int) -> bool:
    """Whether a row was written in a round up to ``last_round``; rows of the final evaluation name other partitions."""
    cells = row.split(",")
    return cells[0].isdecimal() and int(cells[0]) <= last_round and cells[1] not in (TRAIN, TEST)
