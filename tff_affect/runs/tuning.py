"""Nested tuning: every candidate is trained, the best on development clients is kept, and the choice is recorded.

It is nested because it happens inside each run, on the development clients of that run's split; test clients enter
neither training nor choice. Every trained model chooses for itself: the one of federated training, that of centralised
training, and each training client's own (local-only). One value for all local models would handicap that baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from tff_affect.config import METHODS
from tff_affect.errors import DivergedError, InputError
from tff_affect.run_folder import TUNING, read_json, write_json

Trained = TypeVar("Trained")

CLIENT_RATE = "training.client_optimizer.learning_rate"
BASELINE_RATE = "training.baseline_optimizer.learning_rate"


@dataclass(frozen=True)
class Choice(Generic[Trained]):
    """What the candidates gave.

    Attributes:
        candidates: Values tried, in order.
        scores: Development score of each; None where training diverged.
        chosen: The value with the best score; of equals, the first.
        trained: What training with it gave.
    """

    candidates: tuple[float, ...]
    scores: tuple[float | None, ...]
    chosen: float
    trained: Trained


def choose(
    candidates: Sequence[float], train: Callable[[float], Trained], score: Callable[[Trained], float]
) -> Choice[Trained]:
    """Trains with each candidate and keeps the best.

    Args:
        candidates: At least one value.
        train: Trains with a value; may raise `DivergedError`. What else it raises ends the search: a worker that died
            says nothing about a rate.
        score: Development score, higher is better; a score that is not finite counts as diverged.

    Raises:
        DivergedError: If training diverged with every candidate.
    """
    scores: list[float | None] = []
    best: tuple[float, float, Trained] | None = None
    for value in candidates:
        tried = _tried(value, train, score)
        scores.append(None if tried is None else tried[0])
        if tried is not None and (best is None or tried[0] > best[0]):
            best = tried[0], value, tried[1]
    if best is None:
        raise DivergedError(
            f"training diverged with every candidate of {list(candidates)}; offer smaller learning rates"
        )
    return Choice(tuple(candidates), tuple(scores), best[1], best[2])


def _tried(
    value: float, train: Callable[[float], Trained], score: Callable[[Trained], float]
) -> tuple[float, Trained] | None:
    """Score and result; None where training diverged."""
    try:
        trained = train(value)
    except DivergedError:
        return None
    found = score(trained)
    return (found, trained) if np.isfinite(found) else None


class TuningRecord:
    """``tuning.json`` of a run: one entry per method and model.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / TUNING

    def add(self, method: str, model: str, setting: str, choice: Choice[Any]) -> None:
        """Adds what a model chose, in place of what it chose before it was cut off.

        Args:
            method: One of ``METHODS``.
            model: The training client whose own model chose (local-only), else empty.
            setting: What was chosen, such as ``training.client_optimizer.learning_rate``.
            choice: Candidates, scores and choice.
        """
        entry = {
            "method": method,
            "model": model,
            "setting": setting,
            "candidates": list(choice.candidates),
            "development_scores": list(choice.scores),
            "chosen": choice.chosen,
        }
        found = read_json(self._file) if self._file.is_file() else []
        others = [other for other in found if (other["method"], other["model"]) != (method, model)]
        write_json(self._file, sorted([*others, entry], key=_order))

    def chosen(self, method: str, setting: str) -> float | None:
        """What the one model of a method chose; None where nothing was tuned.

        Raises:
            InputError: If the file was altered.
        """
        if not self._file.is_file():
            return None
        try:
            entries = [e for e in read_json(self._file) if (e["method"], e["setting"]) == (method, setting)]
            return float(entries[0]["chosen"]) if entries else None
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("expected the record of tuning; do not edit it", file=self._file) from error


def _order(entry: dict[str, Any]) -> tuple[int, str]:
    return METHODS.index(entry["method"]), entry["model"]
