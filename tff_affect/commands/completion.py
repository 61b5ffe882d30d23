"""``tff-affect completion``: has a shell complete commands and options."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

PROGRAM = "tff-affect"
ASKED_BY = "_TFF_AFFECT_COMPLETE"
"""Variable of the environment by which a shell's script asks for completions."""


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="Which shell.")],
) -> None:
    """Print a script by which a shell completes commands and options; source it, or keep it where the shell looks.

    bash: source <(tff-affect completion bash). zsh: the same after compinit. fish: tff-affect completion fish | source.

    Example: tff-affect completion bash > ~/.local/share/bash-completion/completions/tff-affect
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    print(get_completion_script(prog_name=PROGRAM, complete_var=ASKED_BY, shell=shell))


def prepare_completion() -> None:
    """Registers typer's shells, which it leaves out where its own options for completion are not wanted."""
    from typer.completion import completion_init  # type: ignore[attr-defined]

    completion_init()
