"""Checkpoints: what is saved comes back, damage costs one checkpoint and not the run."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_affect.learning.checkpoints import Checkpoints


def state(number: int) -> dict[str, Any]:
    """Shaped as the training program's: a learning process's state beside arrays and counters."""
    rng = np.random.default_rng(number)
    weights = [rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=4).astype(np.float32)]
    learning = tff.learning.templates.LearningAlgorithmState(
        global_model_weights=tff.learning.models.ModelWeights(weights, []),
        distributor=(),
        client_work=(),
        aggregator={"value": (np.int32(number),), "weight": ()},
        finalizer={"learning_rate": np.float32(number / 7)},
    )
    return {
        "learning": learning,
        "best_weights": weights,
        "best_round": np.int64(number),
        "best_score": np.float64(-np.inf if number == 0 else 1 / number),
    }


def is_same(found: Any, expected: dict[str, Any]) -> None:
    assert isinstance(found["learning"], tff.learning.templates.LearningAlgorithmState)
    found_weights = found["learning"].global_model_weights.trainable
    for one, other in zip(
        [*found_weights, *found["best_weights"], found["best_round"], found["best_score"]],
        [*expected["best_weights"], *expected["best_weights"], expected["best_round"], expected["best_score"]],
        strict=True,
    ):
        assert np.asarray(one).dtype == np.asarray(other).dtype
        np.testing.assert_array_equal(one, other)
    assert found["learning"].aggregator["value"][0] == expected["learning"].aggregator["value"][0]
    assert found["learning"].finalizer["learning_rate"] == expected["learning"].finalizer["learning_rate"]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Three checkpoints, of rounds 2, 4 and 10 (which as text comes first)."""
    folder = tmp_path / "checkpoints"
    checkpoints = Checkpoints(folder)
    for number in (2, 4, 10):
        checkpoints.save(state(number), number)
    return folder


def versions(folder: Path) -> list[int]:
    return sorted(int(entry.name.removeprefix("round_")) for entry in folder.iterdir())


def test_without_checkpoints_there_is_none(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "new").load_latest(state(0)) is None


def test_the_newest_comes_back_bit_for_bit(saved: Path) -> None:
    loaded = Checkpoints(saved).load_latest(state(0))
    assert loaded is not None
    assert loaded[1] == 10
    is_same(loaded[0], state(10))


def test_three_are_kept(saved: Path) -> None:
    checkpoints = Checkpoints(saved)
    for number in (12, 14):
        checkpoints.save(state(number), number)
    assert versions(saved) == [10, 12, 14]


def test_all_checkpoints_are_saved_on_one_thread(tmp_path: Path) -> None:
    checkpoints, used = Checkpoints(tmp_path), set()
    save = checkpoints._manager.save

    async def seen(*arguments: Any) -> None:
        used.add(await asyncio.to_thread(threading.get_ident))
        await save(*arguments)

    checkpoints._manager.save = seen  # type: ignore[method-assign]
    before = threading.active_count()
    for number in range(1, 9):
        checkpoints.save(state(number), number)
    assert len(used) == 1
    assert threading.active_count() <= before + 1


def test_saving_a_number_again_changes_nothing(saved: Path) -> None:
    Checkpoints(saved).save(state(3), 10)
    loaded = Checkpoints(saved).load_latest(state(0))
    assert loaded is not None
    is_same(loaded[0], state(10))


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def truncate_graph(folder: Path) -> None:
    file = folder / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:100])


def truncate_variables(folder: Path) -> None:
    next(folder.glob("variables/*.data*")).write_bytes(b"")


def lose_variables(folder: Path) -> None:
    shutil.rmtree(folder / "variables")


@pytest.mark.parametrize("damage", [empty, truncate_graph, truncate_variables, lose_variables])
def test_a_damaged_one_is_passed_over(damage: Callable[[Path], None], saved: Path) -> None:
    damage(saved / "round_10")
    checkpoints = Checkpoints(saved)
    loaded = checkpoints.load_latest(state(0))
    assert loaded is not None
    assert loaded[1] == 4
    is_same(loaded[0], state(4))
    checkpoints.save(state(10), 10)
    again = Checkpoints(saved).load_latest(state(0))
    assert again is not None
    assert again[1] == 10
    is_same(again[0], state(10))


def test_if_all_are_damaged_there_is_none(saved: Path) -> None:
    for folder in saved.iterdir():
        empty(folder)
    assert Checkpoints(saved).load_latest(state(0)) is None
