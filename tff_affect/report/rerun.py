"""How a study is run again, said without a path of whoever ran it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tff_affect.errors import InputError
from tff_affect.run_folder import CONFIG, STUDY, WORKERS, read_json

COHORT_PLACE, OUT_PLACE, HOSTS_PLACE, PATH_PLACE = "COHORT", "OUT", "HOSTS.yaml", "PATH"
# From where a path begins to the end of its text: what follows a blank may still be a part of it.
_PATH = re.compile(r"(?<![\w<])(?:[A-Za-z]:[\\/]|~[\w.-]*[\\/]|[\w.-]+@[\w.-]+:|\.*[\\/](?=[^\s/\\])).*", re.DOTALL)


@dataclass(frozen=True)
class Rerun:
    """What it takes to run a study again.

    Attributes:
        command: The command line; names in capitals are the reader's own places.
        cohort: Which cohort ``COHORT`` has to be: its name, and the hash of its contents where that was kept.
        notes: What else has to be said.
    """

    command: str
    cohort: str
    notes: tuple[str, ...] = ()


def rerun_of(folder: Path, cohort: str) -> Rerun | None:
    """How the study in a folder is run again; None where its configuration was not kept.

    Args:
        folder: The study's.
        cohort: The cohort's name.

    Raises:
        InputError: If ``study.json`` is there and unreadable.
    """
    if not (folder / CONFIG).is_file():
        return None
    facts = read_json(folder / STUDY) if (folder / STUDY).is_file() else {}
    facts = facts if isinstance(facts, dict) else {}
    data = f"--workers {HOSTS_PLACE}" if WORKERS in facts else f"--cohort {COHORT_PLACE}"
    digest = facts.get("cohort")
    named = f"{cohort}, contents SHA-256 {digest}" if isinstance(digest, str) else cohort
    notes = []
    if WORKERS in facts:
        notes.append("The data were held by workers, which have to serve the same tables again.")
    if facts.get("delays") is not None:
        notes.append(
            "Each split had an annotation delay of its own, found by the protocol that began this study; run that "
            "protocol again rather than this command, which would take data.target_delay for all."
        )
    return Rerun(f"tff-affect train {OUT_PLACE} --config {CONFIG} {data}", named, tuple(notes))


def shareable_config(text: str, file: Path) -> str:
    """A configuration as text without a path in it: the cohort is ``COHORT``, any other path ``PATH``.

    Args:
        text: As YAML; empty where there is none.
        file: For errors.

    Raises:
        InputError: If it is not YAML.
    """
    if not text.strip():
        return ""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"not valid YAML: {str(error).splitlines()[0]}", file=file) from error
    if isinstance(content, dict) and isinstance(content.get("data"), dict) and content["data"].get("cohort"):
        content["data"]["cohort"] = COHORT_PLACE
    return str(yaml.safe_dump(_without_paths(content), sort_keys=False))


def _without_paths(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_paths(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_without_paths(value) for value in content]
    return _PATH.sub(PATH_PLACE, content) if isinstance(content, str) else content
