"""What TensorBoard reads is what ``rounds.csv`` says, each round once; and logs change nothing else."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from tff_affect.learning.program import RoundResult
from tff_affect.metrics import SufficientStatistics
from tff_affect.round_tables import RoundTables
from tff_affect.tensorboard_logs import LOGS, TensorBoardLogs

TAGS = {
    "train/clients": "clients",
    "train/windows": "train_windows",
    "train/loss": "train_loss",
    "development_ccc/arousal_mean": "development_ccc_arousal_mean",
    "development_ccc/arousal_pooled": "development_ccc_arousal_pooled",
    "development_ccc/valence_mean": "development_ccc_valence_mean",
    "development_ccc/valence_pooled": "development_ccc_valence_pooled",
}


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of each tag, as TensorBoard reads them."""
    accumulator = EventAccumulator(str(folder / LOGS), size_guidance={"tensors": 0})
    accumulator.Reload()
    return {
        tag: [(event.step, float(make_ndarray(event.tensor_proto))) for event in accumulator.Tensors(tag)]
        for tag in accumulator.Tags()["tensors"]
    }


def expected(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The same of the table; what is not told has no event, and TensorBoard keeps 32 bits."""
    table = pd.read_csv(folder / "rounds.csv", keep_default_na=False, dtype=str)
    found = {
        tag: [(int(n), float(np.float32(cell))) for n, cell in zip(table["round"], table[column], strict=True) if cell]
        for tag, column in TAGS.items()
    }
    return {tag: values for tag, values in found.items() if values}


class Training:
    """A federated training that tells tables and logs of rounds that nobody computes."""

    def __init__(self, folder: Path, private: bool = False) -> None:
        self.folder, self._private = folder, private
        self.start(0)

    def start(self, after: int) -> None:
        self._tables = RoundTables(self.folder, ("arousal", "valence"))
        self._logs = TensorBoardLogs(self.folder)
        self._tables.resume_after(after)
        self._logs.begin()

    def round(self, number: int) -> None:
        told = (None, None, None) if self._private else (3, 12, 1 / number)
        series = np.random.default_rng(number).normal(size=(2, 20, 2))
        scored = {"P1": SufficientStatistics.from_series(*series)} if number % 2 == 0 else None
        self._tables.observe(RoundResult(number, *told, scored))
        self._logs.follow()


def test_the_logs_say_what_the_table_says(tmp_path: Path) -> None:
    training = Training(tmp_path)
    for number in range(1, 6):
        training.round(number)
        assert read(tmp_path) == expected(tmp_path)
    assert set(read(tmp_path)) == set(TAGS)
    assert [step for step, _ in read(tmp_path)["train/loss"]] == [1, 2, 3, 4, 5]
    assert [step for step, _ in read(tmp_path)["development_ccc/valence_pooled"]] == [2, 4]


def test_what_the_table_withholds_is_withheld(tmp_path: Path) -> None:
    training = Training(tmp_path, private=True)
    for number in range(1, 5):
        training.round(number)
    assert read(tmp_path) == expected(tmp_path)
    assert {tag.split("/")[0] for tag in read(tmp_path)} == {"development_ccc"}


@settings(max_examples=10)
@given(cuts=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4)), max_size=3))
def test_no_round_is_there_twice(cuts: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Rounds are done, and training goes on from an earlier one; what was cut off in the middle is gone."""
    folder = tmp_path_factory.mktemp("logs")
    training, done = Training(folder), 0
    for more, back in cuts:
        for number in range(done + 1, done + more + 1):
            training.round(number)
        done = max(done + more - back, 0)
        [file] = (folder / LOGS).iterdir()
        file.write_bytes(file.read_bytes()[:-1])
        training.start(done)
        assert read(folder) == expected(folder)
    training.round(done + 1)
    assert read(folder) == expected(folder)
    assert [step for step, _ in read(folder)["train/loss"]] == list(range(1, done + 2))


def test_a_loss_that_is_not_finite_is_logged(tmp_path: Path) -> None:
    training = Training(tmp_path)
    training._tables.observe(RoundResult(1, 3, 12, float("nan")))
    training._logs.follow()
    [(step, value)] = read(tmp_path)["train/loss"]
    assert step == 1
    assert np.isnan(value)


def test_the_file_names_no_machine(tmp_path: Path) -> None:
    Training(tmp_path).round(1)
    [file] = (tmp_path / LOGS).iterdir()
    assert file.name.startswith("events.out.tfevents.")
    assert platform.node() not in file.name.removeprefix("events.out.tfevents.")
    assert platform.node().encode() not in file.read_bytes()


SETTINGS = (
    *("data.window=25", "data.hop=25", "model.units=2", "training.rounds=3", "training.evaluate_every=2"),
    *("methods=[federated]", "seeds=[0]"),
)


def tables(study: Path) -> dict[str, bytes]:
    kinds = ("*.csv", "*.npz", "*.parquet", "split.json", "config.yaml")
    files = (file.relative_to(study) for kind in kinds for file in sorted(study.rglob(kind)))
    return {str(file): (study / file).read_bytes() for file in files if file.parts[0] != "figures"}


@pytest.mark.slow
def test_a_study_is_the_same_with_and_without_logs(command_line: Callable[..., Any], tmp_path: Path) -> None:
    cohort = write_synthetic_cohort(tmp_path / "cohort", SyntheticConfig(subjects=5, seconds=20, frame_rate=2.5)).path
    plain, logged = tmp_path / "plain", tmp_path / "logged"
    options = ["--cohort", cohort, "--quiet", *(part for setting in SETTINGS for part in ("-o", setting))]
    assert command_line("train", plain, *options).code == 0
    said = command_line("train", logged, *options, "--tensorboard")
    assert (said.code, said.err) == (0, "")
    assert tables(logged) == tables(plain)
    assert not list(plain.rglob(LOGS))
    assert read(logged) == expected(logged)
    assert [step for step, _ in read(logged)["train/loss"]] == [1, 2, 3]

    # As it began, so it goes on.
    assert command_line("train", logged, "--resume", "--quiet").code == 0
    refused = command_line("train", plain, *options, "--resume", "--tensorboard")
    assert refused.code == 2
    assert "begun without --tensorboard" in refused.err


def test_the_program_that_shows_logs_can_start() -> None:
    """It needs pkg_resources, which setuptools 81 and later have no more."""
    assert import_module("tensorboard.default").get_plugins()
