"""Level 1 (Mase et al. 2021): videos of faces to a cohort of action units; the images are gone.

Neither image nor landmark is written. While the work goes on, the numbers of finished videos stand in
``OUT.unfinished`` beside the cohort to come, and a run that was interrupted goes on from there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.facemesh import SOURCE, GeometryConfig
from data_prep.files.folders import entries_of, one_file_each
from data_prep.labels.recording_labels import RecordingLabels
from data_prep.source import POSE
from data_prep.video_frames import SUFFIXES, Video
from data_prep.video_level1 import run_jobs
from data_prep.video_results import Job, discard, make_job, read_result, unfinished_folder
from tff_affect.cohort import (
    Cohort,
    CohortManifest,
    SubjectEntry,
    SubjectTable,
    check_destination,
    check_table,
    write_cohort,
)
from tff_affect.errors import InputError, RunError

# A camera of variable rate slows down in the dark; between its frames no face was lost.
_LONGEST_GAP_SECONDS = 0.2
# (note, frames of all videos, frames done since the last call)
OnFrames = Callable[[str, int, int], None]


@dataclass(frozen=True)
class VideoConfig:
    """How videos become a cohort.

    Attributes:
        geometry: How intensities are made of landmarks.
        pose: Whether head pose (pitch, yaw, roll in degrees) comes along.
        labels: Folder with ``<dimension>/<subject>.csv``; None: the videos' own ``labels`` folder, or no labels.
        fusion: Rule for several raters.
        frame_rate: Frames per second of the cohort; None: the labels', else the first video's.
        processes: How many videos at a time; 0: one a core.
        name: The cohort's name.
    """

    geometry: GeometryConfig = field(default_factory=GeometryConfig)
    pose: bool = False
    labels: Path | None = None
    fusion: str | None = None
    frame_rate: float | None = None
    processes: int = 0
    name: str = "faces on video"

    def __post_init__(self) -> None:
        if self.frame_rate is not None and not 0 < self.frame_rate <= 1000:
            raise InputError(f"expected a frame rate above 0 and up to 1000, found {self.frame_rate:g}")
        if self.processes < 0:
            raise InputError(f"expected 0 or more processes, found {self.processes}")


def find_videos(path: Path) -> dict[str, Path]:
    """Subject -> video: a single file, or ``<subject>.mp4`` and the like in a folder.

    Raises:
        InputError: If there is none, a subject has two, or a link leads out of the folder.
    """
    path = Path(path)
    if not path.is_dir():
        return {path.stem: path}
    found = one_file_each(file for file in entries_of(path, path) if file.suffix.lower() in SUFFIXES)
    if not found:
        raise InputError(f"expected videos <subject>{SUFFIXES[0]} ({', '.join(SUFFIXES)}), found none", file=path)
    return found


def convert_videos(
    path: Path,
    destination: Path,
    config: VideoConfig | None = None,
    overwrite: bool = False,
    on_frames: OnFrames | None = None,
) -> Cohort:
    """Converts a video, or a folder of videos of one subject each, to a cohort.

    Args:
        path: The video or the folder. A folder ``labels`` and a ``subjects.csv`` beside the videos are used.
        destination: The cohort's folder.
        config: How.
        overwrite: Replace an existing cohort.
        on_frames: Called with a note, the number of all frames, and of those done since the last call.

    Raises:
        InputError: For the first thing wrong with the videos, labels or destination. Other videos are finished all the
            same, and need not be done again.
        RunError: If a worker died.
    """
    path, config = Path(path), config or VideoConfig()
    destination = check_destination(destination, overwrite)
    videos = find_videos(path)
    folder = path if path.is_dir() else path.parent
    beside = RecordingLabels(folder, tuple(videos), config.labels, config.fusion, all_subjects=path.is_dir())
    if config.frame_rate is not None and beside.labels is not None:
        raise InputError("the cohort takes the labels' frame rate; leave the frame rate out", file=beside.labels.path)
    facts = {subject: Video(file).facts for subject, file in videos.items()}
    for subject, fact in facts.items():
        if fact.seconds > 0:
            beside.check(subject, fact.seconds, videos[subject])
    manifest = _manifest(config, beside, next(iter(facts.values())).frame_rate)
    with unfinished_folder(destination) as unfinished:
        jobs = [make_job(subject, file, unfinished, config.geometry) for subject, file in videos.items()]
        missing = [job for job in jobs if read_result(job) is None]
        total = sum(facts[job.subject].frames for job in missing)
        note = f"of {len(missing)} videos" if len(missing) == len(jobs) else f"of {len(missing)} videos left"
        workers = min(config.processes or os.cpu_count() or 1, max(1, len(missing)))
        report = partial(on_frames, note, total) if on_frames else None
        _refuse(run_jobs(missing, config.geometry, workers, report), jobs)
        cohort = write_cohort(destination, manifest, _subjects(jobs, beside, manifest, config), overwrite)
        discard(unfinished)
    return cohort


def _refuse(failed: Mapping[str, InputError], jobs: Sequence[Job]) -> None:
    """Raises `InputError` if a video failed, with the reason of each."""
    if not failed:
        return
    done = len(jobs) - len(failed)
    kept = f"; the other {done} are done, and the same command goes on from there" if done else ""
    (subject, error), *others = sorted(failed.items())
    if not others:
        raise InputError(f"{error.reason}{kept}", file=error.file, subject=subject) from error
    listed = "; ".join(f"{name}: {each.reason}" for name, each in sorted(failed.items()))
    raise InputError(f"{len(failed)} videos cannot be used: {listed}{kept}") from error


def _manifest(config: VideoConfig, beside: RecordingLabels, video_rate: float) -> CohortManifest:
    rate = beside.labels.frame_rate if beside.labels else config.frame_rate or round(video_rate, 6)
    return CohortManifest(
        name=f"SYNTHETIC {config.name}" if beside.synthetic else config.name,
        features=(*config.geometry.units, *(POSE if config.pose else ())),
        feature_scale="arbitrary" if config.pose else "0-5",
        frame_rate=rate,
        labels=beside.dimensions,
        synthetic=beside.synthetic,
        provenance={
            "reader": "data_prep.video",
            "source": SOURCE,
            "geometry": config.geometry.to_json(),
            "pose": config.pose,
            "fusion": beside.fusion,
            "notes": list(beside.notes),
        },
    )


def _subjects(
    jobs: Sequence[Job], beside: RecordingLabels, manifest: CohortManifest, config: VideoConfig
) -> Iterator[tuple[SubjectEntry, SubjectTable]]:
    for job in jobs:
        activity = read_result(job)
        if activity is None:
            raise RunError(
                f"the numbers of {job.subject} vanished from {job.result.parent}; run the same command again"
            )
        features = activity.intensities
        if config.pose:
            features = np.concatenate([features, activity.pose], axis=1)
        table = beside.table(job.subject, activity.time, features, manifest.frame_rate, job.video, _LONGEST_GAP_SECONDS)
        check_table(table, manifest, job.subject, job.video)
        quality: dict[str, Any] = dict(activity.quality)
        yield replace(beside.entry(job.subject), quality=quality), table
