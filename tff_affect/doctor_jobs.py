"""Would a job file run a study over workers as it should be run? Slurm scripts and Kubernetes manifests.

Nothing is asked of a cluster: only the file is read, so a check that is met is a promise of the file and no more.
``docs/jobs`` holds an example of each, on which all checks are met.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from tff_affect.doctor import Check
from tff_affect.errors import InputError
from tff_affect.workers.hosts import is_loopback, split_address

_PROGRAM = "tff-affect"
_FLAGS = ("--resume", "--force", "--quiet", "--json", "--plain-loopback")
_ENDS = (";", "&", "&&", "|", "||", ")", "}")


@dataclass(frozen=True)
class Command:
    """A ``tff-affect`` command as a job starts it.

    Attributes:
        name: Such as ``train`` or ``worker serve``.
        words: What follows the name.
    """

    name: str
    words: tuple[str, ...]

    def has(self, option: str) -> bool:
        """Whether an option is given."""
        return any(word == option or word.startswith(f"{option}=") for word in self.words)

    def option(self, name: str) -> str | None:
        """The value of an option; None if it is not given."""
        for word, after in zip(self.words, [*self.words[1:], ""], strict=True):
            if word == name:
                return after
            if word.startswith(f"{name}="):
                return word.partition("=")[2]
        return None

    @property
    def argument(self) -> str | None:
        """The first word that belongs to no option."""
        skip = False
        for word in self.words:
            if skip:
                skip = False
            elif word.startswith("-"):
                skip = word not in _FLAGS and "=" not in word
            else:
                return word
        return None


def commands_of(words: Sequence[str]) -> Iterator[Command]:
    """The ``tff-affect`` commands among the words of a command line, each up to where the next one begins."""
    starts = [at for at, word in enumerate(words) if Path(word).name == _PROGRAM]
    for start in starts:
        rest = list(words[start + 1 :])
        end = next((at for at, word in enumerate(rest) if word in _ENDS or Path(word).name == _PROGRAM), len(rest))
        rest = rest[:end]
        length = 2 if rest[:1] == ["worker"] else 1
        if len(rest) >= length:
            yield Command(" ".join(rest[:length]), tuple(rest[length:]))


def split_words(text: str) -> list[str]:
    """The words of a shell's line, comments left out; words in quotes that hold commands are split too.

    Raises:
        ValueError: If a quote is not closed.
    """
    reader = shlex.shlex(text, posix=True, punctuation_chars=";&|()")
    reader.whitespace_split = True
    found: list[str] = []
    for word in reader:
        inner = f"{_PROGRAM} " in word and word != text
        found += split_words(word) if inner else [word]
    return found


def checked(name: str, wrong: str, found: str, expected: str, fix: str) -> Check:
    """A check that is met if nothing is said to be wrong."""
    return Check(name, not wrong, wrong or found, expected, fix if wrong else "")


def first(*complaints: str | bool | None) -> str:
    """The first complaint that is one."""
    return next((str(complaint) for complaint in complaints if complaint), "")


def transport(serve: Command) -> str:
    """What is wrong with a worker's TLS; empty if nothing is."""
    host, _ = listens_on(serve) or ("", 0)
    if serve.has("--certificates"):
        return ""
    if serve.has("--plain-loopback"):
        return "" if is_loopback(host) else f"no TLS on {serve.option('--listen')}"
    return "no --certificates"


def listens_on(serve: Command) -> tuple[str, int] | None:
    """Host and port of a worker; None where the file does not tell."""
    try:
        return split_address(serve.option("--listen") or "", lowest=0)
    except ValueError:
        return None


def diagnose_job(file: Path) -> list[Check]:
    """Looks at one file; its kind is told by what it holds.

    Args:
        file: A Slurm script (``#!`` and ``#SBATCH``) or YAML documents with ``apiVersion`` and ``kind``.

    Raises:
        InputError: For anything else, or where nothing in it starts a worker or a driver.
    """
    from tff_affect.doctor_kubernetes import diagnose_manifests
    from tff_affect.doctor_slurm import diagnose_script

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("expected a Slurm script or Kubernetes manifests, found no UTF-8 file", file=file) from error
    try:
        is_script = text.startswith("#!")
        found = diagnose_script(text) if is_script else diagnose_manifests(list(yaml.safe_load_all(text)))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise InputError(f"not valid YAML: {problem}", file=file, line=mark.line + 1 if mark else None) from error
    except ValueError as error:
        raise InputError(str(error), file=file) from error
    return [replace(check, name=f"{file.name}: {check.name}") for check in found]


def diagnose_jobs(files: Sequence[Path]) -> list[Check]:
    """`diagnose_job` of several files.

    Raises:
        InputError: As `diagnose_job`.
    """
    return [check for file in files for check in diagnose_job(file)]
