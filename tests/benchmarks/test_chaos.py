"""A training whose workers are killed and frozen, and whose driver is killed, gives the bits of an undisturbed one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.chaos import Outcome, campaign, weights_of


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_disturbed_training_ends_with_the_same_bits_and_leaves_nothing(tmp_path: Path) -> None:
    (outcome,) = campaign(tmp_path, runs=1, seed=3)
    assert outcome.sound, outcome
    assert "kill -9 of the driver" in outcome.done
    assert len(outcome.done) > 1, "no worker was disturbed"
    weights = weights_of(tmp_path / "halves-undisturbed" / "run")
    assert max(float(np.abs(w).max()) for w in weights) > 0.1, "nothing was learned that could differ"


def test_what_differs_or_stays_behind_is_not_sound() -> None:
    sound = Outcome(0, ("kill -9 of the driver",), 0.0, (), 1.0)
    assert sound.sound
    assert "NOT SOUND" in str(Outcome(0, (), 1e-9, (), 1.0))
    assert not Outcome(0, (), 0.0, ("process 7 worker_binary",), 1.0).sound
