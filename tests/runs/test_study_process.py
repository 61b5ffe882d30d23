"""No driver outlives the tests that started it, frozen or not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from study_process import Driver

FREEZE_AND_DIE = """
import os, sys
from pathlib import Path
from study_process import Driver
driver = Driver(["doctor"], Path(sys.argv[1]))
driver.stop_when(lambda: True)
print(driver.alive()[0].pid, driver.alive()[0].status(), flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_frozen_driver_is_killed_with_the_tests(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parent, *sys.path)))}
    command = [sys.executable, "-c", FREEZE_AND_DIE, str(tmp_path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    number, status = ended.stdout.split()
    assert (ended.returncode, status) == (-9, psutil.STATUS_STOPPED), ended.stderr
    _, alive = psutil.wait_procs([psutil.Process(int(number))] if psutil.pid_exists(int(number)) else [], timeout=10)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_a_driver_is_killed_where_the_test_fails_while_it_waits(tmp_path: Path) -> None:
    driver = Driver(["doctor"], tmp_path)

    def fails() -> bool:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - it has no message
        driver.stop_when(fails)
    assert driver.alive() == []


def test_a_forgotten_driver_is_killed(tmp_path: Path) -> None:
    driver = Driver(["doctor"], tmp_path)
    driver.stop_when(lambda: True)
    (process,) = driver.alive()
    del driver
    assert not process.is_running()
