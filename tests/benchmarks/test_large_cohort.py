"""What is concluded from memory and times, and that the training that is measured runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from staged_clients import staged_clients

from benchmarks import large_cohort
from benchmarks.large_cohort import LargeTraining, Memory, alternating, growth, show_memory, show_times
from tff_affect.errors import InputError
from tff_affect.learning.runtime import local_runtime
from tff_affect.round_tables import RoundTables


def test_growth_compares_the_end_with_rounds_20_to_40() -> None:
    series = np.full(200, 500.0)
    series[:15] = 100
    series[40:180] = 900
    series[-20:] = 510
    assert growth(series) == pytest.approx(0.02)
    with pytest.raises(InputError, match="at least 60"):
        growth(series[:59])


@pytest.mark.parametrize(("end", "peak", "met"), [(1.01, 3999.0, True), (1.05, 3999.0, False), (1.01, 4100.0, False)])
def test_memory_is_judged_by_growth_and_peak(tmp_path: Path, end: float, peak: float, met: bool) -> None:
    memory = Memory(RoundTables(tmp_path, ["arousal"]), [300.0] * 80, [100.0] * 60 + [400 * end - 300] * 20)
    assert show_memory(memory, peak) == met


@pytest.mark.parametrize(("ratio", "met"), [(1.09, True), (1.2, False), (0.5, True)])
def test_rounds_with_more_registered_clients_may_not_take_longer(ratio: float, met: bool) -> None:
    assert show_times(1000, 100, [(ratio * few, few) for few in (0.1, 0.2, 0.3)]) == met


def test_rounds_alternate() -> None:
    calls: list[str] = []
    assert len(alternating(lambda: calls.append("many"), lambda: calls.append("few"), 3)) == 3
    assert calls == ["many", "few"] * 4


@pytest.mark.slow
def test_a_small_training_is_watched_round_by_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_cohort, "_DEVELOPMENT", 2)
    (tmp_path / "staged").mkdir()
    staged = staged_clients(tmp_path / "staged", {f"P{i}": 1 for i in range(12)})
    large = LargeTraining(staged, rounds=3, clients_per_round=4)
    assert large.registered == staged.clients[2:]
    with local_runtime():
        process = large.process()
        memory = large.run(process, tmp_path)
        assert large.round_of(process, large.registered)() == 4 + 6
    assert len(memory.driver) == len(memory.worker) == 3
    assert min(memory.driver) > 100
    assert min(memory.worker) > 20
    assert (tmp_path / "spent.csv").read_text() == "round\n1\n2\n3\n"
