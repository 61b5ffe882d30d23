"""``tff-affect compare``: one message and exit code 2 for what cannot be compared, tables for what can."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Said
from sample_compared import alter, write_compared

Call = Callable[..., Said]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_compared(tmp_path_factory.mktemp("private-place") / "lstm")


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "gru"))


def test_renamed_copies_show_no_difference(original: Path, copy: Path, tmp_path: Path, command_line: Call) -> None:
    code, out, err = command_line("compare", original, copy, "--out", tmp_path / "tables", "--json")
    assert (code, err) == (0, "")
    records = json.loads(out)
    assert {(r["reference"], r["compared"], r["difference_mean"], r["p_value"]) for r in records} == {
        ("lstm", "gru", 0.0, 1.0)
    }
    assert {r["synthetic"] for r in records} == {True}
    assert "private-place" not in out
    assert sorted(file.name for file in (tmp_path / "tables").iterdir()) == [
        "comparison.csv", "comparison.md", "comparison.tex",
    ]  # fmt: skip


def test_the_terminal_shows_both_tables(original: Path, copy: Path, command_line: Call) -> None:
    code, out, err = command_line("compare", original, copy, "--method", "federated")
    assert (code, err) == (0, "")
    assert out.count("SYNTHETIC data") == 2
    assert "Holm: corrected for the 2 tests of this table" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 100


def test_one_study_has_its_methods_compared(original: Path, command_line: Call) -> None:
    code, out, _ = command_line("compare", original, "--method", "federated", "--json")
    assert code == 0
    assert {r["reference_method"] for r in json.loads(out)} == {"federated"}


def test_another_split_is_refused_with_the_reason(
    original: Path, copy: Path, tmp_path: Path, command_line: Call
) -> None:
    alter(copy / "seed-1" / "split.json", lambda split: split["train"].append(split["development"].pop()))
    code, out, err = command_line("compare", original, copy, "--out", tmp_path / "tables")
    assert (code, out) == (2, "")
    assert err.startswith("tff-affect: cannot compare studies of different splits: seed 1, fold 0, partition train: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "tables").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--method", "magic"), "expected a method among"),
        (("--kind", "attainable"), "expected a kind among"),
        (("{original}",), "named twice"),
        (("{original}/seed-0/predictions",), "no run with a results.csv here"),
        (("{original}/nowhere",), "no run with a results.csv here"),
        (("--out", "{original}"), "holds no comparison"),
    ],
)
def test_bad_input_is_one_message(more: tuple[str, ...], said: str, original: Path, command_line: Call) -> None:
    before = sorted(original.rglob("*"))
    code, out, err = command_line("compare", original, *(part.format(original=original) for part in more))
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert sorted(original.rglob("*")) == before
