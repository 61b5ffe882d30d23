"""``tff-affect gait``: what it hands on, what it prints, and one message for bad input."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import Said
from sample_gait_results import sample_results

from experiments import gait_disentanglement
from experiments.gait_disentanglement import StudyOutcome, TrainedOutcome
from experiments.gait_settings import GaitExperiment
from tff_affect.report.gait import GaitText

RECORD = {
    "synthetic": True, "people": 24, "strangers": 20, "emotion_uar": 0.8, "emotion_chance": 0.25,
    "reconstruction": 0.2,
}  # fmt: skip


@dataclass
class Stand:
    """Stands for the training and for the study."""

    asked: tuple[Any, ...] = ()

    def train(self, out: Path, folder: Path | None, config: GaitExperiment, seed: int, _: object) -> Any:
        self.asked = (out, folder, config, seed)
        return TrainedOutcome(RECORD, None)

    def study(
        self, out: Path, folder: Path | None, config: GaitExperiment, pictures: bool, count: int, _: object
    ) -> Any:
        self.asked = (out, folder, config, pictures, count)
        return StudyOutcome(sample_results(), GaitText("SYNTHETIC walkers", True), out / "gait.html", None)


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    made = Stand()
    monkeypatch.setattr(gait_disentanglement, "train_gait", made.train)
    monkeypatch.setattr(gait_disentanglement, "study_gaits", made.study)
    return made


def test_train_hands_on_what_it_is_told(command_line: Any, stand: Stand, tmp_path: Path) -> None:
    said: Said = command_line(
        "gait", "train", tmp_path / "out", "--walks", "mine", "--layout", "glasgow", "--joint-map", "plug_in_gait",
        "--seed", "4", "-o", "gait.steps=7", "-o", "walks.layout=folders",
    )  # fmt: skip
    assert (said.code, said.err) == (0, "")
    out, folder, config, seed = stand.asked
    assert (out, folder, seed) == (tmp_path / "out", Path("mine"), 4)
    # Options win over -o.
    assert (config.walks.layout, config.walks.joint_map, config.gait.steps) == ("glasgow", "plug_in_gait", 7)
    assert said.out.startswith("SYNTHETIC data: trained on 24 people. In 20 others")
    assert "tff-affect gait evaluate" in " ".join(said.out.split())


def test_evaluate_prints_tables_and_verdicts_or_json(command_line: Any, stand: Stand, tmp_path: Path) -> None:
    said: Said = command_line("gait", "evaluate", tmp_path, "--seeds", "2", "--pictures", "--processes", "3")
    assert said.code == 0
    out, folder, config, pictures, count = stand.asked
    assert (out, folder, config.study.seeds, pictures, count) == (tmp_path, None, [0, 1], True, 3)
    assert "SYNTHETIC" in said.out
    assert "emotion code" in said.out
    assert f"Report: {tmp_path / 'gait.html'}" in said.out.replace("\n", " ") or "gait.html" in said.out
    found = json.loads(command_line("gait", "evaluate", tmp_path, "--json").out)
    assert {"emotion", "identity", "judged", "explained"} <= set(found)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "out", "--layout", "glasgow"), "--layout: expected it with --walks alone"),
        (("train", "out", "-o", "steps"), "-o: expected NAME=VALUE, found 'steps'"),
        (("evaluate", "out", "-o", "study.strangers=2"), "study.strangers: expected a share between 0 and 1"),
        (("explain", "no-model", "no-walks", "out"), "no-model"),
    ],
)
def test_bad_input_is_one_line(
    command_line: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said: Said = command_line("gait", *arguments)
    assert (said.code, said.out) == (2, "")
    assert words in " ".join(said.err.split())
    assert "Traceback" not in said.err
    assert not list(tmp_path.iterdir())
