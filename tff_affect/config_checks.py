"""Checks that the configurations share; each names the setting, what was expected and what was found."""

from __future__ import annotations

import math

from tff_affect.errors import InputError


def choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises `InputError` unless ``value`` is one of the choices."""
    if value not in choices:
        raise InputError(f"{name}: expected one of {', '.join(choices)}, found {value!r}")


def at_least(name: str, value: float, least: float) -> None:
    """Raises `InputError` for a number below ``least``, an infinite one or NaN."""
    if not least <= value < math.inf:
        finite = " and finite" if value == math.inf else ""
        raise InputError(f"{name}: expected at least {least:g}{finite}, found {value:g}")


def above_zero(name: str, value: float) -> None:
    """Raises `InputError` for a number that is not above 0, an infinite one or NaN."""
    if not 0 < value < math.inf:
        raise InputError(f"{name}: expected a number above 0, found {value:g}")
