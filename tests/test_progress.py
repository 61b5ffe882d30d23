"""Progress: nothing when quiet, few lines in a log, a bar on a terminal; never on stdout."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from tff_affect import progress
from tff_affect.progress import PlainProgress, Progress, TerminalProgress, make_progress


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = make_progress(quiet=True)
    with quiet.task("federated", 3) as task:
        task.advance("note")
    quiet.say("line")
    assert type(quiet) is Progress
    assert tuple(capsys.readouterr()) == ("", "")


def test_a_log_gets_lines_and_a_terminal_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, kind in ((False, PlainProgress), (True, TerminalProgress)):
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal, raising=False)
        assert type(make_progress(quiet=False)) is kind


def test_a_log_gets_a_line_every_ten_seconds_with_the_time_left(clock: Clock) -> None:
    stream = io.StringIO()
    with PlainProgress(stream).task("federated", 10) as task:
        for number in range(10):
            clock.now += 4
            task.advance(f"loss 0.{number}")
    assert stream.getvalue().splitlines() == [
        "federated: 3/10, about 28 s left loss 0.2",
        "federated: 6/10, about 16 s left loss 0.5",
        "federated: 9/10, about 4 s left loss 0.8",
        "federated: done in 40 s",
    ]


def test_rounds_resumed_beyond_the_total_leave_no_negative_time(clock: Clock) -> None:
    stream = io.StringIO()
    with PlainProgress(stream).task("federated", 1) as task:
        task.advance()
        clock.now += 11
        task.advance()
    assert stream.getvalue().splitlines() == ["federated: 2/1, about 0 s left", "federated: done in 11 s"]


def test_a_failed_task_is_not_called_done() -> None:
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError), PlainProgress(stream).task("federated", 1):
        raise ZeroDivisionError
    assert "done" not in stream.getvalue()


def test_plain_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    PlainProgress().say("line")
    assert tuple(capsys.readouterr()) == ("", "line\n")


def test_a_terminal_shows_count_and_note() -> None:
    terminal = TerminalProgress()
    stream = io.StringIO()
    terminal._console = Console(file=stream, force_terminal=True, width=120)
    with terminal.task("federated", 2) as task:
        task.advance()
        task.advance("loss 0.5")
    terminal.say("line")
    for word in ("federated", "2/2", "loss 0.5", "line"):
        assert word in stream.getvalue()
