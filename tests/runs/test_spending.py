"""The record of rounds that were computed: nothing of it may be lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_affect.errors import InputError
from tff_affect.runs.spending import SPENT, Spending


def spent(folder: Path, numbers: list[int]) -> Spending:
    spending = Spending(folder)
    for number in numbers:
        spending.begin(number)
    return spending


@given(st.lists(st.integers(1, 9), max_size=12), st.lists(st.integers(1, 9), max_size=12))
def test_each_beginning_counts_and_reproducible_ones_once(
    tmp_path_factory: pytest.TempPathFactory, first: list[int], resumed: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("spent")
    spent(folder, first)
    spending = spent(folder, resumed)
    assert spending.rounds() == [*first, *resumed]
    assert spending.rounds(reproducible=True) == sorted({*first, *resumed})


def test_nothing_is_spent_before_the_first_round(tmp_path: Path) -> None:
    assert Spending(tmp_path / "new").rounds() == []
    assert (tmp_path / "new").is_dir()


def test_a_round_is_on_disk_before_it_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append((tmp_path / SPENT).read_text()))
    spent(tmp_path, [1, 2])
    assert synced == ["round\n1\n", "round\n1\n2\n"]


@pytest.mark.parametrize(
    ("left", "found"),
    [
        ("", [7]),
        ("rou", [7]),
        ("round\n", [7]),
        ("round\n1\n", [1, 7]),
        # Half of 12, or the end of a file that an editor took the last line feed from: it counts.
        ("round\n1\n1", [1, 1, 7]),
    ],
)
def test_a_line_that_a_full_disk_cut_off_takes_nothing_away(tmp_path: Path, left: str, found: list[int]) -> None:
    (tmp_path / SPENT).write_text(left)
    assert spent(tmp_path, [7]).rounds() == found


@pytest.mark.parametrize("content", ["", "1\n2\n", "round\n1\n-2\n", "round\n1\ntwo\n", "round\n1.5\n"])
def test_what_was_altered_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / SPENT).write_text(content)
    with pytest.raises(InputError, match="do not edit it") as caught:
        Spending(tmp_path).rounds()
    assert SPENT in str(caught.value)
