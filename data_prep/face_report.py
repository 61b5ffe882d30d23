"""What became of every file of a folder of faces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_prep.face_names import Dropped

_SHOWN = 5
_NAMED_PEOPLE = 3


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
        total: Counter[str] = Counter()
        for counts in self.kept.values():
            total.update(counts)
        return dict(sorted(total.items()))

    @property
    def dropped_kinds(self) -> Mapping[str, tuple[Dropped, ...]]:
        """Why files were dropped -> those files, in the order of their names."""
        kinds: dict[str, list[Dropped]] = {}
        for row in sorted(self.dropped, key=lambda row: row.name):
            kinds.setdefault(row.kind, []).append(row)
        return {kind: tuple(rows) for kind, rows in sorted(kinds.items())}

    def text(self) -> str:
        """A table of people by emotions, people of equal counts in one row; then what was dropped, and notes."""
        people = f"{len(self.kept)} {'person' if len(self.kept) == 1 else 'people'}"
        head = [f"{self.name}: {self.images} images of {people} ({self.how})", ""]
        found = ", ".join(f"{way}: {count}" for way, count in self.found.items())
        lines = [*head, *_table(self.kept, self.emotions), "", f"faces taken by {found}"]
        lines += [f"dropped, {kind}: {_listed(rows)}" for kind, rows in self.dropped_kinds.items()]
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


def describe_dropped(dropped: Sequence[Dropped]) -> str:
    """How many files were dropped of which kind, each with an example, in one line; empty without any."""
    kinds: dict[str, list[Dropped]] = {}
    for row in dropped:
        kinds.setdefault(row.kind, []).append(row)
    return "; ".join(f"dropped, {kind}: {_listed(rows, 1)}" for kind, rows in kinds.items())


def _listed(rows: Sequence[Dropped], shown: int = _SHOWN) -> str:
    named = [f"{row.name}{f' ({row.reason})' if row.reason else ''}" for row in rows[:shown]]
    more = f", and {len(rows) - shown} more" if len(rows) > shown else ""
    return f"{len(rows)}: {', '.join(named)}{more}"


def _table(kept: Mapping[str, Mapping[str, int]], emotions: Mapping[str, int]) -> list[str]:
    alike: dict[tuple[int, ...], list[str]] = {}
    for subject, counts in kept.items():
        alike.setdefault(tuple(counts.get(emotion, 0) for emotion in emotions), []).append(subject)
    rows = [["people", *emotions]]
    for numbers, subjects in sorted(alike.items(), key=lambda item: -len(item[1])):
        who = ", ".join(subjects) if len(subjects) <= _NAMED_PEOPLE else f"{len(subjects)} people, each"
        rows.append([who, *map(str, numbers)])
    rows.append(["all", *map(str, emotions.values())])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(_padded(row, widths)).rstrip() for row in rows]


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first = row[0].ljust(widths[0])
    return [first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
