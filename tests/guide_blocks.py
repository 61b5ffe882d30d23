"""Reads the blocks of a page of documentation, its links, and the command lines in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

PROMPT = "$ "
_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+)(?P<kind>[\w-]*) *$")
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.*?) *$")
_FILE_NAME = re.compile(r"^# (?P<name>[\w./-]+\.\w+)$")


@dataclass(frozen=True)
class Block:
    """What stands between two fences, or is indented by four blanks.

    Attributes:
        line: Of the page, one-based, on which its text begins.
        kind: What the fence says; ``indented`` without one.
        text: Without the indentation.
    """

    line: int
    kind: str
    text: str

    @property
    def file(self) -> str:
        """The file that it is written to: named by a comment in its first line; else empty."""
        found = _FILE_NAME.match(self.text.split("\n", 1)[0])
        return found["name"] if found else ""


@dataclass(frozen=True)
class Step:
    """A command line and what it is shown to print.

    Attributes:
        line: Of the page.
        command: Without the prompt, in one line.
        shown: The lines below it.
    """

    line: int
    command: str
    shown: tuple[str, ...]


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in their order.

    Raises:
        ValueError: If a fence is not closed.
    """
    found: list[Block] = []
    lines = page.split("\n")
    place, after_blank = 0, True
    while place < len(lines):
        opened = _FENCE.match(lines[place])
        if opened:
            end = _closing(lines, place, opened["fence"])
            cut = len(opened["indent"])
            text = "\n".join(line[cut:] for line in lines[place + 1 : end])
            found.append(Block(place + 2, opened["kind"], text))
            place, after_blank = end + 1, False
        elif after_blank and lines[place].startswith("    ") and lines[place].strip():
            end = place
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            found.append(Block(place + 1, "indented", "\n".join(line[4:] for line in lines[place:end]).rstrip("\n")))
            place, after_blank = end, True
        else:
            after_blank = not lines[place].strip()
            place += 1
    return found


def _closing(lines: list[str], place: int, fence: str) -> int:
    for end in range(place + 1, len(lines)):
        if lines[end].strip() == fence:
            return end
    raise ValueError(f"line {place + 1}: the block is not closed")


def steps(block: Block) -> list[Step]:
    """The command lines of a console's block: a prompt, a command, and what it prints.

    Raises:
        ValueError: If the block begins with something else.
    """
    found: list[Step] = []
    lines = block.text.split("\n")
    place = 0
    while place < len(lines):
        if not lines[place].startswith(PROMPT):
            raise ValueError(f"line {block.line + place}: expected a line that begins with {PROMPT!r}")
        command, end = _joined(lines, place)
        first = end
        while end < len(lines) and not lines[end].startswith(PROMPT):
            end += 1
        found.append(Step(block.line + place, command.removeprefix(PROMPT), tuple(lines[first:end])))
        place = end
    return found


def _joined(lines: list[str], place: int) -> tuple[str, int]:
    """A command with the lines that it goes on in, and the place after it."""
    command = lines[place]
    while command.endswith("\\") and place + 1 < len(lines):
        place += 1
        command = command[:-1].rstrip() + " " + lines[place].strip()
    return command, place + 1


def command_lines(page: str, program: str = "tff-affect") -> list[tuple[int, list[str]]]:
    """Calls of a program in a page's blocks: the line, and the arguments up to a comment or another command."""
    found: list[tuple[int, list[str]]] = []
    for block in blocks(page):
        lines = block.text.split("\n")
        place = 0
        while place < len(lines):
            command, after = _joined(lines, place)
            words = shell_words(command.strip().removeprefix(PROMPT)) if program in command else []
            if words[:1] == [program]:
                found.append((block.line + place, words[1:]))
            place = after
    return found


def shell_words(command: str) -> list[str]:
    """The words of a command line up to a comment, a pipe, a redirection or an ampersand."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word[0] in "|&;<>":
            break
        words.append(word)
    return words


def prose(page: str) -> str:
    """The page without its blocks; the lines keep their numbers."""
    lines = page.split("\n")
    for block in blocks(page):
        for place in range(block.line - 1, block.line + block.text.count("\n")):
            lines[place] = ""
    return "\n".join(lines)


def inline_code(page: str) -> list[tuple[int, str]]:
    """Line and text of the code within sentences."""
    return [(n, text) for n, line in enumerate(prose(page).split("\n"), 1) for text in _INLINE.findall(line)]


def links(page: str) -> list[tuple[int, str]]:
    """Line and target of each link and picture."""
    text = prose(page)
    return [(text.count("\n", 0, found.start()) + 1, found[1]) for found in _LINK.finditer(text)]


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for line in prose(page).split("\n"):
        heading = _HEADING.match(line)
        if heading:
            base = re.sub(r"[^\w\- ]", "", _LINK.sub("", heading[1]).lower()).replace(" ", "-")
            name, number = base, 0
            while name in found:
                number += 1
                name = f"{base}-{number}"
            found.add(name)
    return found


def pages(root: Path) -> list[Path]:
    """All pages of the project's documentation."""
    single = [root / name for name in ("README.md", "CONTRIBUTING.md", "DATA.md", "ETHICS.md", "CHANGELOG.md")]
    nested = [root / folder / "README.md" for folder in ("experiments", "benchmarks")]
    return sorted([*single, *nested, *(root / "docs").rglob("*.md")])
