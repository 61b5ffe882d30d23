"""What became of every recording of a folder of walks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_prep.labelled_report import Dropped, LabelledReport, table_of_people


@dataclass(frozen=True)
class GaitReport(LabelledReport):
    """What was kept and dropped of a folder of walks.

    Attributes:
        name: Of the set.
        layout: How the names were read.
        kept: Subject -> emotion -> how many gait cycles.
        takes: Recording that is kept -> how many of its cycles.
        dropped: Files that are not used, and why.
        left_out: Why cycles of kept recordings were left out -> how many.
        seconds: Median duration of a cycle of each emotion.
        notes: What else is to be known, one sentence each.
        how: How the folder was read, in a few words.
        options: The same, as settings.
    """

    name: str
    layout: str
    kept: Mapping[str, Mapping[str, int]]
    takes: Mapping[str, int]
    dropped: tuple[Dropped, ...]
    left_out: Mapping[str, int]
    seconds: Mapping[str, float]
    notes: tuple[str, ...]
    how: str
    options: Mapping[str, Any]

    @property
    def cycles(self) -> int:
        """How many gait cycles are kept."""
        return sum(self.takes.values())

    def text(self) -> str:
        """A table of people by emotions, people of equal counts in one row; then what was dropped, and notes."""
        head = f"{self.name}: {self.cycles} gait cycles in {len(self.takes)} recordings of {self.people} ({self.how})"
        lines = [head, "", *table_of_people(self.kept), ""]
        lines += [f"seconds a cycle: {', '.join(f'{name} {value:.2f}' for name, value in self.seconds.items())}"]
        lines += [f"cycles left out, {why}: {count}" for why, count in self.left_out.items()]
        return self.joined(lines)

    def to_json(self) -> dict[str, Any]:
        """Of JSON's types, every dropped file named."""
        return {
            "name": self.name,
            "layout": self.layout,
            "cycles": self.cycles,
            "people": len(self.kept),
            "emotions": dict(self.emotions),
            "kept": {subject: dict(counts) for subject, counts in self.kept.items()},
            "takes": dict(self.takes),
            "left_out": dict(self.left_out),
            "seconds": dict(self.seconds),
            "dropped": self.dropped_as_json,
            "notes": list(self.notes),
            "options": dict(self.options),
        }
