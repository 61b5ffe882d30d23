"""Every command, found by walking the command line: an example that it accepts, and JSON where it says something."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from guide_blocks import shell_words
from typer.main import get_command

from tff_affect import cli

ROOT: Any = get_command(cli.app)
SAYS_NO_RESULT = ("completion", "worker serve")
"""Prints a script; runs until it is ended."""


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join(path), command


COMMANDS = dict(walk(ROOT))
each = pytest.mark.parametrize("name", COMMANDS)


def options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


@each
def test_it_says_what_it_does_with_an_example_that_it_accepts(name: str) -> None:
    text = COMMANDS[name].help
    [example] = re.findall(r"^Example: tff-affect (.*)$", text, re.M)
    words = shell_words(example)
    assert words[: len(name.split())] == name.split()
    assert COMMANDS[name].make_context(name, words[len(name.split()) :]).params
    assert re.match(r"[A-Z].{20}", text)


@each
def test_every_option_says_what_it_is_for(name: str) -> None:
    silent = [p.name for p in COMMANDS[name].params if not (p.help or "").strip()]
    assert not silent


@each
def test_it_prints_json_where_it_prints_a_result(name: str) -> None:
    assert ("--json" in options(COMMANDS[name])) == (name not in SAYS_NO_RESULT)


def test_the_exceptions_are_commands() -> None:
    assert set(SAYS_NO_RESULT) < set(COMMANDS)
    assert len(COMMANDS) > 30


def test_what_makes_data_and_certificates_prints_json(command_line: Callable[..., Any], tmp_path: Path) -> None:
    def record(*arguments: str | Path) -> Any:
        said = command_line(*arguments, "--json")
        assert (said.code, said.err) == (0, "")
        return json.loads(said.out)

    small = ("--subjects", "3", "--seconds", "20", "--frame-rate", "2.5")
    made = record("data", "synthesize", tmp_path / "cohort", *small)
    assert made.pop("name").startswith("SYNTHETIC")
    counts = {"subjects": 3, "frames": 150, "features": 17}
    assert made == {"synthetic": True, **counts, "labels": ["arousal", "valence"]}

    layout = record("data", "synthesize", tmp_path / "openface", "--layout", "openface-2", *small)
    assert (layout["synthetic"], layout["layout"], layout["subjects"]) == (True, "openface-2", 3)
    assert layout["convert"].startswith("tff-affect data convert ")

    converted = record("data", "convert", tmp_path / "openface", tmp_path / "back", "--quiet")
    assert {name: converted[name] for name in counts} == counts
    assert isinstance(converted["notes"], list)

    folder = tmp_path / "certificates"
    assert record("worker", "cert", "authority", folder)["kind"] == "authority"
    named = record("worker", "cert", "worker", folder, "--name", "a", "--address", "localhost")
    assert (named["name"], named["addresses"], named["file"]) == ("a", ["localhost"], "a/worker.pem")
    assert record("worker", "cert", "driver", folder, "--days", "9")["days_left"] in (8, 9)
