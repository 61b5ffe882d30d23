"""A study that lacks runs: which these are, and who says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Said
from sample_full_study import write_full_study
from sample_study import CLIENTS

from tff_affect.errors import InputError
from tff_affect.report import html
from tff_affect.runs.expected import missing_runs


def study_of(folder: Path, seeds: list[int], split: dict[str, object], *runs: str) -> Path:
    """A study's settings, and runs that have results."""
    folder.mkdir()
    (folder / "study.json").write_text(json.dumps({"seeds": seeds, "split": split}), encoding="utf-8")
    for name in runs:
        run = folder / name
        run.mkdir(exist_ok=True)
        (run / "results.csv").touch()
        parts = {"train": ["P1", "P2"], "development": ["P3"], "test": ["P4"]}
        (run / "split.json").write_text(json.dumps(parts), encoding="utf-8")
    return folder


FOLDS = {"scheme": "k-fold", "folds": 3}


@pytest.mark.parametrize(
    ("seeds", "split", "runs", "missing"),
    [
        ([0, 2], {"scheme": "holdout", "folds": 5}, ["seed-0", "seed-2"], []),
        ([0, 2], {"scheme": "fixed"}, ["seed-0"], ["seed-2"]),
        ([4], {"scheme": "holdout"}, ["."], []),
        ([4], FOLDS, ["seed-4_fold-0", "seed-4_fold-2"], ["seed-4_fold-1"]),
        ([1, 0], FOLDS, ["seed-0_fold-0", "seed-1_fold-0", "seed-1_fold-1", "seed-0_fold-2"],
         ["seed-0_fold-1", "seed-1_fold-2"]),
        ([0], {"scheme": "loso"}, ["seed-0_fold-1", "seed-0_fold-3"], ["seed-0_fold-0", "seed-0_fold-2"]),
    ],
)  # fmt: skip
def test_runs_without_results_are_named(
    seeds: list[int], split: dict[str, object], runs: list[str], missing: list[str], tmp_path: Path
) -> None:
    assert missing_runs(study_of(tmp_path / "study", seeds, split, *runs)) == missing


def test_nothing_is_said_of_one_run_of_a_study(tmp_path: Path) -> None:
    study = study_of(tmp_path / "study", [0, 1], {"scheme": "fixed"}, "seed-0")
    assert missing_runs(study / "seed-0") == []


@pytest.mark.parametrize(
    ("seeds", "split", "told"),
    [([], {"scheme": "fixed"}, "seeds"), (-1, {"scheme": "fixed"}, "seeds"), ([0], -1, "split"),
     ([0], {"scheme": "k-fold"}, r"split\.folds"), ([0], {"scheme": "k-fold", "folds": 10**9}, r"split\.folds")],
)  # fmt: skip
def test_settings_that_were_edited(seeds: list[int], split: dict[str, object], told: str, tmp_path: Path) -> None:
    study = study_of(tmp_path / "study", seeds, split, "seed-0")
    with pytest.raises(InputError, match=rf"study\.json: {told}: expected what training writes"):
        missing_runs(study)


@pytest.fixture
def unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seeds 0 and 1 of 0, 1 and 2."""
    monkeypatch.setattr(html, "figure_sections", lambda study, facts: iter(()))
    monkeypatch.setattr(html, "curve_figures", lambda data, synthetic: ())
    study = write_full_study(tmp_path / "study")
    settings = {"cohort": "ab" * 32, "seeds": [0, 1, 2], "split": {"scheme": "holdout"}}
    (study / "study.json").write_text(json.dumps(settings), encoding="utf-8")
    return study


@pytest.mark.parametrize("command", ["report", "evaluate"])
def test_the_report_says_so_at_its_head(command: str, unfinished: Path, command_line: Callable[..., Said]) -> None:
    said = command_line(command, unfinished)
    assert said.code == 0, said.err
    text = (unfinished / "report.html").read_text(encoding="utf-8")
    remark = text.index("Unfinished: 1 of 3 runs is missing (seed-2), and no number here is of it")
    assert text.index('id="what"') < remark < text.index("2 runs are summarised here")
    assert not any(f">{client}<" in text for client in CLIENTS)


def test_the_report_of_a_whole_study_does_not(unfinished: Path, command_line: Callable[..., Said]) -> None:
    settings = json.loads((unfinished / "study.json").read_text(encoding="utf-8")) | {"seeds": [0, 1]}
    (unfinished / "study.json").write_text(json.dumps(settings), encoding="utf-8")
    assert command_line("report", unfinished).code == 0
    assert "Unfinished" not in (unfinished / "report.html").read_text(encoding="utf-8")


def test_personalisation_refuses(unfinished: Path, command_line: Callable[..., Said]) -> None:
    said = command_line("personalize", unfinished, "--out", unfinished.parent / "out", "--quiet")
    assert (said.code, said.out) == (2, "")
    assert "there are no results of seed-2; finish it with 'tff-affect train FOLDER --resume'" in said.err
    assert not (unfinished.parent / "out").exists()
