"""A study is cut off at several instants and in several ways, and ends with the bytes of one that never was."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from study_process import Driver

from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from tff_affect.evaluation.per_client import read_results

ROUNDS = 8
SETTINGS = f"""
data: {{window: 25, hop: 25}}
model: {{units: 4}}
training: {{rounds: {ROUNDS}, checkpoint_every: 2, evaluate_every: 1, patience: 0, batch_size: 4}}
"""
WORKER = "worker_binary"


@dataclass(frozen=True)
class Study:
    """A study's folder, the arguments that make it, and a temporary folder of its own."""

    folder: Path
    arguments: tuple[str, ...]
    temporary: Path

    def driver(self, *more: str) -> Driver:
        return Driver([*self.arguments, *more], self.temporary)

    def methods(self) -> set[str]:
        """Methods with measured results."""
        file = self.folder / "results.csv"
        results = read_results(file) if file.is_file() else None
        return set() if results is None else set(results.method[results.kind == "measured"])

    def rounds(self) -> int:
        file = self.folder / "rounds.csv"
        return file.read_text(encoding="utf-8").count("\n") - 1 if file.is_file() else 0

    def staging(self) -> set[Path]:
        return set(self.temporary.glob("tff_affect-staging-*"))


@dataclass(frozen=True)
class Cut:
    """How a driver ended, and what it left.

    Attributes:
        methods: Those with results when it was frozen.
        rounds: Rows of ``rounds.csv`` then.
        workers: Its workers then.
        staging: Its staging folders then.
        code: Its exit code.
        said: What it wrote to stderr.
        left: Processes that outlive it.
        staging_left: Staging folders that outlive it.
    """

    methods: set[str]
    rounds: int
    workers: int
    staging: set[Path]
    code: int
    said: str
    left: list[str]
    staging_left: set[Path]


def cut(
    study: Study, instant: Callable[[Driver], bool], end: Callable[[Driver], int], *more: str, every: float = 0.001
) -> Cut:
    driver = study.driver(*more)
    driver.stop_when(lambda: instant(driver), every=every)
    found = (study.methods(), study.rounds(), len(driver.alive(WORKER)), study.staging())
    code = end(driver)
    return Cut(*found, code, driver.said, left_by(driver), study.staging())


def left_by(driver: Driver) -> list[str]:
    return [process.name() for process in driver.alive(seconds=10)]


def kill(driver: Driver) -> int:
    driver.kill()
    return -signal.SIGKILL


def interrupted_study(study: Study) -> dict[str, Cut]:
    """In the order of the work: each instant lies beyond what its predecessor had finished."""
    centralised = study.folder / "weights" / "centralised.npz"

    def lose_a_sequence(driver: Driver) -> int:
        for file in study.temporary.rglob("*.f32"):
            file.unlink()
        return driver.end()

    def terminate(driver: Driver) -> int:
        return driver.end(signal.SIGTERM)

    def interrupt(driver: Driver) -> int:
        return driver.end(signal.SIGINT)

    return {
        "terminated": cut(study, lambda d: bool(d.alive(WORKER)), terminate, every=0.1),
        "killed in a baseline": cut(study, lambda d: centralised.is_file(), kill, "--resume"),
        "killed before a checkpoint": cut(study, lambda d: study.rounds() >= 1, kill, "--resume"),
        "failed": cut(study, lambda d: study.rounds() >= 3, lose_a_sequence, "--resume"),
        "interrupted": cut(study, lambda d: study.rounds() >= 5, interrupt, "--resume"),
    }


@dataclass(frozen=True)
class Story:
    """A study that was never interrupted, one that was and was finished, and all interruptions by name.

    Attributes:
        reference: Never interrupted.
        interrupted: Finished in spite of `interrupted_study`.
        cuts: The interruptions of `interrupted_study`.
        codes: Exit codes of the two drivers that finished.
        left: Processes that outlived these.
    """

    reference: Study
    interrupted: Study
    cuts: dict[str, Cut]
    codes: tuple[int, int]
    left: tuple[list[str], list[str]]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    root = tmp_path_factory.mktemp("studies")
    units = ("AU01", "AU06", "AU12")
    cohort = SyntheticConfig(subjects=7, seconds=60, frame_rate=2.5, action_units=units)
    write_synthetic_cohort(root / "cohort", cohort)
    (root / "study.yaml").write_text(SETTINGS, encoding="utf-8")
    reference, interrupted = (new_study(root, name) for name in ("reference", "interrupted"))
    with ThreadPoolExecutor(1) as beside:
        other = beside.submit(finish, reference)
        cuts = interrupted_study(interrupted)
        code, left = finish(interrupted, "--resume")
        reference_code, reference_left = other.result()
    return Story(reference, interrupted, cuts, (reference_code, code), (reference_left, left))


