"""A driver's faults, one after another in one study: it ends with the bytes of a study that nothing befell.

A second driver comes, the disk fills up, the newest checkpoint is damaged, and the clock jumps.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest
from study_process import Driver

from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from tff_affect.errors import InputError
from tff_affect.learning.checkpoints import Checkpoints
from tff_affect.run_folder import check_unlocked, locked

ROUNDS, SUBJECTS = 8, 6
SETTINGS = f"""
data: {{window: 25, hop: 25}}
model: {{units: 4}}
training: {{rounds: {ROUNDS}, checkpoint_every: 2, patience: 0, batch_size: 4,
  server_optimizer: {{name: adam, learning_rate: 0.05}}}}
methods: [federated]
"""
# Room for what a driver says and for tables of rounds, and for no checkpoint.
SMALL_DISK = 4096
HOLDER = """
import sys, time
from pathlib import Path
from tff_affect.run_folder import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""
# Every look at the clock is years before or after the last one. Not gRPC's: it hands instants to its core in C, which
# looks at the system's clock for itself; there a jump moves both.
JUMPING_CLOCK = """
import itertools, sys, time
_true, _count = time.time, itertools.count()

def _jumping():
    own = not sys._getframe(1).f_globals.get("__name__", "").startswith("grpc")
    return _true() + (own and (-1) ** next(_count) * 1e8)

time.time = _jumping
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen]:
    """Another process that works on a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("check", [check_unlocked, lambda folder: locked(folder).__enter__()])
def test_a_second_process_is_refused_at_once_also_while_the_first_is_stopped(
    check: Callable[[Path], None], stopped: bool, tmp_path: Path
) -> None:
    with holder(tmp_path) as process:
        if stopped:
            process.send_signal(signal.SIGSTOP)
        with pytest.raises(InputError, match="another process is working on this study") as raised:
            check(tmp_path)
    assert raised.value.file == str(tmp_path)


def test_the_lock_of_a_killed_process_is_gone_with_it(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
        check_unlocked(tmp_path)
        with locked(tmp_path):
            pass


def test_a_look_at_the_lock_makes_nothing_in_a_new_folder(tmp_path: Path) -> None:
    check_unlocked(tmp_path)
    check_unlocked(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_locked_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot lock the folder: No such file"), locked(tmp_path / "none"):
        pass


@dataclass
class Study:
    """A study's folder and the arguments that make it.

    Attributes:
        folder: Where it is.
        arguments: Of the command line.
        temporary: The drivers' ``TMPDIR``.
    """

    folder: Path
    arguments: tuple[str, ...]
    temporary: Path

    def driver(self, *more: str) -> Driver:
        return Driver([*self.arguments, *more], self.temporary)

    def rounds(self) -> int:
        file = self.folder / "rounds.csv"
        return file.read_text(encoding="utf-8").count("\n") - 1 if file.is_file() else 0

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def tables(self) -> dict[str, bytes]:
        patterns = ("*.csv", "*.json", "weights/*.npz", "predictions/**/*.parquet", "checkpoints/round_*")
        files = sorted(file for pattern in patterns for file in self.folder.glob(pattern))
        return {str(file.relative_to(self.folder)): file.read_bytes() for file in files}


@dataclass
class Story:
    """What befell a study.

    Attributes:
        reference: One that nothing befell.
        study: The one with the faults.
        sequences: Clients' staged sequences, as they lay beside its first driver, and the cohort's own.
        codes: Exit codes of the drivers by what befell them.
        said: What these said.
        left: Names in the folder of checkpoints after the disk was full.
    """

    reference: Study
    study: Study
    sequences: list[np.ndarray] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)

    @property
    def newest(self) -> int:
        """The newest checkpoint that the full disk left."""
        return max(int(name.removeprefix("round_").removesuffix(".checkpoint")) for name in self.left)

    def end(self, name: str, driver: Driver) -> None:
        self.codes[name] = driver.end()
        self.said[name] = driver.said


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    root = tmp_path_factory.mktemp("faults")
    cohort = SyntheticConfig(subjects=SUBJECTS, seconds=60, frame_rate=2.5, action_units=("AU01", "AU06", "AU12"))
    stored = write_synthetic_cohort(root / "cohort", cohort)
    (root / "study.yaml").write_text(SETTINGS, encoding="utf-8")
    found = Story(new_study(root, "reference"), new_study(root, "study"))
    found.sequences += [stored.load(subject).features for subject in stored.subjects]
    with ThreadPoolExecutor(1) as beside:
        reference = beside.submit(lambda: found.end("reference", found.reference.driver()))
        fill_the_disk_beside_a_second_driver(found)
        reference.result()
    damage(found.study.checkpoints / f"round_{found.newest}.checkpoint")
    resume_under_a_jumping_clock(found, root / "clock")
    return found


def new_study(root: Path, name: str) -> Study:
    temporary = root / f"tmp-{name}"
    temporary.mkdir()
    arguments = ("--cohort", str(root / "cohort"), "--config", str(root / "study.yaml"), "--quiet")
    return Study(root / name, ("train", str(root / name), *arguments), temporary)


def fill_the_disk_beside_a_second_driver(story: Story) -> None:
    first = story.study.driver()
    first.stop_when(lambda: story.study.rounds() >= 5)
    staged = sorted(story.study.temporary.glob("tff_affect-staging-*/**/*.f32"))
    story.sequences += [np.fromfile(file, "<f4") for file in staged]
    story.end("second", story.study.driver("--resume"))
    process = next(process for process in first.alive() if process.ppid() == os.getpid())
    process.rlimit(psutil.RLIMIT_FSIZE, (SMALL_DISK, SMALL_DISK))
    story.end("full disk", first)
    story.left = {entry.name for entry in story.study.checkpoints.iterdir()}


def damage(newest: Path) -> None:
    """Flips a bit, and leaves half a file beside it, as a driver that is killed does."""
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 4
    newest.write_bytes(bytes(content))
    newest.with_name(".round_8.checkpoint.k1ll3d.part").write_bytes(content[:100])


def resume_under_a_jumping_clock(story: Story, folder: Path) -> None:
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(JUMPING_CLOCK, encoding="utf-8")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(folder))
        story.end("resumed", story.study.driver("--resume"))


