"""The documentation beside the program: commands are parsed by the real command line, settings and links exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from guide_blocks import anchors, blocks, command_lines, inline_code, links, pages, shell_words, steps
from typer.main import get_command

from experiments.face_settings import face_config
from experiments.gait_settings import gait_experiment
from tff_affect import cli
from tff_affect.commands.shared import dotted
from tff_affect.config_file import load_config

ROOT = Path(__file__).resolve().parents[1]
PAGES = pages(ROOT)
ROOT_COMMAND: Any = get_command(cli.app)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def found_command(words: list[str]) -> tuple[Any, list[str], list[str]]:
    """The command that words name, their path to it, and what is left."""
    command, path = ROOT_COMMAND, ["tff-affect"]
    while hasattr(command, "commands"):
        if words[:1] and words[0].startswith("-"):
            break
        if not words or words[0] not in command.commands:
            raise ValueError(f"{' '.join(path)} has no command {' '.join(words[:1])!r}")
        command, path, words = command.commands[words[0]], [*path, words[0]], words[1:]
    return command, path, words


def parsed(words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Path and parameters of a call, as the command line itself reads them; nothing is carried out."""
    command, path, rest = found_command(words)
    if rest in (["--help"], ["--version"]):
        return path, {}
    return path, command.make_context(" ".join(path), list(rest)).params


def check_settings(path: list[str], parameters: dict[str, Any]) -> None:
    """Reads the dotted settings of a call as its command does."""
    settings = [setting for setting in parameters.get("override") or () if "..." not in setting]
    if path[1:2] == ["anonymize"]:
        face_config(dotted(settings))
    elif path[1:2] == ["gait"]:
        gait_experiment(dotted(settings), {})
    elif settings:
        config = parameters.get("config")
        load_config(ROOT / config if config is not None and (ROOT / config).is_file() else None, settings, "cohort")


def fault_of(words: list[str]) -> str:
    """What is wrong with a call; empty if nothing is."""
    try:
        check_settings(*parsed(words))
    except Exception as error:
        return str(error) or type(error).__name__
    return ""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_line_is_one(page: Path) -> None:
    calls = command_lines(page.read_text(encoding="utf-8"))
    faults = [f"{name_of(page)}:{line}: {fault}" for line, words in calls if (fault := fault_of(words))]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_in_a_sentence_is_there(page: Path) -> None:
    faults = []
    for line, text in inline_code(page.read_text(encoding="utf-8")):
        if text.startswith("tff-affect "):
            try:
                command, _, words = found_command([word for word in shell_words(text)[1:] if word != "..."] or ["demo"])
            except ValueError as error:
                faults.append(f"{name_of(page)}:{line}: {error}")
                continue
            known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            faults += [f"{name_of(page)}:{line}: no {w}" for w in words if w.startswith("--") and w not in known]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    faults = []
    for line, target in links(page.read_text(encoding="utf-8")):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        place, _, anchor = unquote(target).partition("#")
        file = (page.parent / place).resolve() if place else page
        if not file.is_relative_to(ROOT) or not file.exists():
            faults.append(f"{name_of(page)}:{line}: no {target}")
        elif anchor and anchor not in anchors(file.read_text(encoding="utf-8")):
            faults.append(f"{name_of(page)}:{line}: no such heading: {target}")
    assert not faults, "\n".join(faults)


def test_the_pages_hold_commands_and_links() -> None:
    """A reader that finds nothing would find no fault either."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert sum(len(command_lines(text)) for text in texts) > 100
    assert sum(len(links(text)) for text in texts) > 100
    assert len([s for text in texts for _, words in command_lines(text) for s in words if s == "-o"]) > 20


@pytest.mark.parametrize(
    ("call", "word"),
    [
        ("trian runs/mine", "trian"),
        ("data turn x", "turn"),
        ("train", "out"),
        ("train runs/mine --cohrt x", "--cohrt"),
        ("train runs/mine --seeds many", "many"),
        ("train runs/mine -o training.rond=3", "training.rond"),
        ("train runs/mine -o training.rounds=0", "training.rounds"),
        ("anonymize train x -o anonymizer.stepps=3", "stepps"),
        ("gait train x -o gait.stepps=3", "stepps"),
    ],
)
def test_a_wrong_call_is_found(call: str, word: str) -> None:
    assert word in fault_of(call.split())


def test_blocks_are_read_as_they_stand() -> None:
    page = """# A title: it's `code`

Text with [a link](#a-title-its-code) and `tff-affect doctor`.

    tff-affect train x \\
        --resume    # why

- item
    continued, no block

```console
$ tff-affect split c -o a=b > file
shown
$ tff-affect data \\
    inspect c
```

1. indented

   ```yaml
   # a.yaml
   x: {y: 1}
   ```
"""
    found = blocks(page)
    assert [(b.kind, b.line) for b in found] == [("indented", 5), ("console", 12), ("yaml", 21)]
    assert found[2].text == "# a.yaml\nx: {y: 1}"
    assert found[2].file == "a.yaml"
    assert found[1].file == ""
    assert [(s.line, s.command, s.shown) for s in steps(found[1])] == [
        (12, "tff-affect split c -o a=b > file", ("shown",)),
        (14, "tff-affect data inspect c", ()),
    ]
    assert command_lines(page) == [
        (5, ["train", "x", "--resume"]),
        (12, ["split", "c", "-o", "a=b"]),
        (14, ["data", "inspect", "c"]),
    ]
    assert links(page) == [(3, "#a-title-its-code")]
    assert anchors(page) == {"a-title-its-code"}
    assert inline_code(page) == [(1, "code"), (3, "tff-affect doctor")]
    with pytest.raises(ValueError, match="line 1: the block is not closed"):
        blocks("```console\n$ x")
    with pytest.raises(ValueError, match="line 2: expected"):
        steps(blocks("```console\nx\n```")[0])
