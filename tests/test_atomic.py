"""Files are whole or not there: with short writes, a full disk, and a process that is killed while it writes."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tff_affect.atomic import append_text, current_umask, remove_temporaries, replace_bytes, replace_text
from tff_affect.errors import InputError, RunError

OLD, NEW = b"old content", bytes(range(256)) * 40
NO_SPACE = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "facts.json"
    file.write_bytes(OLD)
    return file


def fill_up_after(count: int, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes so many bytes more, whoever writes."""
    write, left = os.write, count

    def limited(handle: int, content: bytes) -> int:
        nonlocal left
        if left <= 0:
            raise OSError(code, os.strerror(code))
        taken = write(handle, bytes(content)[:left])
        left -= taken
        return taken

    monkeypatch.setattr(os, "write", limited)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_the_new_content_takes_the_place_of_the_old_under_the_umask(file: Path) -> None:
    replace_bytes(file, NEW)
    assert file.read_bytes() == NEW
    replace_text(file, "Größe")
    assert file.read_bytes() == "Größe".encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~current_umask()
    assert names(file.parent) == [file.name]


def test_a_write_in_small_parts_is_whole(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, content: write(handle, bytes(content)[:100]))
    replace_bytes(file, NEW)
    assert file.read_bytes() == NEW
    append_text(file, "x" * 350)
    assert file.read_bytes() == NEW + b"x" * 350


def test_content_is_on_the_disk_before_its_name_and_then_the_name_is(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Any] = []
    fsync, replace = os.fsync, os.replace

    def seen_fsync(handle: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        events.append("folder" if is_folder else os.fstat(handle).st_size)
        fsync(handle)

    def seen_replace(*paths: Any) -> None:
        events.append("rename")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "replace", seen_replace)
    replace_bytes(file, NEW)
    assert events == [len(NEW), "rename", "folder"]
    events.clear()
    append_text(file, "line\n")
    assert events == [len(NEW) + 5]


@pytest.mark.parametrize("code", NO_SPACE)
@pytest.mark.parametrize("taken", [0, 1, 5000, len(NEW) - 1])
def test_a_full_disk_leaves_the_old_content_and_nothing_else(
    taken: int, code: int, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_up_after(taken, code, monkeypatch)
    with pytest.raises(RunError) as raised:
        replace_bytes(file, NEW, "the checkpoint")
    said = str(raised.value)
    assert said.startswith(f"{file}: cannot write the checkpoint: {os.strerror(code)}; free space")
    assert "\n" not in said
    assert names(file.parent) == [file.name]
    assert file.read_bytes() == OLD


@pytest.mark.parametrize("taken", [0, 1, 9])
def test_a_full_disk_adds_no_part_of_a_line(taken: int, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        fill_up_after(taken, errno.ENOSPC, full)
        with pytest.raises(RunError, match="free space"):
            append_text(file, "a new line")
    assert file.read_bytes() == OLD
    append_text(file, "a new line")
    assert file.read_bytes() == OLD + b"a new line"


def test_a_disk_that_is_full_only_when_flushed_leaves_the_old_content(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left"):
        replace_bytes(file, NEW)
    with pytest.raises(RunError, match="No space left"):
        append_text(file, "line")
    assert (names(file.parent), file.read_bytes()) == ([file.name], OLD)


@pytest.mark.parametrize("write", [lambda file: replace_bytes(file, NEW), lambda file: append_text(file, "line")])
def test_a_place_that_is_not_there_is_the_users_to_change(write: Callable[[Path], None], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write here: No such file") as raised:
        write(tmp_path / "none" / "facts.json")
    assert raised.value.file == str(tmp_path / "none" / "facts.json")


LIMITED = """
import resource, sys
from pathlib import Path
from tff_affect.atomic import append_text, replace_bytes
from tff_affect.errors import RunError
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
file = Path(sys.argv[1])
for write in (lambda: replace_bytes(file, bytes(5000)), lambda: append_text(file, "x" * 5000)):
    try:
        write()
    except RunError as error:
        print(error)
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from tff_affect import atomic
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
atomic.replace_bytes(Path(sys.argv[1]), bytes(5000))
"""


def child(program: str, file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_systems_own_limit_is_answered_like_a_full_disk(file: Path) -> None:
    ended = child(LIMITED, file)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("cannot write here: File too large; free space") == 2
    assert (names(file.parent), file.read_bytes()) == ([file.name], OLD)


def test_what_a_killed_writer_leaves_is_removed_and_nothing_else(file: Path) -> None:
    assert child(KILLED, file).returncode == -9
    assert file.read_bytes() == OLD
    others = [".lock", ".facts.json", ".other.json.x.part", "facts.json.x.part"]
    for name in others:
        (file.parent / name).touch()
    assert len(names(file.parent)) == len(others) + 2
    remove_temporaries(file.parent, file.name)
    assert names(file.parent) == sorted([*others, file.name])
    remove_temporaries(file.parent)
    assert names(file.parent) == sorted([".lock", ".facts.json", "facts.json.x.part", file.name])
