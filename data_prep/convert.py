"""One door for the command line: whatever the source is, to a cohort."""

from __future__ import annotations

from pathlib import Path

from data_prep.au_tables import convert_table
from data_prep.column_map import ColumnMap, load_column_map, packaged_maps
from data_prep.inspect import detect
from data_prep.recola import convert_recola
from tff_affect.cohort import Cohort
from tff_affect.errors import InputError


def convert(
    source: Path,
    destination: Path,
    column_map: ColumnMap | str | Path | None = None,
    fusion: str = "mean",
    deltas: bool = False,
    overwrite: bool = False,
) -> Cohort:
    """Detects what ``source`` is and converts it; all of it, or nothing.

    Args:
        source: A RECOLA folder or a table.
        destination: The cohort's folder.
        column_map: For a table alone: a map, its YAML file, or the name of a packaged one.
        fusion: For RECOLA alone: ``mean`` or ``ccc_centred``.
        deltas: For RECOLA alone: whether the features' time differences come along.
        overwrite: Replace an existing cohort.

    Raises:
        InputError: If the source is unknown, wrong, or already a cohort, a table comes without a map, or an option is
            given that such a source does not have.
    """
    source, kind = Path(source), detect(Path(source))
    if kind == "cohort":
        raise InputError("this is a cohort already; nothing to convert", file=source)
    if kind == "recola":
        if column_map is not None:
            raise InputError("a column map is for tables, and this is a RECOLA folder; leave the map out", file=source)
        return convert_recola(source, destination, fusion, deltas, overwrite)
    _refuse_recola_options(source, fusion, deltas)
    if column_map is None:
        known = ", ".join(packaged_maps())
        raise InputError(f"a table needs a column map: a YAML file, or one of {known}", file=source)
    if not isinstance(column_map, ColumnMap):
        column_map = load_column_map(column_map)
    return convert_table(source, destination, column_map, overwrite)


def _refuse_recola_options(table: Path, fusion: str, deltas: bool) -> None:
    if fusion != "mean":
        raise InputError(
            f"the fusion {fusion!r} is for RECOLA's raters, and this is a table, whose labels are taken as they are; "
            "leave the fusion out",
            file=table,
        )
    if deltas:
        raise InputError(
            "deltas are for RECOLA's features, and this is a table; name its columns in the map", file=table
        )
