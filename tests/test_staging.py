"""The private folder of a run: nobody else's to read, gone afterwards, swept if its driver was killed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tff_affect.staging import staging_folder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def dead() -> int:
    """The id of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_it_is_private_and_removed(temporary: Path) -> None:
    with staging_folder() as folder:
        assert folder.parent == temporary
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "0").mkdir()
        (folder / "0" / "P1.f32").write_bytes(b"1234")
    assert list(temporary.iterdir()) == []


def test_it_is_removed_after_an_error(temporary: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staging_folder():
        raise KeyboardInterrupt
    assert list(temporary.iterdir()) == []


def test_what_a_dead_driver_left_is_swept(temporary: Path, dead: int) -> None:
    stale = temporary / f"tff_affect-staging-{dead}-abc_1"
    (stale / "0").mkdir(parents=True)
    (stale / "0" / "P1.f32").write_bytes(b"1234")
    with staging_folder() as folder:
        assert list(temporary.iterdir()) == [folder]


def test_what_is_not_a_dead_drivers_stays(temporary: Path, dead: int) -> None:
    others = [f"tff_affect-staging-{os.getpid()}-x", "tff_affect-staging-1-x", f"other-{dead}-x",
              "tff_affect-staging-x", f"tff_affect-staging-{dead}"]  # fmt: skip
    for name in others:
        (temporary / name).mkdir()
    with staging_folder():
        pass
    assert sorted(entry.name for entry in temporary.iterdir()) == sorted(others)


def test_a_link_is_not_followed(temporary: Path, dead: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "kept").write_text("kept", encoding="utf-8")
    (temporary / f"tff_affect-staging-{dead}-link").symlink_to(elsewhere)
    with staging_folder():
        pass
    assert (elsewhere / "kept").is_file()


def test_another_users_folder_stays(temporary: Path, dead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = temporary / f"tff_affect-staging-{dead}-abc"
    stale.mkdir()
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with staging_folder():
        assert stale.is_dir()


def test_two_drivers_may_sweep_at_once(temporary: Path, dead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one was faster: a folder that was listed is gone when it is looked at."""
    gone = temporary / f"tff_affect-staging-{dead}-gone"
    monkeypatch.setattr(Path, "glob", lambda *_: iter([gone]))
    with staging_folder() as folder:
        assert folder.is_dir()
