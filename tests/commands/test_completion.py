"""Shells complete commands and options: a real bash is asked, and the programme as zsh and fish ask it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASK = """
source <(tff-affect completion bash)
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); $found tff-affect; echo "${COMPREPLY[@]}"; }
found=$(complete -p tff-affect | sed -E 's/.*-F ([^ ]+).*/\\1/')
ask tff-affect da
ask tff-affect worker cert s
ask tff-affect train --co
ask tff-affect completion ''
ask tff-affect nothing-like-it
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """With ``tff-affect`` on the path, as installing it puts it there."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "tff-affect"
    program.write_text(f"#!{sys.executable}\nfrom tff_affect.cli import main\nmain()\n", encoding="utf-8")
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes(environment: dict[str, str]) -> None:
    done = subprocess.run(["bash", "--norc", "-c", ASK], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    assert done.stdout.split("\n") == ["data", "show", "--config --cohort", "bash zsh fish", "", ""]


@pytest.mark.parametrize(
    ("shell", "more"), [("zsh", {}), ("fish", {"_TYPER_COMPLETE_FISH_ACTION": "get-args"})], ids=["zsh", "fish"]
)
def test_other_shells_are_answered(shell: str, more: dict[str, str], environment: dict[str, str]) -> None:
    asked = {"_TFF_AFFECT_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "tff-affect anon", **more}
    done = subprocess.run(["tff-affect"], env=environment | asked, capture_output=True, text=True, timeout=120)
    assert "anonymize" in done.stdout
    assert "doctor" not in done.stdout


def test_scripts_are_printed_and_other_shells_refused(command_line: Callable[..., Any]) -> None:
    scripts = {shell: command_line("completion", shell) for shell in ("bash", "zsh", "fish")}
    for shell, said in scripts.items():
        assert (said.code, said.err) == (0, "")
        assert f"_TFF_AFFECT_COMPLETE=complete_{shell}" in said.out
    assert command_line("completion", "tcsh").code == 2
    assert "complet" not in command_line("--help").out.split("Commands:")[0]
