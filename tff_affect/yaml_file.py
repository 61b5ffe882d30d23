"""YAML files that somebody wrote by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tff_affect.errors import InputError


def read_yaml(file: Path) -> Any:
    """What a YAML file holds, read safely.

    Raises:
        InputError: If it is missing, unreadable or not YAML, then with the line.
        yaml.YAMLError: If it holds characters that YAML does not allow.
    """
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("no such file", file=file) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("expected a readable UTF-8 YAML file", file=file) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not valid YAML: {error.problem}", file=file, line=line) from error
