import json
from pathlib import Path

import pytest

from tff_affect.errors import DivergedError, RunError
from tff_affect.runs.tuning import BASELINE_RATE, CLIENT_RATE, Choice, TuningRecord, choose


def test_the_best_development_score_wins_and_of_equals_the_first() -> None:
    trained: list[float] = []

    def train(rate: float) -> str:
        trained.append(rate)
        return f"weights of {rate}"

    scores = {"weights of 0.3": 0.1, "weights of 0.1": 0.4, "weights of 0.2": 0.4}
    choice = choose((0.3, 0.1, 0.2), train, scores.__getitem__)
    assert choice == Choice((0.3, 0.1, 0.2), (0.1, 0.4, 0.4), 0.1, "weights of 0.1")
    assert trained == [0.3, 0.1, 0.2]


def test_a_candidate_that_diverges_is_recorded_and_not_chosen() -> None:
    def train(rate: float) -> float:
        if rate > 1:
            raise DivergedError("diverged")
        return rate

    choice = choose((9.0, 0.5, 0.1), train, lambda rate: float("nan") if rate == 0.5 else -0.2)
    assert (choice.scores, choice.chosen) == ((None, None, -0.2), 0.1)
    with pytest.raises(DivergedError, match=r"every candidate of \[9.0, 8.0\]"):
        choose((9.0, 8.0), train, lambda rate: 0.0)


def test_what_else_fails_ends_the_search() -> None:
    """A worker that died with the last candidate must not leave the choice to the ones before it."""

    def train(rate: float) -> float:
        if rate == 0.2:
            raise RunError("the worker died")
        return rate

    with pytest.raises(RunError, match="the worker died"):
        choose((0.1, 0.2), train, lambda rate: rate)


def test_choices_are_kept_by_method_and_model_and_replaced(tmp_path: Path) -> None:
    record = TuningRecord(tmp_path)
    record.add("federated", "", CLIENT_RATE, Choice((0.1, 0.2), (0.3, None), 0.1, None))
    for model in ("P2", "P1", "P2"):
        TuningRecord(tmp_path).add("local-only", model, BASELINE_RATE, Choice((0.1,), (0.5,), 0.1, None))
    content = json.loads((tmp_path / "tuning.json").read_text())
    assert [(entry["method"], entry["model"]) for entry in content] == [
        ("local-only", "P1"),
        ("local-only", "P2"),
        ("federated", ""),
    ]
    assert content[2] == {
        "method": "federated",
        "model": "",
        "setting": "training.client_optimizer.learning_rate",
        "candidates": [0.1, 0.2],
        "development_scores": [0.3, None],
        "chosen": 0.1,
    }
