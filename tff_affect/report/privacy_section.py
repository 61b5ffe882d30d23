"""What a report says of privacy, for its template."""

from __future__ import annotations

import re
from typing import Any

from tff_affect.report.privacy import PrivateMethod
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
    columns, clients = _clients(private)
    return {
        "name": private.method,
        "headline": private.headline,
        "remarks": private.remarks,
        "entries": private.entries() + ([("settings chosen", settings_from)] if settings_from else []),
        "outside": private.not_covered(),
        "columns": columns,
        "clients": clients,
    }


def _clients(private: PrivateMethod) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Epsilon of each client's windows; with several runs the smallest and the largest over those with the client."""
    rows = private.per_client
    if len(private.guarantees) == 1:
        return ["epsilon"], [(client, [epsilon_text(largest)]) for client, _, largest, _ in rows]
    cells = [
        (client, [epsilon_text(largest), epsilon_text(smallest), str(runs)]) for client, smallest, largest, runs in rows
    ]
    return ["largest epsilon", "smallest epsilon", "runs"], cells
