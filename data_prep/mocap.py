"""Folders of motion-captured walks to a `GaitSet` in memory; nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from data_prep.files.marker import says_synthetic
from data_prep.gait_report import GaitReport
from data_prep.labelled_report import Dropped, describe_dropped
from data_prep.skeleton import BONES, JOINTS, JointMap, load_joint_map
from data_prep.walk_duplicates import drop_duplicates
from data_prep.walk_file import UNREADABLE, CycleOptions, Cycles, Unusable, cut_cycles, read_joints
from data_prep.walk_layouts import LAYOUTS, WalkFile, WalkListing, list_walks
from tff_affect.errors import InputError
from tff_affect.gait_set import GaitSet

_TITLES = {"glasgow": "Glasgow Body Movement Library"}
# (name of the recording that is done, number of all recordings)
OnWalk = Callable[[str, int], None]


@dataclass(frozen=True)
class GaitOptions(CycleOptions):
    """How a folder of walks is read, beside how each recording becomes gait cycles.

    Attributes:
        layout: One of ``walk_layouts.LAYOUTS``; None: recognised by what is in the folder.
        joint_map: A packaged joint map's name or a YAML file; None: recognised by the names of each file's points.
        least_people: How many people have to be there.
        least_emotions: How many emotions have to be there.
    """

    layout: str | None = None
    joint_map: str | None = None
    least_people: int = 2
    least_emotions: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layout is not None and self.layout not in LAYOUTS:
            raise InputError(f"gait: layout: expected one of {', '.join(LAYOUTS)}, found {self.layout!r}")

    def describe(self, layout: str) -> str:
        """In a few words."""
        off = [name for name in ("root", "heading", "size") if not getattr(self, name)]
        words = [f"layout {layout}", f"{self.samples} samples a cycle"]
        return ", ".join([*words, f"{' and '.join(off)} as recorded" if off else "root, heading and size normalised"])


def read_walks(
    folder: Path, options: GaitOptions | None = None, progress: OnWalk | None = None
) -> tuple[GaitSet, GaitReport]:
    """Reads a folder of walks and cuts them into gait cycles.

    Args:
        folder: Of a layout that ``walk_layouts`` knows, or the manifest in it. A file ``SYNTHETIC.txt`` in it or above
            it says that the walkers are made up.
        options: How.
        progress: Called after each recording with its name and the number of all recordings.

    Returns:
        The cycles, in the order of their files' names; what became of each file.

    Raises:
        InputError: If the folder or the joint map cannot be read, no layout fits, or too few people or emotions are
            left.
    """
    options = options or GaitOptions()
    joint_map = None if options.joint_map is None else load_joint_map(options.joint_map)
    listing = list_walks(Path(folder), options.layout)
    kept: list[tuple[WalkFile, Cycles]] = []
    dropped = list(listing.dropped)
    for walk in listing.walks:
        made = _read_one(listing.folder, walk, options, joint_map)
        if isinstance(made, Cycles):
            kept.append((walk, made))
        else:
            dropped.append(made)
        if progress is not None:
            progress(walk.name, len(listing.walks))
    kept, twice = drop_duplicates(kept)
    dropped += twice
    _check_enough(kept, dropped, listing, options)
    synthetic = says_synthetic(listing.folder)
    title = _TITLES.get(listing.layout) or listing.folder.resolve().name
    name = f"SYNTHETIC {title}" if synthetic else title
    gaits = gait_set(name, kept, synthetic)
    return gaits, _report(gaits, listing, kept, dropped, options)


def gait_set(name: str, walks: Sequence[tuple[WalkFile, Cycles]], synthetic: bool) -> GaitSet:
    """The cycles of at least one recording as a set."""
    files = [walk for walk, cycles in walks for _ in cycles.motions]
    return GaitSet(
        name=name,
        motions=np.concatenate([cycles.motions for _, cycles in walks]),
        joints=JOINTS,
        bones=BONES,
        subjects=tuple(file.subject for file in files),
        emotions=tuple(file.emotion for file in files),
        takes=tuple(file.name for file in files),
        spans=np.concatenate([cycles.spans for _, cycles in walks]),
        synthetic=synthetic,
    )


def _read_one(folder: Path, walk: WalkFile, options: GaitOptions, joint_map: JointMap | None) -> Cycles | Dropped:
    try:
        return cut_cycles(*read_joints(folder / walk.name, joint_map), options)
    except Unusable as error:
        return Dropped(walk.name, error.kind, error.reason)
    except InputError as error:
        place = f"line {error.line}: " if error.line is not None else ""
        return Dropped(walk.name, UNREADABLE, place + error.reason)


def _check_enough(
    kept: Sequence[tuple[WalkFile, Cycles]], dropped: Sequence[Dropped], listing: WalkListing, options: GaitOptions
) -> None:
    people, emotions = ({getattr(walk, of) for walk, _ in kept} for of in ("subject", "emotion"))
    if len(people) < max(1, options.least_people) or len(emotions) < max(1, options.least_emotions):
        wanted = f"at least {options.least_people} people with {options.least_emotions} emotions"
        found = f"{len(kept)} recordings of {len(people)} people with {len(emotions)} emotions"
        why = describe_dropped(dropped)
        reason = f"expected walks of {wanted}, found {found}{f' ({why})' if why else ''}; add what is missing"
        raise InputError(reason, file=listing.folder)


def _report(
    gaits: GaitSet,
    listing: WalkListing,
    kept: Sequence[tuple[WalkFile, Cycles]],
    dropped: Sequence[Dropped],
    options: GaitOptions,
) -> GaitReport:
    counts: dict[str, Counter[str]] = {}
    left_out: Counter[str] = Counter()
    for walk, cycles in kept:
        counts.setdefault(walk.subject, Counter())[walk.emotion] += len(cycles.motions)
        left_out.update(cycles.left_out)
    emotions = np.array(gaits.emotions)
    backwards = [walk.name for walk, cycles in kept if cycles.backwards]
    settings = {key: value for key, value in asdict(options).items() if key != "layout"}
    if options.joint_map is not None:
        settings["joint_map"] = Path(options.joint_map).name
    note = f"{', '.join(backwards)}: the body goes backwards; left and right may be exchanged in the joint map"
    return GaitReport(
        name=gaits.name,
        layout=listing.layout,
        kept={subject: dict(sorted(counts[subject].items())) for subject in sorted(counts)},
        takes={walk.name: len(cycles.motions) for walk, cycles in kept},
        dropped=tuple(dropped),
        left_out=dict(sorted(left_out.items())),
        seconds={name: round(float(np.median(gaits.durations[emotions == name])), 3) for name in gaits.classes},
        notes=(note,) if backwards else (),
        how=options.describe(listing.layout),
        options=settings,
    )
