"""The SYNTHETIC cohort in the layout of every tool and corpus that can be read.

A `Layout` says how the generated truth looks in it: names, partitions, action units, scale, clock. What reading a
written layout back gives, and what `layout_cohort` writes without the detour, have the same content hash.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from data_prep.column_map import load_column_map
from data_prep.files.marker import MARKER
from data_prep.layouts.au_writer import (
    LIBREFACE_UNITS,
    OPENFACE_0_UNITS,
    OPENFACE_UNITS,
    PY_FEAT_UNITS,
    write_libreface,
    write_openface,
    write_py_feat,
)
from data_prep.layouts.avec_writer import write_avec2016, write_avec2018
from data_prep.layouts.generic_writer import COLUMN_MAP, TABLE, write_generic
from data_prep.layouts.layout_subject import LayoutSubject, milliseconds
from data_prep.layouts.muse_writer import write_muse
from data_prep.layouts.recola_writer import write_recola_layout
from data_prep.recola_layout import DIMENSIONS
from data_prep.source import SourceOptions
from data_prep.synthetic import generate_subject
from data_prep.synthetic_model import SyntheticConfig, subject_id
from tff_affect.cohort import Cohort, CohortManifest, SubjectEntry, SubjectTable, new_folder, write_cohort
from tff_affect.errors import InputError

_PARTITIONS = ("train", "development", "test")
_AVEC_NAMES = {"train": "train", "development": "dev", "test": "test"}
_INTENSITY = 5.0


def _thirds(index: int, subjects: int) -> tuple[str, int]:
    """Partition of a subject, and its place in it from 0: the first third trains, the last tests."""
    sizes = [(subjects + 2 - k) // 3 for k in range(3)]
    starts = [0, sizes[0], sizes[0] + sizes[1]]
    third = max(k for k in range(3) if index >= starts[k])
    return _PARTITIONS[third], index - starts[third]


def _participant(index: int, subjects: int) -> tuple[str, str]:
    return subject_id(index), _thirds(index, subjects)[0]


def _unassigned(index: int, subjects: int) -> tuple[str, str]:
    return subject_id(index), "unassigned"


def _numbered(index: int, subjects: int) -> tuple[str, str]:
    return str(index + 1), _thirds(index, subjects)[0]


def _challenger(index: int, subjects: int) -> tuple[str, str]:
    partition, place = _thirds(index, subjects)
    return f"{_AVEC_NAMES[partition]}_{place + 1}", partition


@dataclass(frozen=True)
class Layout:
    """How the SYNTHETIC truth looks in one layout.

    Attributes:
        name: The name by which it is asked for.
        write: Writes subjects into an empty folder.
        action_units: The units that the tool reports; None: those of the configuration.
        scale: Key of the cohort's feature scales; ``0-1`` has the intensities divided by five.
        naming: (index, number of subjects) -> name and partition.
        corpus: Whether it is a corpus that withholds the labels of its test subjects and gives no group attributes.
        in_milliseconds: Whether its clock goes through milliseconds.
        has_clock: Whether its files say when a frame was; the frame rate must be given otherwise.
    """

    name: str
    write: Callable[[Path, Iterable[LayoutSubject]], None] | None
    action_units: tuple[str, ...] | None = None
    scale: str = "0-5"
    naming: Callable[[int, int], tuple[str, str]] = _participant
    corpus: bool = False
    in_milliseconds: bool = False
    has_clock: bool = True

    def configured(self, config: SyntheticConfig) -> SyntheticConfig:
        """The configuration with the layout's action units."""
        return config if self.action_units is None else replace(config, action_units=self.action_units)


def _openface(version: str, units: tuple[str, ...] = OPENFACE_UNITS) -> Layout:
    return Layout(f"openface-{version}", partial(write_openface, version=version), units)


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        layout.name: layout
        for layout in (
            _openface("0", OPENFACE_0_UNITS),
            _openface("1"),
            _openface("2.0"),
            _openface("2"),
            Layout("py-feat", write_py_feat, PY_FEAT_UNITS, "0-1", has_clock=False),
            Layout("libreface", write_libreface, LIBREFACE_UNITS),
            Layout("muse", write_muse, naming=_numbered, in_milliseconds=True, corpus=True),
            Layout("avec2016", write_avec2016, scale="arbitrary", naming=_challenger, corpus=True),
            Layout("avec2018", write_avec2018, scale="arbitrary", naming=_challenger, corpus=True),
            Layout("recola", None, naming=_unassigned),
            Layout("generic", write_generic, naming=_unassigned),
        )
    }
)


