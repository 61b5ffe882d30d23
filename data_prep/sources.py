"""Which reader a path needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from data_prep.au_folder import AuFolderSource, au_kind
from data_prep.au_tables import TOOLS
from data_prep.avec import AvecSource
from data_prep.avec_layout import is_avec2016, is_avec2018
from data_prep.generic_tables import TableSource
from data_prep.muse import MuseSource, is_muse
from data_prep.recola import RecolaSource
from data_prep.recola_layout import ANNOTATION, CENTRED, is_recola
from data_prep.source import Source, SourceOptions
from data_prep.video_frames import is_video
from tff_affect.cohort import MANIFEST
from tff_affect.errors import InputError


def _is_of(tool: str, path: Path) -> bool:
    return au_kind(path) == tool


# In the order in which they are tried: the first whose marks are there.
_DETECTORS: tuple[tuple[str, Callable[[Path], bool]], ...] = (
    ("cohort", lambda path: (path / MANIFEST).is_file()),
    ("recola", is_recola),
    ("avec2016", is_avec2016),
    ("avec2018", is_avec2018),
    ("muse", is_muse),
    *((tool, partial(_is_of, tool)) for tool in TOOLS),
    ("video", is_video),
    ("table", Path.is_file),
)
_READERS: Mapping[str, Callable[[Path, SourceOptions], Source]] = {
    "recola": RecolaSource,
    "avec2016": AvecSource,
    "avec2018": AvecSource,
    "muse": MuseSource,
    **dict.fromkeys(TOOLS, AuFolderSource),
    "table": TableSource,
}
_OPTION_OWNERS: Mapping[str, str] = {
    "column_map": "a column map is for generic tables",
    "fusion": "a fusion is for sources with several raters",
    "deltas": "deltas are for RECOLA's features",
    "labels": "a folder of labels is for sources without their own",
    "frame_rate": "a frame rate is for frame-by-frame action-unit files",
    "pose": "pose is for frame-by-frame action-unit files",
    "feature_set": "a feature set is for corpora that come with several",
}


def detect(path: Path) -> str:
    """What a path holds.

    Raises:
        InputError: If it is nothing known.
    """
    path = Path(path)
    try:
        found = next((kind for kind, matches in _DETECTORS if matches(path)), None)
        is_folder = path.is_dir()
    except OSError as error:
        raise InputError(f"cannot look here: {error.strerror or error}", file=path) from error
    if found == "video":
        raise InputError("this is video; make a cohort of it with 'tff-affect data video', and inspect that", file=path)
    if found is not None:
        return found
    looked = (
        f"a cohort ({MANIFEST}), RECOLA ({ANNOTATION.as_posix()} or {CENTRED}), "
        "AVEC (ratings_gold_standard or labels/gs_1), MuSe (features and partition.csv), "
        "tables of OpenFace, py-feat or LibreFace (<subject>.csv), or a table (a file)"
    )
    raise InputError(
        f"{'nothing known here' if is_folder else 'no such file or folder'}; looked for {looked}", file=path
    )


def open_source(path: Path, options: SourceOptions | None = None) -> Source:
    """Opens what is not yet a cohort.

    Raises:
        InputError: If the path holds nothing known or a cohort, an option means nothing to it, or it cannot be opened.
    """
    path, options = Path(path), options or SourceOptions()
    # Who maps a table's columns means them so, whichever tool they resemble.
    detected = detect(path)
    kind = "table" if options.column_map is not None and path.is_file() else detected
    if kind == "cohort":
        raise InputError("this is a cohort already; nothing to convert", file=path)
    reader = _READERS[kind]
    for name in options.given():
        if name not in reader.takes:  # type: ignore[attr-defined]
            raise InputError(f"{_OPTION_OWNERS[name]}, and this source is {kind}; leave it out", file=path)
    return reader(path, options)
