"""The settings that come with the experiments."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from tff_affect.config import StudyConfig
from tff_affect.config_file import load_config


def packaged_config(name: str, cohort: str | Path, overrides: Sequence[str] = ()) -> StudyConfig:
    """A configuration of ``experiments/configs`` on a cohort.

    Args:
        name: Of the YAML file.
        cohort: The cohort's folder.
        overrides: Dotted settings; they win over the file.

    Raises:
        InputError: For a setting that is refused.
    """
    with resources.as_file(resources.files("experiments") / "configs" / name) as file:
        return load_config(file, list(overrides), cohort)
