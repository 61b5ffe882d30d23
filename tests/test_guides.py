"""Every block of the guides is run, page by page, each page in a folder of its own; what it shows has to come out.

Commands run in this process, so that TensorFlow is loaded once; those that end in ``&`` are processes of their own.
Ports of a page become free ports of this machine.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
from guide_blocks import Block, Step, blocks, command_lines, shell_words, steps
from typer.main import get_command

from tff_affect import cli

ROOT = Path(__file__).resolve().parents[1]
GUIDES = ROOT / "docs" / "guides"
PAGES = sorted(GUIDES.glob("*.md"))
EXPECTED = {
    *("audit-a-run", "bring-openface", "bring-recola", "design-a-dp-study", "several-machines", "tutorial"),
}
SECONDS_TO_START = 120
_PORT = re.compile(r"(?<=127\.0\.0\.1:)\d{4,5}\b")
_CODE = "echo $?"
# Killed with the tests, however those end.
_SERVES = """
import sys
from tff_affect.cli import main
from tff_affect.processes import die_with
die_with(int(sys.argv.pop(1)))
main()
"""


class Reader:
    """Does what a page says, as somebody would who reads it."""

    def __init__(self, call: Callable[..., Any], folder: Path, page: str) -> None:
        self._call, self._folder = call, folder
        self._ports: dict[str, str] = {}
        self._names: dict[str, Any] = {"__name__": "guide"}
        self._jobs: list[subprocess.Popen[str]] = []
        self._page, self._code = page, 0

    def do(self, block: Block) -> None:
        """Carries out a block."""
        text = _PORT.sub(lambda found: self._free_port(found[0]), block.text)
        if block.kind == "console":
            listed = steps(Block(block.line, block.kind, text))
            for step, following in zip(listed, [*listed[1:], None], strict=True):
                self._step(step, wrong_is_shown=following is not None and following.command == _CODE)
        elif block.kind == "python":
            exec(compile(text, f"{self._page}:{block.line}", "exec"), self._names)
        elif block.file and block.kind == "yaml":
            file = self._folder / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text + "\n", encoding="utf-8")
        else:
            raise AssertionError(f"line {block.line}: nobody knows how to run a block of kind {block.kind!r}")

    def end(self) -> None:
        """Ends what still runs."""
        for job in self._jobs:
            job.kill()
            job.communicate()

    def _free_port(self, port: str) -> str:
        if port not in self._ports:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self._ports[port] = str(free.getsockname()[1])
        return self._ports[port]

    def _step(self, step: Step, wrong_is_shown: bool) -> None:
        words = shell_words(step.command)
        if step.command == _CODE:
            said = f"{self._code}\n"
        elif words[0] == "kill":
            said = "".join(self._kill(int(word.removeprefix("%"))) for word in words[1:])
        elif words[0] == "tff-affect" and step.command.endswith("&"):
            said = self._start(words[1:])
        else:
            assert words[0] == "tff-affect", f"line {step.line}: nobody knows how to run {words[0]!r}"
            done = self._call(*words[1:])
            self._code, said = done.code, done.out + done.err
            assert done.code == 0 or wrong_is_shown, f"line {step.line}: exit code {done.code}: {said}"
        missing = not_said(step.shown, said)
        assert missing is None, f"line {step.line}: {missing!r} is shown, and not said here:\n{said}"

    def _start(self, words: list[str]) -> str:
        """A process that serves; returns once it does."""
        job = subprocess.Popen(
            [sys.executable, "-c", _SERVES, str(os.getpid()), *words],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self._folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._jobs.append(job)
        port = int(words[words.index("--listen") + 1].rsplit(":", 1)[1])
        deadline = time.monotonic() + SECONDS_TO_START
        while not answers(port):
            assert job.poll() is None, job.communicate()[0]
            assert time.monotonic() < deadline, f"does not serve: {words}"
            time.sleep(0.1)
        return ""

    def _kill(self, number: int) -> str:
        job = self._jobs[number - 1]
        job.send_signal(signal.SIGTERM)
        said, _ = job.communicate(timeout=SECONDS_TO_START)
        assert job.returncode == 0, said
        return said


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def not_said(shown: tuple[str, ...], said: str) -> str | None:
    """The first line that is shown and was not said, in this order; ``...`` stands for anything, blanks for blanks."""
    lines = [" ".join(line.split()) for line in said.splitlines()]
    place = 0
    for line in shown:
        wanted = " ".join(line.split())
        if wanted in ("", "..."):
            continue
        pattern = re.compile(".*".join(map(re.escape, re.split(r" ?\.\.\. ?", wanted))))
        found = next((i for i in range(place, len(lines)) if pattern.fullmatch(lines[i])), None)
        if found is None:
            return line
        place = found + 1
    return None


@pytest.fixture
def reader(
    command_line: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Reader]:
    monkeypatch.chdir(tmp_path)
    found = Reader(command_line, tmp_path, request.node.name)
    yield found
    found.end()


def test_all_guides_are_there() -> None:
    assert {page.stem for page in PAGES} == EXPECTED


def written_by(page: Path) -> set[Path]:
    """What a page has written: ``out`` of its commands, their figures, and blocks with names."""
    text = page.read_text(encoding="utf-8")
    found = {block.file for block in blocks(text) if block.file}
    for _, words in command_lines(text):
        command: Any = get_command(cli.app)
        while hasattr(command, "commands"):
            command, words = command.commands[words[0]], words[1:]
        parameters = command.make_context("", words).params
        found |= {parameters.get(name) for name in ("out", "heat_map", "plot")} - {None}
    return {Path(name) for name in found}


def test_guides_can_be_followed_one_after_another_in_one_folder() -> None:
    written = {page.stem: written_by(page) for page in PAGES}
    assert written["tutorial"] > {Path("small.yaml"), Path("cohorts/tutorial"), Path("runs/lstm"), Path("models/lstm")}
    for one, other in combinations(written, 2):
        for mine, theirs in product(written[one], written[other]):
            apart = not (mine.is_relative_to(theirs) or theirs.is_relative_to(mine))
            assert apart, f"{one} writes {mine}, {other} writes {theirs}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_guide_does_what_it_says(page: Path, reader: Reader) -> None:
    found = blocks(page.read_text(encoding="utf-8"))
    assert sum(block.kind == "console" for block in found) >= 3
    for block in found:
        reader.do(block)


def test_what_is_shown_is_compared() -> None:
    said = "a table\n one   0.12  x \n two 3\nReport: runs/x/report.html\n"
    assert not_said(("one 0.12 x", "two 3"), said) is None
    assert not_said(("one ... x", "...", "Report: ..."), said) is None
    assert not_said(("one 0.13 x",), said) == "one 0.13 x"
    assert not_said(("two 3", "one 0.12 x"), said) == "one 0.12 x"
    assert not_said(("one",), said) == "one"
    assert not_said(("a+table",), said) == "a+table"


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ tff-affect split missing\n```",
        "```console\n$ rm -r x\n```",
        "```console\n$ tff-affect --version\nversion 0\n```",
        "```python\nraise AssertionError\n```",
        "```yaml\nno: name\n```",
        "    tff-affect train x",
    ],
)
def test_a_wrong_block_fails(text: str, reader: Reader) -> None:
    [block] = blocks(text)
    with pytest.raises(AssertionError):
        reader.do(block)


def test_an_exit_code_that_is_shown_is_awaited(reader: Reader) -> None:
    [block] = blocks(
        "```console\n$ tff-affect split missing\ntff-affect: missing: no such cohort ...\n$ echo $?\n2\n```"
    )
    reader.do(block)
    [block] = blocks("```console\n$ tff-affect split missing\n$ echo $?\n0\n```")
    with pytest.raises(AssertionError, match="'0' is shown"):
        reader.do(block)
