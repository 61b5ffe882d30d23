"""Running peers in turn: stand-ins that print a result at once."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import simulator_peers
from benchmarks.simulator_machine import Watch, busy_seconds, descendants, peak_megabytes, run_for_json, wait_until_idle
from benchmarks.simulator_peers import Comparison, Row, chosen_rows, compare, peer_rows
from benchmarks.simulator_work import load_common
from tff_affect.errors import InputError

CONFIGS = """# every configuration
CONFIGS=(
 "limit|venv-a/bin/python|quick.py"
 "quick|venv-a/bin/python|quick.py --threads 2"
 "broken|venv-a/bin/python|broken.py"
 "absent|venv-b/bin/python|quick.py"
 "central|$TFPY|quick.py"
)
"""
QUICK = """import json, sys
print("noise")
print(json.dumps({"name": "quick", "s_per_round": 0.5, "foreign_cpu": 0.0, "arguments": sys.argv[1:]}))
"""


@pytest.fixture
def peers(tmp_path: Path) -> Path:
    folder = tmp_path / "peers"
    (folder / "venv-a" / "bin").mkdir(parents=True)
    (folder / "venv-a" / "bin" / "python").symlink_to(sys.executable)
    (folder / "configs.sh").write_text(CONFIGS)
    (folder / "quick.py").write_text(QUICK)
    (folder / "broken.py").write_text("raise SystemExit('it broke')\n")
    return folder


def test_rows_are_those_whose_environment_is_installed(peers: Path) -> None:
    rows = {row.label: row for row in peer_rows(peers)}
    assert list(rows) == ["quick", "broken", "central", "stock_tff"]
    assert rows["quick"].command == (str(peers / "venv-a/bin/python"), "quick.py", "--threads", "2")
    assert rows["central"].command[0] == sys.executable
    assert rows["stock_tff"].command[-2:] == ("--engine", "stock")


@pytest.mark.parametrize(("only", "said"), [("nobody", "fits none"), ("(", "regular expression")])
def test_wrong_rows_are_refused(peers: Path, tmp_path: Path, only: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        chosen_rows(Comparison(peers, tmp_path, ["t"], only))


def test_a_folder_without_peers_is_refused(tmp_path: Path) -> None:
    for read in (peer_rows, load_common):
        with pytest.raises(InputError, match="peers'"):
            read(tmp_path)


def test_ours_runs_before_each_peer(peers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Row("ours", (sys.executable, "quick.py"), peers)
    monkeypatch.setattr(simulator_peers, "own_row", lambda *_: ours)
    monkeypatch.setattr(simulator_peers, "wait_until_idle", lambda _: 0.01)
    comparison = Comparison(peers, tmp_path / "out", ["affect-27"], "^(quick|broken)$", repeats=2, rounds=4)
    lines = [json.loads(line) for line in compare(comparison).read_text().splitlines()]
    assert [(line["repeat"], line["label"], line["beside"]) for line in lines] == [
        (repeat, *place)
        for repeat in (1, 2)
        for place in (("ours", "quick"), ("quick", "quick"), ("ours", "broken"), ("broken", "broken"))
    ]
    assert lines[1]["arguments"] == ["--threads", "2", "--task", "affect-27", "--rounds", "4"]
    assert [line.get("failed") for line in lines[:4]] == [None, None, None, 1]
    assert (tmp_path / "out" / "broken.broken.affect-27.1.err").read_text() == "it broke\n"
    assert not list((tmp_path / "out").glob("quick*.err"))
    with pytest.raises(InputError, match="results already"):
        compare(comparison)


def test_a_run_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    command = ["sh", "-c", "sleep 300 & echo $! > child; wait"]
    assert run_for_json(command, tmp_path, tmp_path / "errors", limit=5.0) == {"failed": 124}
    child = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")
    deadline = time.monotonic() + 10  # a killed process dies when the kernel comes to it
    while lives(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not lives(child)


def lives(state: Path) -> bool:
    try:
        return state.read_text().split()[2] not in "ZX"
    except OSError:
        return False


def test_a_run_without_a_result_failed(tmp_path: Path) -> None:
    assert run_for_json([sys.executable, "-c", "print(1)"], tmp_path, tmp_path / "errors", 60) == {"failed": 1}


def test_waiting_ends_when_the_machine_is_idle_or_patience_is() -> None:
    shares = iter([0.9, 0.5, 0.02, 0.9])
    assert wait_until_idle(60, pause=0, measure=lambda: next(shares)) == 0.02
    assert wait_until_idle(0, pause=0, measure=lambda: 0.7) == 0.7


def test_children_are_found_and_weighed() -> None:
    watch, before = Watch(), busy_seconds()
    work = "b = bytearray(200 << 20); b[::4096] = bytes(len(b[::4096])); print(1, flush=True); input()"
    child = subprocess.Popen([sys.executable, "-ISc", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in descendants(os.getpid())
        assert 200 < peak_megabytes([child.pid]) < 400
        spin = time.process_time() + 0.3
        while time.process_time() < spin:
            pass
        assert busy_seconds() > before
        assert 0 <= watch.foreign() <= 1
    finally:
        child.kill()
        child.communicate()
    assert child.pid not in descendants(os.getpid())
