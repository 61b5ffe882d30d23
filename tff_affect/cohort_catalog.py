"""What a worker tells of its share of a cohort: everything that planning a study needs, and no data.

A catalogue is a manifest without provenance, quality and file names, as JSON text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tff_affect.cohort_checks import require
from tff_affect.cohort_manifest import manifest_of
from tff_affect.cohort_types import CohortManifest, SubjectEntry
from tff_affect.errors import InputError

CATALOG = "catalog.json"
FORMAT = "tff_affect catalog 1"
_MOST_TEXT, _MOST_FRAMES = 10**8, 2**31
# Names become headers of tables.
_NAME = re.compile(r"[^\x00-\x1f\x7f,\"]{1,200}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def catalog_content(manifest: CohortManifest) -> dict[str, Any]:
    """What of a manifest others may know, of JSON's types."""
    return {
        "format": FORMAT,
        "name": manifest.name,
        "features": list(manifest.features),
        "feature_scale": manifest.feature_scale,
        "frame_rate": manifest.frame_rate,
        "time_unit": manifest.time_unit,
        "labels": list(manifest.labels),
        "synthetic": manifest.synthetic,
        "subjects": [_entry_content(entry) for entry in manifest.subjects],
    }


def _entry_content(entry: SubjectEntry) -> dict[str, Any]:
    return {
        "subject": entry.subject,
        "partition": entry.partition,
        "groups": dict(entry.groups),
        "frames": entry.frames,
        "sha256": entry.sha256,
    }


def catalog_text(manifest: CohortManifest) -> str:
    """The catalogue of a manifest."""
    return json.dumps(catalog_content(manifest), ensure_ascii=False) + "\n"


def catalog(text: str | bytes, source: object) -> CohortManifest:
    """The manifest of a catalogue that somebody sent: nothing in it is taken on trust.

    Args:
        text: What was sent, UTF-8.
        source: Who sent it, as errors name it.

    Raises:
        InputError: For the first thing wrong.
    """
    require(len(text) <= _MOST_TEXT, f"expected a catalogue of at most {_MOST_TEXT} characters", file=source)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected a catalogue, found no valid JSON: {error}", file=source) from error
    return manifest_of_catalog(content, source)


def manifest_of_catalog(content: Any, source: object) -> CohortManifest:
    """`catalog` of what JSON gave."""
    require(isinstance(content, Mapping), "expected a catalogue, found no JSON object", file=source)
    found = content.get("format")
    require(found == FORMAT, f"expected format {FORMAT!r}, found {found!r}; use one version everywhere", file=source)
    subjects = content.get("subjects")
    require(isinstance(subjects, list), "expected a list of subjects in the catalogue", file=source)
    listed = [item | {"file": "", "quality": {}} if isinstance(item, dict) else item for item in subjects]
    manifest = manifest_of({**content, "provenance": {}, "subjects": listed}, source)
    for name in (manifest.name, *manifest.features, *manifest.labels):
        require(_NAME.fullmatch(name) is not None, f"expected a plain name, found {name[:40]!r}", file=source)
    for entry in manifest.subjects:
        place: dict[str, Any] = {"file": source, "subject": entry.subject}
        require(entry.frames > 0, f"expected at least one frame, found {entry.frames}", **place)
        require(entry.frames <= _MOST_FRAMES, f"expected at most {_MOST_FRAMES} frames, found more", **place)
        require(_SHA256.fullmatch(entry.sha256) is not None, "expected a SHA-256 of the table", **place)
    return manifest
