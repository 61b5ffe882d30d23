"""The doctor: every check can fail, says what to do, and leaves no process behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tff_affect import doctor
from tff_affect.doctor import Check

HEALTHY = {**doctor.PINS, "pyarrow": "25.0.1"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the doctor believes to be installed; a test may change it."""
    versions = dict(HEALTHY)
    monkeypatch.setattr(doctor, "_installed", versions.get)
    return versions


def failing() -> dict[str, Check]:
    return {check.name: check for check in doctor.diagnose() if not check.ok}


def test_this_environment_is_healthy() -> None:
    checks = {check.name: check for check in doctor.diagnose()}
    for name in ("Python", "platform", "C library", *doctor.PINS, "OpenCV", "pyarrow", "jax with jaxlib", "TFF worker"):
        assert checks[name].ok, checks[name]
        assert checks[name].fix == ""


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from tff_affect import doctor; doctor.diagnose(); "
        "print([m for m in ('tensorflow', 'tensorflow_federated', 'numpy', 'cv2', 'pyarrow') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("name", doctor.PINS)
def test_another_version_is_found(name: str, installed: dict[str, str]) -> None:
    installed[name] = "0.1.0"
    check = failing()[name]
    assert (check.found, check.expected, check.fix) == ("0.1.0", doctor.PINS[name], "make clean install")


def test_a_missing_package_is_found(installed: dict[str, str]) -> None:
    del installed["tensorflow-federated"]
    assert failing()["tensorflow-federated"].found == "not installed"


def test_two_versions_of_opencv_are_found_and_the_intruder_named(installed: dict[str, str]) -> None:
    installed["opencv-contrib-python"] = doctor.PINS["opencv-python"]
    assert "OpenCV" not in failing()
    installed["opencv-contrib-python"] = "4.8.0.74"
    check = failing()["OpenCV"]
    assert "opencv-contrib-python 4.8.0.74" in check.found
    assert "pip uninstall --yes opencv-contrib-python &&" in check.fix


@pytest.mark.parametrize(("version", "ok"), [("25.0.1", True), ("26.0.0", False), ("100.1", False)])
def test_pyarrow_has_a_ceiling(version: str, ok: bool, installed: dict[str, str]) -> None:
    installed["pyarrow"] = version
    assert ("pyarrow" not in failing()) is ok


def test_jax_and_jaxlib_must_agree(installed: dict[str, str]) -> None:
    installed["jaxlib"] = "0.4.14"
    assert {"jaxlib", "jax with jaxlib"} <= failing().keys()


@pytest.mark.parametrize(
    ("target", "value", "name"),
    [
        ("platform.libc_ver", ("glibc", "2.28"), "C library"),
        ("platform.libc_ver", ("", ""), "C library"),
        ("platform.machine", "aarch64", "platform"),
        ("platform.system", "Darwin", "platform"),
        ("sys.version_info", (3, 12, 1), "Python"),
        ("available_memory", 10**9, "free memory"),
        ("NEEDED_SCRATCH", 10**18, "temporary space"),
    ],
)
def test_a_machine_that_will_not_do(target: str, value: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    constant = target.isupper() or target == "sys.version_info"
    monkeypatch.setattr(f"tff_affect.doctor.{target}", value if constant else lambda: value)
    check = failing()[name]
    assert check.fix
    assert check.found != check.expected


@pytest.mark.parametrize(("mode", "found"), [(None, "no worker_binary"), (0o644, "not executable")])
def test_a_worker_that_cannot_run(
    mode: int | None, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mode is not None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "worker_binary").touch(mode)
    spec = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr(doctor.util, "find_spec", lambda name: spec)
    check = failing()["TFF worker"]
    assert check.found == found
    assert check.fix


# The smoke test: children that behave badly in each way.


def smoke(code: str, timeout: float = 20.0) -> Check:
    return doctor._smoke([sys.executable, "-c", code], timeout)


def gone(pid: int) -> bool:
    for _ in range(300):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


SPAWN = "import subprocess, sys; p = subprocess.Popen(['sleep', '300']); open({path!r}, 'w').write(str(p.pid)); "


@pytest.mark.parametrize(
    ("ending", "timeout", "ok"),
    [("sys.exit(0)", 20.0, True), ("sys.exit(3)", 20.0, False), ("import time; time.sleep(300)", 5.0, False)],
    ids=["succeeds", "fails", "hangs"],
)
def test_what_the_child_started_does_not_survive(ending: str, timeout: float, ok: bool, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    started = time.monotonic()
    check = smoke(SPAWN.format(path=str(path)) + ending, timeout)
    assert check.ok is ok
    assert time.monotonic() - started < 60
    assert gone(int(path.read_text()))


def test_a_child_that_hangs_is_reported_as_such() -> None:
    check = smoke("import time; time.sleep(300)", 0.5)
    assert "nothing after" in check.found
    assert check.expected == "one round within 0.5 s"
    assert check.fix


def test_the_last_words_of_a_child_that_fails_are_kept() -> None:
    check = smoke("raise RuntimeError('no such\\nluck')")
    assert "exit code 1" in check.found
    assert "luck" in check.found
    assert "\n" not in check.found


def test_a_child_that_dies_silently_is_reported() -> None:
    check = smoke("import os; os.kill(os.getpid(), 9)")
    assert "exit code -9: nothing said" in check.found


@pytest.mark.parametrize("arguments", [[], ["--smok"], ["--smoke", "x"]])
def test_the_entry_point_refuses_other_arguments(arguments: list[str]) -> None:
    ran: list[str] = []
    assert doctor.main(arguments, run=lambda: ran.append("round")) == 2
    assert ran == []


def test_the_entry_point_runs_the_round() -> None:
    ran: list[str] = []
    run: Callable[[], None] = lambda: ran.append("round")  # noqa: E731
    assert doctor.main(["--smoke"], run=run) == 0
    assert ran == ["round"]


def group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


@pytest.mark.slow
def test_one_real_federated_round_leaves_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    popen = subprocess.Popen

    def recorded(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        child = popen(*arguments, **options)
        started.append(child.pid)
        return child

    monkeypatch.setattr(doctor.subprocess, "Popen", recorded)
    check = doctor.smoke_test(timeout_seconds=300)
    assert check.ok, check
    assert len(started) == 1
    left = [p.pid for p in psutil.process_iter() if group(p.pid) == started[0]]
    assert all(gone(pid) for pid in left)


@pytest.mark.parametrize(("code", "found"), [(0, "network namespace"), (1, "none: workers listen on all interfaces")])
def test_isolation_is_told_and_is_no_fault(code: int, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: type("Ended", (), {"returncode": code}))
    (check,) = [check for check in doctor.diagnose() if check.name == "isolation of workers"]
    assert check.ok
    assert check.found.startswith(found)
