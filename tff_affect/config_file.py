"""Configurations as YAML: read with dotted overrides by OmegaConf, and written resolved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from tff_affect.atomic import replace_text
from tff_affect.config import StudyConfig
from tff_affect.errors import InputError
from tff_affect.yaml_file import read_yaml


def load_config(
    file: str | Path | None, overrides: list[str] | None = None, cohort: str | Path | None = None
) -> StudyConfig:
    """Reads a study's configuration.

    Args:
        file: A YAML file with any part of `StudyConfig`; None for the defaults.
        overrides: Dotted settings such as ``training.rounds=50``; they win over the file.
        cohort: The cohort's folder, taken as it is; wins over both.

    Raises:
        InputError: For an unreadable file, an unknown key, a value of the wrong type or out of range.
    """
    from omegaconf import OmegaConf

    config = OmegaConf.structured(StudyConfig)
    with named_settings(file):
        if file is not None:
            config = OmegaConf.merge(config, OmegaConf.create(_settings(Path(file))))
        config = with_overrides(config, overrides or ())
        if cohort is None and OmegaConf.is_missing(config.data, "cohort"):
            raise InputError("data.cohort: name the cohort's folder", file=file)
        if cohort is not None:
            config = OmegaConf.merge(config, {"data": {"cohort": ""}})
        found: Any = OmegaConf.to_object(config)
        return found if cohort is None else replace(found, data=replace(found.data, cohort=str(cohort)))


def with_overrides(config: Any, overrides: Sequence[str]) -> Any:
    """A configuration of OmegaConf with dotted settings merged in, one after another.

    Raises:
        InputError: For a setting that is unknown or of the wrong type; the message begins with ``-o`` and the setting.
    """
    from omegaconf import ListConfig, OmegaConf, ValidationError

    for setting in overrides:
        with named_settings(f"-o {setting}", "the setting is"):
            try:
                config = OmegaConf.merge(config, OmegaConf.from_dotlist([setting]))
            except ValidationError as error:
                name, _, value = setting.partition("=")
                if not isinstance(OmegaConf.select(config, name), ListConfig):
                    raise
                reason = f"expected a list, such as {name}=[{value}]"
                raise InputError(reason, file=f"-o {setting}") from error
    return config


@contextmanager
def named_settings(file: object | None = None, all_of_them: str = "the configuration is") -> Iterator[None]:
    """Says of a setting that OmegaConf refuses in the block which it is, and why, in one line.

    Args:
        file: Where the settings are from; None for several places.
        all_of_them: What is wrong where no single setting is.

    Raises:
        InputError: For an unknown setting, or a value of the wrong type.
    """
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        place = getattr(error, "full_key", None) or f"{all_of_them} wrong"
        raise InputError(f"{place}: {str(error).splitlines()[0]}", file=file) from error


def _settings(file: Path) -> dict[str, Any]:
    content = read_yaml(file)
    if content is not None and not isinstance(content, dict):
        raise InputError(f"expected settings by name, found a {type(content).__name__}", file=file)
    return content or {}


def save_config(config: StudyConfig, file: Path) -> None:
    """Writes the resolved configuration as YAML."""
    replace_text(file, yaml.safe_dump(asdict(config), sort_keys=False))
