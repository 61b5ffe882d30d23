"""What became of every file of a folder of faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_prep.labelled_report import Dropped, LabelledReport, table_of_people


@dataclass(frozen=True)
class FaceReport(LabelledReport):
    """What was kept and dropped of a folder of faces.

    Attributes:
        name: Of the set.
        layout: How the names were read.
        kept: Subject -> emotion -> how many images.
        found: How faces were found -> of how many kept images.
        dropped: Files that are not used, and why.
        notes: What else is to be known, one sentence each.
        how: How the folder was read, in a few words.
        options: The same, as settings.
    """

    name: str
    layout: str
    kept: Mapping[str, Mapping[str, int]]
    found: Mapping[str, int]
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...]
    how: str
    options: Mapping[str, Any]

    @property
    def images(self) -> int:
        """How many images are kept."""
        return sum(sum(counts.values()) for counts in self.kept.values())

    def text(self) -> str:
        """A table of people by emotions, people of equal counts in one row; then what was dropped, and notes."""
        head = [f"{self.name}: {self.images} images of {self.people} ({self.how})", ""]
        found = ", ".join(f"{way}: {count}" for way, count in self.found.items())
        lines = [*head, *table_of_people(self.kept), "", f"faces taken by {found}"]
        return self.joined(lines)

    def to_json(self) -> dict[str, Any]:
        """Of JSON's types, every dropped file named."""
        return {
            "name": self.name,
            "layout": self.layout,
            "images": self.images,
            "people": len(self.kept),
            "emotions": dict(self.emotions),
            "kept": {subject: dict(counts) for subject, counts in self.kept.items()},
            "found": dict(self.found),
            "dropped": self.dropped_as_json,
            "notes": list(self.notes),
            "options": dict(self.options),
        }
