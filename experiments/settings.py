"""The settings that come with the experiments."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from tff_affect.config import StudyConfig
from tff_affect.config_file import load_config, named_settings, with_overrides

_Settings = TypeVar("_Settings")


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


def packaged_settings(schema: type[_Settings], name: str, overrides: Sequence[str] = ()) -> _Settings:
    """Settings of an experiment that has no cohort.

    Args:
        schema: A dataclass of settings.
        name: Of the YAML file in ``experiments/configs``.
        overrides: Dotted settings; they win over the file.

    Raises:
        InputError: For a setting that is unknown, of the wrong type or out of range.
    """
    from omegaconf import OmegaConf

    content = (resources.files("experiments") / "configs" / name).read_text(encoding="utf-8")
    with named_settings(all_of_them="the settings are"):
        config = OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.create(content))
        config = with_overrides(config, overrides)
        found: Any = OmegaConf.to_object(config)
    return found
