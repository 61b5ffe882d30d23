"""Steps are carried out once, and again where something changed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from sample_audit import epsilon, recognition

from tff_affect.errors import InputError
from tff_affect.privacy.audit.finding import Finding
from tff_affect.progress import Progress
from tff_affect.runs.audit.steps import STEPS, Step, carry_out

ONE = recognition("action units", "", "data", 0.8125, 0.0001)


class Counted:
    """Counts how often it is carried out."""

    def __init__(self, found: list[Finding] | None = None) -> None:
        self.times, self._found = 0, [ONE] if found is None else found

    def __call__(self) -> list[Finding]:
        self.times += 1
        return self._found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / STEPS).mkdir()
    return tmp_path


def test_a_step_is_carried_out_once(folder: Path) -> None:
    work = Counted()
    outcomes = [carry_out([Step("one", "first", work)], folder, {"a": 1}, Progress()) for _ in range(2)]
    assert work.times == 1
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].findings == (ONE,)


def test_it_is_carried_out_again_where_something_changed(folder: Path) -> None:
    work = Counted()
    for facts, depends in (({"a": 1}, None), ({"a": 2}, None), ({"a": 2}, {"shadows": 8})):
        carry_out([Step("one", "first", work, depends)], folder, facts, Progress())
    assert work.times == 3


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": 3}'])
def test_what_is_damaged_is_made_again(folder: Path, content: str) -> None:
    work = Counted()
    (folder / STEPS / "one.json").write_text(content)
    carry_out([Step("one", "first", work)], folder, {}, Progress())
    assert work.times == 1


def test_a_step_that_was_cut_off_leaves_those_before(folder: Path) -> None:
    first = Counted()

    def cut_off() -> list[Finding]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out([Step("one", "first", first), Step("two", "second", cut_off)], folder, {}, Progress())
    second = Counted()
    found = carry_out([Step("one", "first", first), Step("two", "second", second)], folder, {}, Progress())
    assert (first.times, second.times, len(found.findings)) == (1, 1, 2)


def test_what_cannot_be_attacked_is_left_out_with_the_reason(folder: Path) -> None:
    def refuses() -> list[Finding]:
        raise InputError("expected nine people, found two")

    found = carry_out([Step("one", "first", refuses)], folder, {}, Progress())
    assert found.findings == ()
    assert found.left_out == {"first": "expected nine people, found two"}


def test_infinite_numbers_are_kept_as_json(folder: Path) -> None:
    infinite = epsilon("federated + DP", 4.0, math.inf, True, one_run_epsilon="inf")
    found = carry_out([Step("one", "first", Counted([infinite]))], folder, {}, Progress())
    assert found.findings == (infinite,)
    json.loads((folder / STEPS / "one.json").read_text(), parse_constant=lambda name: pytest.fail(name))
