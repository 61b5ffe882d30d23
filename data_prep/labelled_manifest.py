"""A table that says of whom each file of a folder is, and which emotion it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from data_prep.files.delimited import DelimitedTable, first_row, read_delimited
from data_prep.labelled_folder import FolderContent, outside
from tff_affect.errors import InputError

COLUMNS = ("file", "subject", "emotion")


def open_folder(
    path: Path, layout: str | None, layouts: Mapping[str, str], look_into: Callable[[Path], FolderContent]
) -> tuple[FolderContent, Path | None]:
    """Looks into a folder of labelled files, and finds the manifest that says whose they are.

    Args:
        path: The folder, or the manifest in it.
        layout: One of ``layouts``; None: a manifest where there is one.
        layouts: Name -> an example; ``manifest`` is among them.
        look_into: Lists a folder.

    Returns:
        What is in the folder; its manifest, None where names say whose each file is.

    Raises:
        InputError: If there is no such layout or no such folder, or a manifest that is wanted is missing or not the
            only one.
    """
    if layout is not None and layout not in layouts:
        raise InputError(f"expected a layout of {', '.join(layouts)}, found {layout!r}", file=path)
    if path.suffix.lower() == ".csv" and path.is_file():
        if layout not in (None, "manifest"):
            raise InputError(f"a file is read as a manifest, not as {layout}; name the folder", file=path)
        return look_into(path.parent), path
    content = look_into(path)
    manifest = find_manifest(path, content.csv_files, forced=layout == "manifest")
    if layout == "manifest" and manifest is None:
        raise InputError(f"expected {layouts['manifest']}, found no CSV", file=content.folder)
    return content, manifest if layout in (None, "manifest") else None


def find_manifest(folder: Path, csv_files: Sequence[str], forced: bool = False) -> Path | None:
    """The one CSV of a folder that has a column ``file`` and one of the others; if forced, the only CSV will do.

    Raises:
        InputError: If there are several.
    """
    fitting = [name for name in csv_files if _looks_like(folder / name)]
    if forced and not fitting:
        fitting = list(csv_files)
    if len(fitting) > 1:
        raise InputError(f"expected one manifest, found {', '.join(fitting)}; name the one", file=folder)
    return folder / fitting[0] if fitting else None


def _looks_like(file: Path) -> bool:
    try:
        columns = set(first_row(file))
    except (InputError, OSError):
        return False
    return "file" in columns and len(columns.intersection(COLUMNS)) > 1


def read_manifest(file: Path, folder: Path) -> list[tuple[str, str, str]]:
    """The rows of a manifest: file, subject, emotion.

    Args:
        file: A CSV (comma, semicolon or tab, UTF-8) with exactly the columns file, subject, emotion, in any order.
        folder: What its files are relative to.

    Raises:
        InputError: With the line, for an unknown or missing column, an empty cell, a file that is missing, named twice,
            absolute or outside the folder, or two spellings of a subject.
    """
    table = read_delimited(file)
    unknown = [name for name in table.columns if name not in COLUMNS]
    if unknown:
        reason = f"expected the columns {', '.join(COLUMNS)}, found {', '.join(map(repr, unknown))} too; take it out"
        raise InputError(reason, file=file, line=1)
    cells = zip(*(table.text(name) for name in COLUMNS), strict=True)
    rows = [(_name(row[0]), row[1], row[2].lower()) for row in cells]
    top = folder.resolve()
    lines: dict[str, int] = {}
    spelling: dict[str, str] = {}
    for row, line in zip(rows, table.lines, strict=True):
        _check_row(row, table, line)
        _check_file(row[0], folder, top, file, line)
        earlier = lines.setdefault(row[0], line)
        if earlier != line:
            raise InputError(f"{row[0]!r} stands in line {earlier} too; keep one", file=file, line=line)
        other = spelling.setdefault(row[1].lower(), row[1])
        if other != row[1]:
            reason = f"subjects {other!r} and {row[1]!r} differ by case alone; use one spelling"
            raise InputError(reason, file=file, line=line)
    return sorted(rows)


def _name(cell: str) -> str:
    return PurePosixPath(cell).as_posix() if cell else cell


def _check_row(row: tuple[str, str, str], table: DelimitedTable, line: int) -> None:
    for column, cell in zip(COLUMNS, row, strict=True):
        # NA is no missing value here: it is one of JAFFE's people.
        if not cell:
            raise InputError(f"column {column!r}: expected a value, found none", file=table.file, line=line)


def _check_file(name: str, folder: Path, top: Path, manifest: Path, line: int) -> None:
    windows = PureWindowsPath(name)  # which takes both slashes
    if name.startswith("/") or windows.drive or name.startswith("\\"):
        reason = f"expected a file relative to the manifest's folder, found {name[:80]!r}"
        raise InputError(reason, file=manifest, line=line)
    if ".." in windows.parts:
        reason = f"expected a file within the manifest's folder, found {name[:80]!r}; put it there"
        raise InputError(reason, file=manifest, line=line)
    wrong = outside(folder / name, top)
    if wrong is not None:
        raise InputError(f"cannot use {name[:80]!r}: {wrong}; put the file itself there", file=manifest, line=line)
