"""The private folder of a run: nobody else's to read, gone afterwards, swept if its driver was killed."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from tff_affect.staging import staging_folder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_behind(folder: Path) -> Path:
    """What a driver leaves that was killed: a folder with a lock that nobody holds."""
    (folder / "0").mkdir(parents=True)
    (folder / ".lock").touch()
    (folder / "0" / "P1.f32").write_bytes(b"1234")
    return folder


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


def test_what_a_dead_driver_left_is_swept(temporary: Path) -> None:
    left_behind(temporary / "tff_affect-staging-abc_1")
    with staging_folder() as folder:
        assert list(temporary.iterdir()) == [folder]


def test_what_a_living_driver_holds_or_just_makes_stays(temporary: Path) -> None:
    (temporary / "tff_affect-staging-made").mkdir()
    left_behind(temporary / "other-x")
    with staging_folder() as first, staging_folder() as second:
        assert first.is_dir()
        assert second.is_dir()
    assert sorted(entry.name for entry in temporary.iterdir()) == ["other-x", "tff_affect-staging-made"]


def test_a_link_is_not_followed(temporary: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = left_behind(tmp_path_factory.mktemp("elsewhere") / "kept")
    (temporary / "tff_affect-staging-link").symlink_to(elsewhere)
    with staging_folder():
        pass
    assert (elsewhere / "0" / "P1.f32").is_file()


def test_another_users_folder_stays(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = left_behind(temporary / "tff_affect-staging-abc")
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with staging_folder():
        assert stale.is_dir()


def test_two_drivers_may_sweep_at_once(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one was faster: a folder that was listed is gone when it is looked at."""
    gone = temporary / "tff_affect-staging-gone"
    monkeypatch.setattr(Path, "glob", lambda *_: iter([gone]))
    with staging_folder() as folder:
        assert folder.is_dir()
