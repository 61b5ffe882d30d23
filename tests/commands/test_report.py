"""``tff-affect report``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sample_full_study import write_full_study

from tff_affect.report import html


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study whose report has few figures: drawing takes seconds."""
    monkeypatch.setattr(html, "figure_sections", lambda study, facts: iter(()))
    monkeypatch.setattr(html, "curve_figures", lambda data, synthetic: ())
    return write_full_study(tmp_path / "study", seeds=1)


def test_the_report_goes_into_the_studys_folder(study: Path, command_line: Callable) -> None:
    said = command_line("report", study)
    assert (said.code, said.err, said.out) == (0, "", f"Report: {study / 'report.html'}\n")
    assert "client 01" in (study / "report.html").read_text(encoding="utf-8")
    assert (study / "figures" / "headline.csv").is_file()


def test_or_elsewhere_with_own_names_and_as_json(study: Path, tmp_path: Path, command_line: Callable) -> None:
    out = tmp_path / "new" / "reports"
    said = command_line("report", study, "--out", out, "--names", "--json")
    assert said.code == 0
    assert json.loads(said.out) == [{"report": str(out / "report.html"), "files": str(out / "figures")}]
    assert ">P16<" in (out / "report.html").read_text(encoding="utf-8")
    assert not (study / "report.html").exists()
    # Once more into the folder of a report: what is there is its own.
    assert command_line("report", study, "--out", out).code == 0
    assert ">P16<" not in (out / "report.html").read_text(encoding="utf-8")


def test_one_run_of_a_study_is_a_study(study: Path, tmp_path: Path, command_line: Callable) -> None:
    assert command_line("report", study / "seed-0", "--out", tmp_path / "out").code == 0


@pytest.mark.parametrize(
    ("case", "told"),
    [("missing", "no run with a results.csv"), ("two", "--out FOLDER"), ("occupied", "name a new one"),
     ("facts", "cohort_facts.json"), ("link", "move it away")],
)  # fmt: skip
def test_bad_input_is_one_line(study: Path, tmp_path: Path, command_line: Callable, case: str, told: str) -> None:
    arguments: list[object] = [study]
    if case == "missing":
        shutil.rmtree(study / "seed-0")
    elif case == "two":
        arguments.append(tmp_path)
    elif case == "occupied":
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "kept").touch()
        arguments += ["--out", tmp_path / "mine"]
    elif case == "facts":
        (study / "cohort_facts.json").write_text('{"named": 1}', encoding="utf-8")
    else:
        (study / "figures").symlink_to(tmp_path)
    said = command_line("report", *arguments)
    assert said.code == 2
    assert said.err.startswith("tff-affect: ")
    assert said.err.count("\n") == 1
    assert told in said.err
    assert not (study / "report.html").exists()
