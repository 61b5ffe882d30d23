"""A cohort whose tables lie with workers: what the driver knows of it, merged from what they answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from tff_affect.cohort import Cohort
from tff_affect.cohort_catalog import catalog_content, manifest_of_catalog
from tff_affect.cohort_checks import check_manifest, require
from tff_affect.cohort_types import CohortManifest, SubjectEntry
from tff_affect.errors import InputError

_AGREED = {
    "features": "features",
    "feature_scale": "feature scale",
    "frame_rate": "frame rate",
    "time_unit": "time unit",
    "labels": "labels",
    "synthetic": "whether the data are SYNTHETIC",
}
_OF_A_SUBJECT = {"sha256": "table", "frames": "number of frames", "partition": "partition", "groups": "groups"}


class RemoteCohort(Cohort):
    """A cohort without tables.

    Subjects are sorted, so that it makes no difference which worker holds which.

    Args:
        path: Names it in messages: the file that lists the workers.
        manifest: Of all subjects, without provenance and file names.
        holders: Names of the workers that hold each subject, sorted.
    """

    def __init__(self, path: Path, manifest: CohortManifest, holders: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__(path, manifest)
        self.holders = dict(holders)

    @classmethod
    def merge(cls, catalogs: Mapping[str, CohortManifest], path: Path) -> RemoteCohort:
        """Joins what the workers hold, by their names.

        Raises:
            InputError: If two of them do not go together, naming both and what differs.
        """
        require(bool(catalogs), "expected at least one worker, found none", file=path)
        shares = dict(sorted(catalogs.items()))
        first = next(iter(shares))
        for worker, manifest in shares.items():
            _require_equal(shares[first], manifest, _AGREED, (first, worker), path)
        entries, holders = _merged_entries(shares, path)
        name = " + ".join(dict.fromkeys(manifest.name for manifest in shares.values()))
        merged = replace(shares[first], name=name, provenance={}, subjects=entries)
        check_manifest(merged, path)
        return cls(path, merged, holders)

    def load(self, subject: str) -> NoReturn:
        """Refuses: tables stay where they are.

        Raises:
            InputError: Always.
        """
        held = ", ".join(self.holders.get(subject, ())) or "no worker"
        raise InputError(
            f"expected a table on this machine, found it with {held}, where it stays; "
            "leave out what reads subjects here",
            file=self.path,
            subject=subject,
        )

    def entry(self, subject: str) -> SubjectEntry:
        """What is known of a subject."""
        require(subject in self.holders, "no worker holds this subject", file=self.path, subject=subject)
        return super().entry(subject)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` takes, of JSON's types."""
        held = {subject: list(self.holders[subject]) for subject in self.subjects}
        return {"catalog": catalog_content(self.manifest), "holders": held}

    @classmethod
    def from_json(cls, content: Any, path: Path) -> RemoteCohort:
        """The cohort as it was kept.

        Args:
            content: As of `to_json`.
            path: Of the file that it was read from.

        Raises:
            InputError: For the first thing wrong.
        """
        require(isinstance(content, dict), "expected a kept cohort, found no JSON object", file=path)
        manifest = manifest_of_catalog(content.get("catalog"), path)
        holders = content.get("holders")
        subjects = [entry.subject for entry in manifest.subjects]
        known = isinstance(holders, dict) and set(holders) == set(subjects) and all(map(_are_names, holders.values()))
        require(known, "expected the names of the workers that hold each subject", file=path)
        return cls(path, manifest, {subject: tuple(holders[subject]) for subject in subjects})


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)


def _require_equal(
    a: object,
    b: object,
    attributes: Mapping[str, str],
    workers: tuple[str, str],
    path: Path,
    subject: str | None = None,
) -> None:
    for attribute, words in attributes.items():
        found = getattr(a, attribute), getattr(b, attribute)
        shown = "" if attribute in ("sha256", "features") else f": {found[0]!r} and {found[1]!r}"
        require(
            found[0] == found[1],
            f"expected workers {workers[0]} and {workers[1]} to agree, found that they differ in {words}{shown}; "
            "let both hold the same conversion",
            file=path,
            subject=subject or None,
        )


def _merged_entries(
    shares: Mapping[str, CohortManifest], path: Path
) -> tuple[tuple[SubjectEntry, ...], dict[str, tuple[str, ...]]]:
    """Sorted entries, and the workers that hold each."""
    entries: dict[str, SubjectEntry] = {}
    holders: dict[str, tuple[str, ...]] = {}
    for worker, entry in _all_entries(shares):
        subject = entry.subject
        if subject in entries:
            workers = (holders[subject][0], worker)
            _require_equal(entries[subject], entry, _OF_A_SUBJECT, workers, path, subject)
        entries.setdefault(subject, replace(entry, file="", quality={}))
        holders[subject] = (*holders.get(subject, ()), worker)
    ordered = sorted(entries)
    return tuple(entries[subject] for subject in ordered), {subject: holders[subject] for subject in ordered}


def _all_entries(shares: Mapping[str, CohortManifest]) -> Iterable[tuple[str, SubjectEntry]]:
    return ((worker, entry) for worker, manifest in shares.items() for entry in manifest.subjects)
