"""A protocol over the recurrent variants: every variant trained every way, one table for each label dimension."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from experiments.avec_protocol import AVEC
from experiments.clips_protocol import CLIPS
from experiments.grid import Grid, run_grid, shared_settings, start_grid, tabulate, unique
from experiments.mase2021_protocol import MASE2021
from experiments.protocol import Protocol
from experiments.protocol_data import delay_of
from tff_affect.cohort import Cohort
from tff_affect.config import StudyConfig
from tff_affect.config_file import load_config
from tff_affect.errors import InputError
from tff_affect.progress import Progress
from tff_affect.run_folder import CONFIG
from tff_affect.splits import make_splits

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in (MASE2021, AVEC, CLIPS)}
VARIANTS = ("simple_rnn", "lstm", "gru", "bilstm", "bigru")
FURTHER_VARIANTS = ("cnn_bilstm", "cnn_bigru", "tcn", "ridge")


@dataclass(frozen=True)
class Request:
    """What is asked for; what is left out is the grid's that is resumed, or the usual.

    Attributes:
        protocol: Name of a protocol.
        cohort: The cohort's folder.
        variants: Architectures.
        overrides: Dotted settings that the protocol leaves to choose.
    """

    protocol: str | None = None
    cohort: Path | None = None
    variants: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


def run(
    folder: Path, request: Request, processes: int, resume: bool = False, progress: Progress | None = None
) -> tuple[Grid, list[dict[str, Any]]]:
    """Runs or resumes a grid and writes its tables.

    Args:
        folder: Where.
        request: What.
        processes: Runs of a study carried out side by side; 0 is one for each core.
        resume: Continue what is there.
        progress: Shows how far it is.

    Returns:
        The grid, and the rows of ``table.csv``.

    Raises:
        InputError: For anything wrong with protocol, cohort, settings or folder.
    """
    progress = progress or Progress()
    request = _completed(folder, request) if resume else request
    protocol = _protocol(request.protocol)
    if request.cohort is None:
        raise InputError("--cohort: name the cohort's folder")
    variants = unique(request.variants or VARIANTS, "--variants")
    _check_variants(variants)
    cohort = Cohort.open(request.cohort)
    note = protocol.gold_standard_note(cohort)
    configs = {variant: protocol.configure(cohort, variant, request.overrides) for variant in variants}
    splits = make_splits(cohort, next(iter(configs.values())).split)
    start_grid(folder, _grid(protocol, cohort, configs, request.overrides, note), resume)
    if note:
        print(f"warning: {note}", file=sys.stderr)
    searched = cache(partial(delay_of, cohort)) if protocol.searches_delay else None
    run_grid(folder, configs, splits, processes, progress, searched)
    return tabulate(folder)


def _grid(
    protocol: Protocol, cohort: Cohort, configs: dict[str, StudyConfig], overrides: Sequence[str], note: str
) -> Grid:
    manifest = cohort.manifest
    return Grid(
        protocol=protocol.name,
        title=protocol.title,
        variants=tuple(configs),
        cohort=cohort.content_sha256,
        cohort_name=manifest.name,
        synthetic=manifest.synthetic,
        settings=shared_settings(next(iter(configs.values()))),
        overrides=tuple(overrides),
        notes=tuple(text for text in (note, protocol.remark) if text),
    )


def _completed(folder: Path, request: Request) -> Request:
    """What a resumed grid was started with stands in for what is left out."""
    grid = Grid.read(folder)
    cohort = request.cohort
    if cohort is None:
        begun = [file for variant in grid.variants if (file := folder / variant / CONFIG).is_file()]
        cohort = Path(load_config(begun[0]).data.cohort) if begun else None
    return Request(
        request.protocol or grid.protocol, cohort, request.variants or grid.variants,
        request.overrides or grid.overrides,
    )  # fmt: skip


def _protocol(name: str | None) -> Protocol:
    if name not in PROTOCOLS:
        raise InputError(f"--protocol: expected one of {', '.join(PROTOCOLS)}, found {name or 'none'}")
    return PROTOCOLS[name]


def _check_variants(variants: Sequence[str]) -> None:
    known = (*VARIANTS, *FURTHER_VARIANTS)
    for variant in variants:
        if variant not in known:
            raise InputError(f"--variants: expected some of {', '.join(known)}, found {variant!r}")
