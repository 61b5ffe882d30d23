"""``tff-affect personalize``: what it hands on, prints and writes, and one message for bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import Said

from tff_affect.evaluation.personalised import COLUMNS, write_personalised
from tff_affect.learning.personalization_config import PersonalizationConfig
from tff_affect.run_folder import write_json
from tff_affect.runs import personal_study


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Puts a stand-in in the place of the study, and tells what it was opened with."""
    opened: list[Any] = []

    class Study:
        def personalise(self, folder: Path, progress: object) -> pd.DataFrame:
            folder.mkdir()
            ways = opened[-1][1].ways
            rows = [
                (0, 0, way, f"P{i}", "valence", 0.5, 0.4 + i, i - 0.1, 9.0, False) for way in ways for i in range(3)
            ]
            settings = {
                "cohort": "cohort_7", "synthetic": True, "time_unit": "second", "method": "federated", "share": 0.5,
                "gap": 0.0, "scaling": "none", "left_out": {},
            }  # fmt: skip
            write_json(folder / personal_study.SETTINGS, settings)
            return write_personalised(folder, [dict(zip(COLUMNS, row, strict=True)) for row in rows])

    def of(study: Path, personal: PersonalizationConfig, cohort: Path | None) -> Study:
        opened.append((study, personal, cohort))
        return Study()

    monkeypatch.setattr(personal_study.PersonalStudy, "open", of)
    return opened


def test_writes_tables_and_figure(asked: list[Any], tmp_path: Path, command_line: Callable[..., Said]) -> None:
    more = ("--ways", "shift, fine-tune", "--share", 0.25, "--gap", 2, "--rates", "0.1,0.2", "--passes", "1,2")
    said = command_line("personalize", tmp_path, "--cohort", "mine", "--quiet", *more)
    assert said.code == 0, said.err
    config = PersonalizationConfig(
        ("shift", "fine-tune"), share=0.25, gap=2.0, learning_rates=(0.1, 0.2), passes=(1, 2)
    )
    assert asked == [(tmp_path, config, Path("mine"))]
    for part in ("SYNTHETIC", "+0.900", "1 of 3 (33%)", "Unit: the client", "not told apart from the mean shift"):
        assert part in said.out
    found = {entry.name for entry in (tmp_path / "personalised").iterdir()}
    assert found == {"gains.csv", "personalised.csv", "personalised.md", "personalised.svg", "settings.json"}
    summary = pd.read_csv(tmp_path / "personalised" / "gains.csv")
    assert list(summary["gain_mean"].round(9)) == [0.9, 0.9]


def test_json_is_the_table(asked: list[Any], tmp_path: Path, command_line: Callable[..., Said]) -> None:
    said = command_line("personalize", tmp_path, "--out", tmp_path / "there", "--ways", "head", "--quiet", "--json")
    (row,) = json.loads(said.out)
    assert (row["way"], row["losers"], row["gain_sd"]) == ("head", 1, None)
    assert (tmp_path / "there" / "personalised.md").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--ways", "luck"), "personalisation.ways: expected one of"),
        (("--ways", ""), "personalisation.ways"),
        (("--share", "1"), "personalisation.share"),
        (("--passes", "1.5"), "--passes: expected whole numbers"),
        (("--passes", "inf"), "--passes: expected whole numbers"),
        (("--passes", ""), "personalisation.passes: expected at least one"),
        (("--rates", "fast"), "--rates"),
        (("--rates", "-1"), "above 0"),
        (("--method", "centralised"), "personalisation.method"),
        ((), "no run with a results.csv here"),
    ],
)
def test_bad_input_is_one_message(
    arguments: tuple[str, ...], said: str, tmp_path: Path, command_line: Callable[..., Said]
) -> None:
    code, out, err = command_line("personalize", tmp_path, "--quiet", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
