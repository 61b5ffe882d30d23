"""Fixtures that several test modules share."""

from __future__ import annotations

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read by TensorFlow once, when first imported

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from sample_cohort import small_manifest, small_subjects

from tff_affect import cli
from tff_affect.cohort import Cohort, write_cohort

if TYPE_CHECKING:
    from tff_affect.learning.runtime import Worker

# Whoever starts the tests in the background of a script has them ignore Ctrl-C, and with them all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "tests",
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("tests")


def pytest_collection_finish() -> None:
    """What was imported stays: looking through it for garbage again and again took one second of twenty-five."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data for development, beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data: ../shared/data is not beside the checkout")
    return folder


@pytest.fixture(scope="module")
def runtime() -> Iterator[Worker]:
    """TFF computations of a module's tests run on an own worker."""
    from tff_affect.learning.runtime import local_runtime

    with local_runtime() as worker:
        yield worker


class Said(NamedTuple):
    """How a command ended: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs the command line in this process, as its entry point does."""
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)

    def run(*arguments: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["tff-affect", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def small_cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """SYNTHETIC, 4 subjects x 200 frames x 3 features, 2 labels. Shared by all tests: read it, do not change it."""
    return write_cohort(tmp_path_factory.mktemp("cohorts") / "small", small_manifest(), small_subjects())


@pytest.fixture
def write_small(tmp_path: Path) -> Callable[[], Cohort]:
    """Writes a fresh copy of the small cohort, which a test may damage."""
    return lambda: write_cohort(tmp_path / "cohort", small_manifest(), small_subjects())
