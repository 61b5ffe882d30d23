"""How long the rounds of a federated training took: a line for each round computed.

Kept apart from ``rounds.csv``, which is the same however often training was cut off. A round that was computed again
has a line again: it cost its time twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from tff_affect.atomic import append_text
from tff_affect.errors import InputError

TIMES = "timing.jsonl"


class RoundTimes:
    """``timing.jsonl`` of one training.

    Args:
        folder: Where it goes; it is there.
        clock: Seconds that only go forward.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = folder / TIMES, clock
        self._last = clock()

    def begin(self) -> None:
        """Training begins, or goes on after it was cut off."""
        self._last = self._clock()

    def add(self, number: int) -> None:
        """A round is done: it took what passed since the one before, its evaluation included."""
        now = self._clock()
        append_text(self._file, json.dumps({"round": number, "seconds": round(now - self._last, 6)}) + "\n")
        self._last = now


def read_times(file: Path) -> pd.DataFrame:
    """Rounds as they were computed: columns ``round`` and ``seconds``; none where there is no such file.

    Raises:
        InputError: If a line other than a last one, which a crash may have cut short, is not a round's.
    """
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n") if file.is_file() else [""]
    rows = []
    for place, line in enumerate(lines[:-1], start=1):
        try:
            entry = json.loads(line)
            rows.append({"round": int(entry["round"]), "seconds": float(entry["seconds"])})
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("expected a round and its seconds; remove the file", file=file, line=place) from error
    return pd.DataFrame(rows, columns=["round", "seconds"])
