"""What became of every file of a folder of faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_prep.labelled_report import Dropped, describe_dropped, dropped_kinds, listed, table_of_people, totals

__all__ = ["FaceReport", "describe_dropped"]


@dataclass(frozen=True)
class FaceReport:
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

    @property
    def emotions(self) -> Mapping[str, int]:
        """Emotion -> how many images."""
        return totals(self.kept)

    @property
    def dropped_kinds(self) -> Mapping[str, tuple[Dropped, ...]]:
        """Why files were dropped -> those files, in the order of their names."""
        return dropped_kinds(self.dropped)

    def text(self) -> str:
        """A table of people by emotions, people of equal counts in one row; then what was dropped, and notes."""
        people = f"{len(self.kept)} {'person' if len(self.kept) == 1 else 'people'}"
        head = [f"{self.name}: {self.images} images of {people} ({self.how})", ""]
        found = ", ".join(f"{way}: {count}" for way, count in self.found.items())
        lines = [*head, *table_of_people(self.kept), "", f"faces taken by {found}"]
        lines += [f"dropped, {kind}: {listed(rows)}" for kind, rows in self.dropped_kinds.items()]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)]) + "\n"

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
            "dropped": {kind: {row.name: row.reason for row in rows} for kind, rows in self.dropped_kinds.items()},
            "notes": list(self.notes),
            "options": dict(self.options),
        }
