"""Runs side by side give the bytes of runs one after another, and leave nothing behind however they end."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from study_process import Driver

from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from tff_affect.errors import InputError, RunError
from tff_affect.processes import available_cores, resolved_processes
from tff_affect.progress import Progress
from tff_affect.runs.parallel import Assignment, Setup, _Child, run_in_parallel

SETTINGS = """
data: {window: 25, hop: 25}
model: {units: 3}
training: {rounds: 20, checkpoint_every: 2, evaluate_every: 3, patience: 0, batch_size: 4}
methods: [mean predictor, centralised, federated]
seeds: [0, 1]
"""
SIDE_BY_SIDE = ("--processes", "2")


def test_processes_are_counted() -> None:
    assert resolved_processes(3) == 3
    assert resolved_processes(0) == available_cores() >= 1
    with pytest.raises(InputError, match="processes: expected at least 0, found -1"):
        resolved_processes(-1)


def test_a_process_that_cannot_start_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    def assign() -> Assignment:
        raise AssertionError

    with pytest.raises(RunError, match="a process of the study ended with exit code 1"):
        run_in_parallel([assign, assign], tmp_path, tmp_path, 2, Progress())


def test_a_process_that_ended_before_it_is_told_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    child = _Child(Setup(tmp_path, tmp_path, 1))
    child.process.wait()
    with pytest.raises(RunError, match="ended with exit code 1"):
        child.tell(None)
    child.connection.close()


@dataclass(frozen=True)
class Place:
    """Where studies of one cohort and one file of settings are run."""

    root: Path

    def driver(self, name: str, *more: str) -> Driver:
        self.temporary(name).mkdir(exist_ok=True)
        common = ("--cohort", str(self.root / "cohort"), "--config", str(self.root / "study.yaml"), "--quiet")
        return Driver(["train", str(self.root / name), *common, *more], self.temporary(name))

    def temporary(self, name: str) -> Path:
        return self.root / f"tmp-{name}"

    def rounds(self, name: str) -> int:
        """Rounds that the runs have done, whichever has done more."""
        files = [self.root / name / f"seed-{seed}" / "rounds.csv" for seed in (0, 1)]
        return max((f.read_text(encoding="utf-8").count("\n") if f.is_file() else 0) for f in files) - 1

    def tables(self, name: str) -> dict[str, bytes]:
        patterns = ("*.csv", "split.json", "study.json", "config.yaml", "*.npz", "*.parquet")
        files = sorted(file for pattern in patterns for file in (self.root / name).rglob(pattern))
        # What a run cost has seconds in it, which are never the same.
        files = [file for file in files if file.name != "run-cost.csv"]
        return {str(file.relative_to(self.root / name)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("parallel")
    cohort = SyntheticConfig(subjects=6, seconds=60, frame_rate=2.5, action_units=("AU01", "AU06", "AU12"))
    write_synthetic_cohort(root / "cohort", cohort)
    (root / "study.yaml").write_text(SETTINGS, encoding="utf-8")
    return Place(root)


def workers(driver: Driver) -> int:
    return len(driver.alive("worker_binary"))


@pytest.mark.slow
def test_two_processes_give_the_bytes_of_one_however_often_they_are_cut_off(place: Place) -> None:
    """Killed, interrupted, failed in a child, then finished: the bytes of one process that never was."""
    name = "cut"
    driver = place.driver(name, *SIDE_BY_SIDE)
    driver.stop_when(lambda: place.rounds(name) >= 1 and workers(driver) == 2)
    driver.kill()
    assert driver.alive(seconds=10) == []

    driver = place.driver(name, *SIDE_BY_SIDE, "--resume")
    driver.stop_when(lambda: workers(driver) == 2, every=0.1)
    assert driver.end(signal.SIGINT) == 130
    assert driver.said.startswith("tff-affect: interrupted; ")
    assert driver.said.count("\n") == 1
    assert driver.alive(seconds=10) == []

    driver = place.driver(name, *SIDE_BY_SIDE, "--resume")
    driver.stop_when(lambda: workers(driver) == 2, every=0.1)
    for file in place.temporary(name).rglob("*.f32"):
        file.unlink()
        file.mkdir()
    code, said = driver.end(), driver.said
    assert code == 1, said
    assert said.startswith("tff-affect: a computation failed: ")
    assert said.count("\n") == 1
    assert driver.alive(seconds=10) == []

    drivers = place.driver("one"), place.driver(name, *SIDE_BY_SIDE, "--resume")
    assert [driver.end() for driver in drivers] == [0, 0]
    assert [driver.alive(seconds=10) for driver in drivers] == [[], []]
    one, cut = place.tables("one"), place.tables(name)
    assert {"seed-0/results.csv", "seed-1/rounds.csv", "seed-1/weights/federated.npz", "summary.csv"} <= set(one)
    assert set(one) == set(cut)
    assert [file for file in one if one[file] != cut[file]] == []
    # What a killed driver leaves of the private folder stays; the others cleared theirs.
    assert len(list(place.temporary(name).glob("tff_affect-staging-*"))) <= 1