@pytest.mark.slow
def test_the_results_are_those_of_a_study_that_nothing_befell(story: Story) -> None:
    assert (story.codes["reference"], story.codes["resumed"]) == (0, 0)
    expected, found = story.reference.tables(), story.study.tables()
    assert {"rounds.csv", "per_client.csv", "results.csv", "weights/federated.npz"} <= set(expected)
    assert f"checkpoints/round_{ROUNDS}.checkpoint" in expected
    assert set(found) == set(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


@pytest.mark.slow
def test_a_second_driver_is_refused_in_one_line_and_changes_nothing(story: Story) -> None:
    assert story.codes["second"] == 2
    assert story.said["second"].endswith("another process is working on this study; wait for it or stop it\n")
    assert story.said["second"].count("\n") == 1


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_good_checkpoints_alone(story: Story) -> None:
    said = story.said["full disk"]
    assert story.codes["full disk"] == 1
    assert f"cannot write the checkpoint of round {story.newest + 2}: File too large; free space" in said
    assert said.startswith("tff-affect: ")
    assert said.count("\n") == 1
    assert story.left == {f"round_{n}.checkpoint" for n in range(2, story.newest + 1, 2)}


@pytest.mark.slow
def test_a_damaged_checkpoint_is_one_line(story: Story) -> None:
    assert story.said["resumed"].count("\n") == 1
    assert f"the checkpoint of round {story.newest} was set aside as " in story.said["resumed"]
    names = {entry.name for entry in story.study.checkpoints.iterdir()}
    assert names == {f"round_{n}.checkpoint" for n in (4, 6, 8)} | {f"damaged_round_{story.newest}.checkpoint"}


@pytest.mark.slow
def test_a_checkpoint_holds_nothing_of_a_clients_sequence(story: Story, tmp_path: Path) -> None:
    files = sorted(story.reference.checkpoints.glob("round_*"))
    runs = runs_of(story.sequences)
    assert (len(files), len(story.sequences)) == (3, 2 * SUBJECTS)
    assert len(runs) > 10_000
    assert [file.name for file in files if holds_any(file.read_bytes(), runs)] == []
    # Two neighbouring values of one client, among thousands of others, would be found.
    planted = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    planted[1234:1236] = telling_pairs(story.sequences[-1])[50]
    Checkpoints(tmp_path).save({"learning": [np.zeros(3), planted]}, 1)
    assert holds_any((tmp_path / "round_1.checkpoint").read_bytes(), runs)


def runs_of(sequences: list[np.ndarray]) -> set[bytes]:
    """All runs of 8 bytes that say something of a client: neighbours as float32, and each value as float64."""
    found: set[bytes] = set()
    for sequence in sequences:
        found |= {pair.tobytes() for axes in (sequence, sequence.T) for pair in telling_pairs(axes)}
        exact = sequence.ravel().astype("<f8")
        found |= {value.tobytes() for value in exact[np.isfinite(exact) & (exact % 0.25 != 0)]}
    return found


def telling_pairs(sequence: np.ndarray) -> np.ndarray:
    """Neighbours ``[pair, 2]`` in float32; not those of equal values or zeros, which are found anywhere."""
    values = sequence.ravel().astype("<f4")
    pairs = np.stack([values[:-1], values[1:]], axis=1)
    return pairs[np.isfinite(pairs).all(axis=1) & (pairs != 0).all(axis=1) & (pairs[:, 0] != pairs[:, 1])]


def holds_any(content: bytes, runs: set[bytes]) -> bool:
    return any(content[start : start + 8] in runs for start in range(len(content) - 7))
