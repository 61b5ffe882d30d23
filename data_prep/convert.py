"""One door for the command line: whatever the source is, to a cohort."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from data_prep.source import Source, SourceOptions
from data_prep.sources import open_source
from tff_affect.cohort import Cohort, CohortManifest, SubjectEntry, SubjectTable, write_cohort

OnSubject = Callable[[str, int], None]


def convert(
    path: Path,
    destination: Path,
    options: SourceOptions | None = None,
    overwrite: bool = False,
    on_subject: OnSubject | None = None,
) -> Cohort:
    """Detects what ``path`` is and converts it; all of it, or nothing.

    What the source notes (who was left out, what its features give away) is in the manifest's provenance, ``notes``.

    Args:
        path: A corpus's folder, a folder of action-unit files, or a table.
        destination: The cohort's folder.
        options: How to read it.
        overwrite: Replace an existing cohort.
        on_subject: Called with each subject read and the number of all.

    Raises:
        InputError: For the first thing wrong with the source, an option or the destination.
    """
    source = open_source(path, options)
    return write_cohort(destination, _with_notes(source), _reported(source, on_subject), overwrite)


def _with_notes(source: Source) -> CohortManifest:
    manifest = source.manifest
    return replace(manifest, provenance={**manifest.provenance, "notes": list(source.notes)})


def _reported(source: Source, on_subject: OnSubject | None) -> Iterator[tuple[SubjectEntry, SubjectTable]]:
    for subject in source.subjects:
        yield source.read(subject)
        if on_subject:
            on_subject(subject, len(source.subjects))
