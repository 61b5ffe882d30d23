"""Pairs of rounds are timed in turn, and their ratio is judged; nothing is timed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.private_rounds import BOUND, MECHANISMS, PADDING, Pair, Rounds, measure, show
from benchmarks.simulator_engines import stage
from benchmarks.simulator_work import Work, synthetic_task
from tff_affect.learning.runtime import local_runtime

TINY = Work(units=3, window=5, features=2, clients=36, windows=2, batch=2, sample=12, rate=0.1)


def pair_of(calls: list[str], name: str, bound: float | None = BOUND) -> Pair:
    return Pair(name, lambda: calls.append(f"dearer {name}"), lambda: calls.append(f"plain {name}"), bound)


def test_neighbours_are_timed_in_turn_after_warming_up() -> None:
    calls: list[str] = []
    clock = iter(range(100))

    def seconds(run: object) -> float:
        run()  # type: ignore[operator]
        return float(next(clock))

    times = measure([pair_of(calls, "a"), pair_of(calls, "b")], 2, seconds)
    assert calls[:8] == ["dearer a", "plain a"] * 2 + ["dearer b", "plain b"] * 2
    assert calls[8:] == ["dearer a", "plain a", "dearer b", "plain b", "plain a", "dearer a", "plain b", "dearer b"]
    assert times == {"a": [(0.0, 1.0), (5.0, 4.0)], "b": [(2.0, 3.0), (7.0, 6.0)]}


@pytest.mark.parametrize(("ratio", "bound", "met"), [(1.09, BOUND, True), (1.2, BOUND, False), (3.0, None, True)])
def test_the_median_ratio_is_judged(
    ratio: float, bound: float | None, met: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    times = [(ratio * plain, plain) for plain in (0.1, 0.2, 0.3)] + [(9.0, 0.1), (0.1, 9.0)]
    assert show("affect-27", pair_of([], "fixed", bound), times) == met
    assert f"ratio {ratio:.2f}" in capsys.readouterr().out


@pytest.mark.slow
def test_every_pair_has_rounds_that_run(tmp_path: Path) -> None:
    task = synthetic_task(TINY, 2)
    with local_runtime():
        pairs = Rounds(task, stage(tmp_path, task)).pairs(list(MECHANISMS))
        times = measure(pairs, 1)
    assert list(times) == [*MECHANISMS, PADDING]
    assert all(min(both) > 0 for (both,) in times.values())