def layout_named(name: str) -> Layout:
    """The layout of that name.

    Raises:
        InputError: If there is none.
    """
    if name not in LAYOUTS:
        raise InputError(f"expected a layout among {', '.join(LAYOUTS)}, found {name!r}")
    return LAYOUTS[name]


def layout_recordings(layout: Layout, config: SyntheticConfig) -> Iterator[LayoutSubject]:
    """Everything that is generated for a layout, subject by subject, test subjects without labels included."""
    config = layout.configured(config)
    for index in range(config.subjects):
        made = generate_subject(config, index)
        name, partition = layout.naming(index, config.subjects)
        entry = SubjectEntry(name, partition, dict(made.groups) if not layout.corpus else {})
        table = made.table
        if layout.scale == "0-1":
            shares = np.round(table.features.astype(np.float64) / _INTENSITY, 5)
            table = replace(table, features=shares.astype(np.float32))
        if layout.in_milliseconds:
            table = replace(table, time=milliseconds(table.time) / 1000.0)
        labelled = not layout.corpus or partition != "test"
        yield LayoutSubject(entry, table, made.ratings, labelled, config, index)


def layout_subjects(layout: Layout, config: SyntheticConfig) -> Iterator[tuple[SubjectEntry, SubjectTable]]:
    """The truth, one subject at a time; test subjects without labels are left out, as readers do."""
    return ((subject.entry, subject.table) for subject in layout_recordings(layout, config) if subject.labelled)


def write_layout(name: str, path: Path, config: SyntheticConfig | None = None) -> Path:
    """Writes the SYNTHETIC cohort in a layout; all of it, or nothing.

    Args:
        name: A key of `LAYOUTS`.
        path: The folder to make; its ``SYNTHETIC.txt`` holds the configuration.
        config: Defaults to ``SyntheticConfig()``; a tool's layout has the tool's own action units instead of its.

    Returns:
        ``path``.

    Raises:
        InputError: If there is no such layout or the folder cannot be made.
    """
    layout, config = layout_named(name), config or SyntheticConfig()
    if layout.write is None:
        return write_recola_layout(Path(path), config)
    with new_folder(Path(path)) as folder:
        layout.write(folder, layout_recordings(layout, config))
        content = json.dumps(layout.configured(config).to_json(), indent=1)
        marker = f"SYNTHETIC data in the layout of {name}; nobody was recorded.\n{content}\n"
        (folder / MARKER).write_text(marker, encoding="utf-8")
    return Path(path)


def layout_source(name: str, path: Path, config: SyntheticConfig | None = None) -> tuple[Path, SourceOptions]:
    """What to open, and how, to read a folder that `write_layout` wrote with the same configuration.

    Raises:
        InputError: If there is no such layout, or its column map cannot be read.
    """
    layout, config = layout_named(name), config or SyntheticConfig()
    if name == "generic":
        return Path(path) / TABLE, SourceOptions(column_map=load_column_map(Path(path) / COLUMN_MAP))
    return Path(path), SourceOptions(frame_rate=None if layout.has_clock else config.frame_rate)


def how_to_convert(name: str, path: Path, config: SyntheticConfig) -> str:
    """The command that makes a cohort of a folder that `write_layout` wrote; ``COHORT`` stands for the new folder."""
    source = path / TABLE if name == "generic" else path
    option = "" if layout_named(name).has_clock else f" --frame-rate {config.frame_rate:g}"
    option = f" --map {shlex.quote(str(path / COLUMN_MAP))}" if name == "generic" else option
    return f"tff-affect data convert {shlex.quote(str(source))} COHORT{option}"


def layout_cohort(name: str, path: Path, config: SyntheticConfig | None = None) -> Cohort:
    """Writes the truth of a layout as a cohort, without the detour through files of that layout.

    Args:
        name: A key of `LAYOUTS`.
        path: The cohort's folder.
        config: As in `write_layout`.

    Raises:
        InputError: If there is no such layout or the folder cannot be made.
    """
    layout, config = layout_named(name), config or SyntheticConfig()
    configured = layout.configured(config)
    manifest = CohortManifest(
        name=f"SYNTHETIC cohort as {name} has it",
        features=configured.action_units,
        feature_scale=layout.scale,
        frame_rate=config.frame_rate,
        labels=DIMENSIONS,
        synthetic=True,
        provenance={"reader": "data_prep.layouts.registry", "layout": name, "config": configured.to_json()},
    )
    return write_cohort(Path(path), manifest, layout_subjects(layout, config))
