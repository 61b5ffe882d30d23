"""The training program, over a process whose weights can be computed by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tff_affect.config import TrainingConfig
from tff_affect.learning.program import FederatedProgram, RoundResult, development_score
from tff_affect.learning.sampling import ClientSampling
from tff_affect.metrics import SufficientStatistics

GOLD = np.array([0.0, 1.0, 2.0, 3.0])[:, None]


class CountingProcess:
    """Adds one to its only weight each round, and finds one client of all that were asked."""

    read = 1

    def __init__(self) -> None:
        self.keys: list[list[str]] = []

    def initialize(self) -> dict:
        return {"w": np.zeros(1, np.float32)}

    def set_model_weights(self, state: dict, weights: Any) -> dict:
        return {"w": weights.trainable[0]}

    def next(self, state: dict, keys: list[str]) -> SimpleNamespace:
        self.keys.append(keys)
        metrics = {"client_work": {"train": {"num_clients": self.read, "num_examples": len(keys), "loss": 1.0}}}
        return SimpleNamespace(state={"w": state["w"] + 1}, metrics=metrics)

    def get_model_weights(self, state: dict) -> SimpleNamespace:
        return SimpleNamespace(trainable=[state["w"]])


class PeakEvaluation:
    """The development score is highest where the weight equals ``peak``."""

    def __init__(self, peak: float) -> None:
        self.peak = peak

    def statistics(self, weights: list, clients: list[str]) -> list[SufficientStatistics]:
        offset = abs(float(weights[0][0]) - self.peak)
        return [SufficientStatistics.from_series(GOLD, GOLD + offset) for _ in clients]

    def begin(self, weights: list, clients: list[str]) -> Callable[[], list[SufficientStatistics]]:
        return lambda: self.statistics(weights, clients)


class Memory:
    def __init__(self) -> None:
        self.saved: dict[int, Any] = {}

    def save(self, state: Any, version: int) -> None:
        self.saved[version] = copy.deepcopy(state)

    def load_latest(self, structure: Any) -> tuple[Any, int] | None:
        return (copy.deepcopy(self.saved[max(self.saved)]), max(self.saved)) if self.saved else None


class Rows:
    def __init__(self) -> None:
        self.rows: dict[int, RoundResult] = {}

    def resume_after(self, round_number: int) -> None:
        self.rows = {n: r for n, r in self.rows.items() if n <= round_number}

    def observe(self, result: RoundResult) -> None:
        self.rows[result.number] = result


class Cut(Exception):
    pass


class RowsUntil(Rows):
    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last

    def observe(self, result: RoundResult) -> None:
        super().observe(result)
        if result.number == self.last:
            raise Cut


def program(peak: float = 5.0, **changes: Any) -> FederatedProgram:
    training = TrainingConfig(**{"rounds": 12, "patience": 3, "checkpoint_every": 4, "clients_per_round": 2, **changes})
    sampling, development = ClientSampling(("a", "b", "c"), training.clients_per_round, 1), ("d", "e")
    start = [np.zeros(1, np.float32)]
    return FederatedProgram(CountingProcess(), PeakEvaluation(peak), training, sampling, development, start)  # type: ignore[arg-type]


def test_the_best_round_is_kept_and_patience_ends_training() -> None:
    rows = Rows()
    weights, best = program().run(Memory(), rows)
    assert (best, float(weights[0][0])) == (5, 5.0)
    assert sorted(rows.rows) == list(range(1, 9))


def test_patience_counts_evaluations_and_the_last_round_is_always_evaluated() -> None:
    rows = Rows()
    program(peak=99.0, rounds=7, evaluate_every=3).run(Memory(), rows)
    assert [n for n, r in rows.rows.items() if r.development] == [3, 6, 7]
    rows = Rows()
    program(peak=0.0, evaluate_every=2, patience=2).run(Memory(), rows)
    assert max(rows.rows) == 6


def test_a_round_is_scored_while_the_next_one_trains() -> None:
    events: list[str] = []

    class Process(CountingProcess):
        def next(self, state: dict, keys: list[str]) -> SimpleNamespace:
            events.append(f"train {int(state['w'][0]) + 1}")
            return super().next(state, keys)

    class Beside(PeakEvaluation):
        def begin(self, weights: list, clients: list[str]) -> Callable[[], list[SufficientStatistics]]:
            number = int(weights[0][0])
            events.append(f"begin {number}")
            return lambda: (events.append(f"wait {number}"), self.statistics(weights, clients))[1]

    training = TrainingConfig(rounds=3, patience=0)
    weights = [np.zeros(1, np.float32)]
    parts = (Process(), Beside(2.0), training, ClientSampling(("a",), 0, 1), ("d",), weights)
    FederatedProgram(*parts).run(Memory(), Rows())  # type: ignore[arg-type]
    assert events == [
        "train 1", "begin 1", "train 2", "begin 2", "wait 1", "train 3", "begin 3", "wait 2", "wait 3",
    ]  # fmt: skip


def test_without_patience_all_rounds_run() -> None:
    rows = Rows()
    program(peak=1.0, patience=0).run(Memory(), rows)
    assert max(rows.rows) == 12


@pytest.mark.parametrize("cut", range(1, 9))
def test_cut_anywhere_and_resumed_is_as_if_never_cut(cut: int) -> None:
    whole_rows, whole = Rows(), program()
    whole_result = whole.run(Memory(), whole_rows)
    rows, memory = RowsUntil(cut), Memory()
    with pytest.raises(Cut):
        program().run(memory, rows)
    rows.last = 0
    resumed = program()
    result = resumed.run(memory, rows)
    assert result[1] == whole_result[1]
    np.testing.assert_array_equal(result[0][0], whole_result[0][0])
    assert sorted(rows.rows) == sorted(whole_rows.rows)
    done = len(whole.process.keys) - len(resumed.process.keys)  # type: ignore[attr-defined]
    assert done == (cut - 1) // 4 * 4
    assert resumed.process.keys == whole.process.keys[done:]  # type: ignore[attr-defined]


def test_window_order_differs_between_rounds_and_clients() -> None:
    whole = program(clients_per_round=0, patience=0)
    whole.run(Memory(), Rows())
    keys = [key for cohort in whole.process.keys for key in cohort]  # type: ignore[attr-defined]
    assert len({key.split("#")[1] for key in keys}) == len(keys) == 36


def test_what_is_told_before_a_round_counts_rounds_that_were_computed_again_or_dropped() -> None:
    told: list[int] = []
    rows, memory = RowsUntil(6), Memory()
    cut = replace(program(), before_round=told.append)
    with pytest.raises(Cut):
        cut.run(memory, rows)
    # Round 7 had begun beside the scores of round 6; the checkpoint is that of round 4.
    assert told == [1, 2, 3, 4, 5, 6, 7]
    rows.last = 0
    replace(program(), before_round=told.append).run(memory, rows)
    assert told[7:] == [5, 6, 7, 8, 9]
    assert max(rows.rows) == 8


def test_a_process_that_withholds_what_it_measured_gives_rounds_without_it() -> None:
    class Silent(CountingProcess):
        def next(self, state: dict, keys: list[str]) -> SimpleNamespace:
            output = super().next(state, keys)
            return SimpleNamespace(state=output.state, metrics={"client_work": {}})

    rows = Rows()
    replace(program(), process=Silent()).run(Memory(), rows)  # type: ignore[arg-type]
    assert {(r.clients, r.windows, r.loss) for r in rows.rows.values()} == {(None, None, None)}


def test_the_clients_of_a_round_are_those_that_the_process_found() -> None:
    rows = Rows()
    program(clients_per_round=2).run(Memory(), rows)
    assert {r.clients for r in rows.rows.values()} == {1}


def test_a_round_that_nobody_could_score_is_neither_best_nor_stale() -> None:
    class Blind(PeakEvaluation):
        def begin(self, weights: list, clients: list[str]) -> Callable[[], list[SufficientStatistics]]:
            scored = self.statistics(weights, clients)
            return lambda: [] if float(weights[0][0]) in (2.0, 3.0, 4.0) else scored

    rows = Rows()
    blind = replace(program(rounds=8, patience=2), evaluation=Blind(peak=5.0))
    (weight,), best = blind.run(Memory(), rows)
    assert (float(weight[0]), best) == (5.0, 5)
    assert [n for n, row in rows.rows.items() if row.development is None] == [2, 3, 4]


def test_a_client_that_was_not_scored_does_not_lower_the_development_score() -> None:
    a, b = (SufficientStatistics.from_series(GOLD, GOLD + offset) for offset in (0.5, 2.0))
    nothing = SufficientStatistics.empty(1)
    expected = float(np.mean([a.ccc, b.ccc]))
    assert development_score([a, b]) == expected
    assert development_score([nothing, a, nothing, b]) == expected
    # As of weights that are not finite, with which no frame of anybody is scored.
    assert development_score([nothing, nothing]) == 0