def new_study(root: Path, name: str) -> Study:
    temporary = root / f"tmp-{name}"
    temporary.mkdir()
    common = ("--cohort", str(root / "cohort"), "--config", str(root / "study.yaml"), "--quiet")
    return Study(root / name, ("train", str(root / name), *common), temporary)


def finish(study: Study, *more: str) -> tuple[int, list[str]]:
    driver = study.driver(*more)
    return driver.end(), left_by(driver)


pytestmark = pytest.mark.slow
KILLED = ("killed in a baseline", "killed before a checkpoint")
ASKED_TO_STOP = ("terminated", "interrupted")


def test_the_instants_are_those_meant(story: Story) -> None:
    baselines = {"mean predictor", "local-only", "centralised"}
    found = story.cuts
    assert found["killed in a baseline"].methods >= {"mean predictor", "local-only"}
    assert found["killed in a baseline"].rounds == 0
    for name in ("killed before a checkpoint", "failed", "interrupted"):
        assert found[name].methods == baselines, name
    assert found["killed before a checkpoint"].rounds == 1
    assert 3 <= found["failed"].rounds <= found["interrupted"].rounds < ROUNDS
    assert "centralised" not in found["terminated"].methods
    assert {name: cut.workers for name, cut in found.items()} == dict.fromkeys(found, 1)


def tables(study: Study) -> dict[str, bytes]:
    """All results of a study; not its report, which may show when it was made."""
    patterns = ("*.csv", "*.json", "config.yaml", "weights/*.npz", "predictions/**/*.parquet")
    files = sorted(file for pattern in patterns for file in study.folder.glob(pattern))
    return {str(file.relative_to(study.folder)): file.read_bytes() for file in files}


def test_the_results_are_those_of_a_run_never_interrupted(story: Story) -> None:
    assert story.codes == (0, 0)
    expected, found = tables(story.reference), tables(story.interrupted)
    assert {"rounds.csv", "per_client.csv", "results.csv", "summary.csv", "weights/federated.npz"} <= set(expected)
    assert sum(name.startswith("predictions/") for name in expected) == 4
    assert set(found) == set(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert story.reference.rounds() == ROUNDS
    assert (story.interrupted.folder / "report.html").is_file()


def test_no_worker_is_left(story: Story) -> None:
    assert {name: cut.left for name, cut in story.cuts.items()} == {name: [] for name in story.cuts}
    assert story.left == ([], [])


@pytest.mark.parametrize("name", ASKED_TO_STOP)
def test_a_signal_is_answered_by_one_line(story: Story, name: str) -> None:
    found = story.cuts[name]
    assert found.code == 130
    assert found.said.startswith("tff-affect: interrupted; ")
    assert found.said.endswith("(a study: 'tff-affect train FOLDER --resume')\n")
    assert found.staging_left == set()


def test_a_failed_computation_is_one_line(story: Story) -> None:
    found = story.cuts["failed"]
    assert found.code == 1
    assert found.said.startswith("tff-affect: a computation failed: ")
    assert ".f32" in found.said
    assert found.said.count("\n") == 1
    assert found.staging_left == set()


def test_staged_sequences_of_a_killed_driver_are_swept_by_the_next(story: Story) -> None:
    names = list(story.cuts)
    for name in KILLED:
        following = story.cuts[names[names.index(name) + 1]]
        assert len(story.cuts[name].staging_left) == 1, name
        assert len(following.staging) == 1
        assert following.staging.isdisjoint(story.cuts[name].staging_left), name
    assert story.reference.staging() == story.interrupted.staging() == set()
    assert story.cuts["killed in a baseline"].code == -signal.SIGKILL


def test_nothing_half_written_is_left(story: Story) -> None:
    hidden = [file.name for file in story.interrupted.folder.rglob(".*") if file.name != ".lock"]
    assert hidden == []
