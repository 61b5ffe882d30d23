"""``timing.jsonl``: what each round took, also of a training that was cut off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tff_affect.errors import InputError
from tff_affect.round_timing import TIMES, RoundTimes, read_times


def clock(*instants: float) -> Iterator[float]:
    return iter(instants)


def test_each_round_takes_what_passed_since_the_one_before(tmp_path: Path) -> None:
    times = RoundTimes(tmp_path, clock(0.0, 10.0, 12.5, 13.0).__next__)
    times.begin()
    times.add(1)
    times.add(2)
    found = read_times(tmp_path / TIMES)
    assert found.to_dict("list") == {"round": [1, 2], "seconds": [2.5, 0.5]}


def test_rounds_computed_again_count_again_and_the_pause_does_not(tmp_path: Path) -> None:
    first = RoundTimes(tmp_path, clock(0.0, 0.0, 1.0, 2.0).__next__)
    first.begin()
    first.add(1)
    first.add(2)
    again = RoundTimes(tmp_path, clock(1e6, 1e6, 1e6 + 3).__next__)
    again.begin()
    again.add(2)
    assert read_times(tmp_path / TIMES)["round"].tolist() == [1, 2, 2]
    assert read_times(tmp_path / TIMES)["seconds"].tolist() == [1.0, 1.0, 3.0]


def test_a_last_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    (tmp_path / TIMES).write_text('{"round": 1, "seconds": 2.0}\n{"round": 2, "sec', encoding="utf-8")
    assert read_times(tmp_path / TIMES)["round"].tolist() == [1]
    assert read_times(tmp_path / "none").empty


@pytest.mark.parametrize("line", ["{", "[]", '{"round": 1}', '{"round": "a", "seconds": 1}', ""])
def test_anything_else_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / TIMES).write_text(f'{{"round": 1, "seconds": 2.0}}\n{line}\n', encoding="utf-8")
    with pytest.raises(InputError, match="expected a round") as caught:
        read_times(tmp_path / TIMES)
    assert caught.value.line == 2
