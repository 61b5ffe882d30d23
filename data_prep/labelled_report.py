"""What became of the files of a folder, in a few lines: those that are not used, and who shows what how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

NO_FIT = "name does not fit the layout"
_SHOWN = 5
_NAMED_PEOPLE = 3


@dataclass(frozen=True)
class Dropped:
    """A file that is not used.

    Attributes:
        name: Relative to the folder, with slashes.
        kind: Why, in a few words that many files share.
        reason: Why, of this file; may be empty.
    """

    name: str
    kind: str
    reason: str = ""


class LabelledReport:
    """What all reports of labelled folders have; a report adds what was counted.

    Attributes:
        kept: Subject -> emotion -> how many samples.
        dropped: Files that are not used, and why.
        notes: What else is to be known, one sentence each.
    """

    kept: Mapping[str, Mapping[str, int]]
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...]

    @property
    def people(self) -> str:
        """How many, in words."""
        return f"{len(self.kept)} {'person' if len(self.kept) == 1 else 'people'}"

    @property
    def emotions(self) -> Mapping[str, int]:
        """Emotion -> how many samples."""
        return totals(self.kept)

    @property
    def dropped_kinds(self) -> Mapping[str, tuple[Dropped, ...]]:
        """Why files were dropped -> those files, in the order of their names."""
        return {
            kind: tuple(sorted(rows, key=lambda row: row.name)) for kind, rows in sorted(_by_kind(self.dropped).items())
        }

    @property
    def dropped_as_json(self) -> dict[str, dict[str, str]]:
        """Why files were dropped -> name -> reason."""
        return {kind: {row.name: row.reason for row in rows} for kind, rows in self.dropped_kinds.items()}

    def joined(self, lines: Sequence[str]) -> str:
        """Lines of a report, then what was dropped, and notes."""
        dropped = (f"dropped, {kind}: {listed(rows)}" for kind, rows in self.dropped_kinds.items())
        return "\n".join([*lines, *dropped, *(f"note: {note}" for note in self.notes)]) + "\n"


def _by_kind(dropped: Iterable[Dropped]) -> dict[str, list[Dropped]]:
    kinds: dict[str, list[Dropped]] = {}
    for row in dropped:
        kinds.setdefault(row.kind, []).append(row)
    return kinds


def describe_dropped(dropped: Sequence[Dropped]) -> str:
    """How many files were dropped of which kind, each with an example, in one line; empty without any."""
    return "; ".join(f"dropped, {kind}: {listed(rows, 1)}" for kind, rows in _by_kind(dropped).items())


def listed(rows: Sequence[Dropped], shown: int = _SHOWN) -> str:
    """How many, and the first few by name."""
    named = [f"{row.name}{f' ({row.reason})' if row.reason else ''}" for row in rows[:shown]]
    more = f", and {len(rows) - shown} more" if len(rows) > shown else ""
    return f"{len(rows)}: {', '.join(named)}{more}"


def totals(kept: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Of subject -> emotion -> count: emotion -> count, sorted."""
    total: Counter[str] = Counter()
    for counts in kept.values():
        total.update(counts)
    return dict(sorted(total.items()))


def table_of_people(kept: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Lines of a table of people by emotions, people of equal counts in one row.

    Args:
        kept: Subject -> emotion -> count.
    """
    emotions = totals(kept)
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
