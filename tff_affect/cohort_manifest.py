"""How ``cohort.json`` is read, and which files it may name."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from tff_affect.cohort_checks import check_manifest, require
from tff_affect.cohort_types import CohortManifest, SubjectEntry
from tff_affect.errors import InputError

FORMAT = "tff_affect cohort 1"
MANIFEST = "cohort.json"


def _read_json(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    try:
        require(path.is_dir(), "no such cohort folder", file=path)
        require(
            file.is_file(), f"not a cohort: no {MANIFEST} in it; make one with 'tff-affect data convert'", file=path
        )
        content = json.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InputError("expected UTF-8 text", file=file) from error
    except json.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error.msg}", file=file, line=error.lineno) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", file=file) from error
    require(isinstance(content, dict), f"expected a JSON object, found a {type(content).__name__}", file=file)
    require(content.get("format") == FORMAT, f"expected format {FORMAT!r}, found {content.get('format')!r}", file=file)
    return content


def read_manifest(path: Path) -> CohortManifest:
    """Reads and checks the manifest of the cohort folder ``path``.

    Raises:
        InputError: For the first thing wrong with the folder or its ``cohort.json``.
    """
    return manifest_of(_read_json(path), path / MANIFEST)


def manifest_of(content: Mapping[str, Any], file: object) -> CohortManifest:
    """A checked manifest from what JSON gave.

    Raises:
        InputError: For the first thing wrong, naming ``file``.
    """
    try:
        entries = tuple(_entry_from_json(item) for item in content["subjects"])
        manifest = CohortManifest(
            name=_typed(content["name"], str),
            features=tuple(_typed(name, str) for name in _typed(content["features"], list)),
            feature_scale=_typed(content["feature_scale"], str),
            frame_rate=float(_typed(content["frame_rate"], (int, float))),
            time_unit=_typed(content["time_unit"], str),
            labels=tuple(_typed(name, str) for name in _typed(content["labels"], list)),
            synthetic=_typed(content["synthetic"], bool),
            provenance=_typed(content["provenance"], dict),
            subjects=entries,
        )
    except KeyError as error:
        raise InputError(f"the entry {error.args[0]!r} is missing", file=file) from error
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"an entry has the wrong type: {error}", file=file) from error
    require(bool(entries), "expected at least one subject, found none", file=file)
    check_manifest(manifest, file)
    return manifest


def _typed(value: Any, kind: type | tuple[type, ...]) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"expected {getattr(kind, '__name__', 'a number')}, found {reprlib.repr(value)}")
    if isinstance(value, str):
        value.encode()  # a lone surrogate could be neither written nor printed later
    return value


def _entry_from_json(item: Any) -> SubjectEntry:
    _typed(item, dict)
    return SubjectEntry(
        subject=_typed(item["subject"], str),
        partition=_typed(item["partition"], str),
        groups={str(k): str(v) for k, v in _typed(item["groups"], dict).items()},
        frames=_typed(item["frames"], int),
        file=_typed(item["file"], str),
        sha256=_typed(item["sha256"], str),
        quality=_typed(item.get("quality", {}), dict),
    )


def table_path(root: Path, entry: SubjectEntry) -> Path:
    """The table's path, refused if it leaves the cohort's folder (``..``, absolute, or through a link)."""
    relative = PurePosixPath(entry.file)
    place: dict[str, Any] = {"file": root / MANIFEST, "subject": entry.subject}
    require(
        bool(relative.parts) and not relative.is_absolute() and ".." not in relative.parts and "\\" not in entry.file,
        f"expected a file inside the cohort, found {entry.file!r}",
        **place,
    )
    path = root / relative
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):
        inside = False
    require(inside, f"{entry.file!r} leads out of the cohort through a link", **place)
    return path
