"""Numbers that JSON has no word for."""

from __future__ import annotations

import math
from typing import Any


def plain(value: Any) -> Any:
    """Of JSON's types, all the way down: infinite numbers are the texts ``inf`` and ``-inf``, NaN is None."""
    match value:
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case tuple() | list():
            return [plain(item) for item in value]
        case float() if math.isnan(value):
            return None
        case float() if math.isinf(value):
            return "inf" if value > 0 else "-inf"
    return value
