"""What a report says of privacy, for its template."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from tff_affect.report.privacy import PrivateMethod
from tff_affect.report.section import Column, DataTable, slug, text
from tff_affect.report.study import Study
from tff_affect.report.tables import epsilon_text

_SETTINGS_FROM = re.compile(r"^\s*settings_from: *['\"]?([^'\"\n]+?)['\"]? *$", flags=re.MULTILINE)


def privacy_section(study: Study) -> dict[str, Any]:
    """The section's warnings and private methods; no methods where nothing is private."""
    methods = list(study.privacy.methods.values())
    units = [method.unit for method in methods if method.unit is not None]
    return {
        "unit": units[0] if units else "subject or window",
        "warnings": study.privacy.warnings,
        "methods": [_method(method, _settings_from(study.config)) for method in methods],
    }


def _settings_from(config: str) -> str:
    """Where clipping norm, learning rates and the like were chosen, of the study's configuration; else empty."""
    found = _SETTINGS_FROM.search(config)
    return found[1] if found else ""


def _method(private: PrivateMethod, settings_from: str) -> dict[str, Any]:
    return {
        "name": private.method,
        "headline": private.headline,
        "remarks": private.remarks,
        "entries": private.entries() + ([("settings chosen", settings_from)] if settings_from else []),
        "outside": private.not_covered(),
        "clients": _clients(private),
    }


def _clients(private: PrivateMethod) -> DataTable | None:
    """Epsilon of each client's windows; with several runs the smallest and the largest over those with the client."""
    rows = private.per_client
    if not rows:
        return None
    frame = pd.DataFrame(rows, columns=["client", "smallest", "largest", "runs"])[
        ["client", "largest", "smallest", "runs"]
    ]
    several = len(private.guarantees) > 1
    columns = [
        text("client", "client"),
        Column("largest epsilon" if several else "epsilon", ("largest",), epsilon_text),
    ]
    if several:
        columns += [Column("smallest epsilon", ("smallest",), epsilon_text), text("runs", "runs")]
    name = slug("epsilon-of-clients", private.method)
    return DataTable(name, f"Epsilon of each training client's windows, {private.method}", frame, tuple(columns))
