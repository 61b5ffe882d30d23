"""One video to action units, in a process of its own; and several at a time.

What a finished video leaves is a small file of numbers (time, intensities, pose, quality), so that an interrupted run
goes on with the videos that are missing. The landmarks of a recording are held in memory, some 0.7 kB a frame.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.facemesh import FaceActivity, GeometryConfig, face_activity
from data_prep.video_frames import Video, track
from tff_affect.cohort import file_sha256
from tff_affect.errors import InputError, RunError

_FRAMES_BETWEEN_REPORTS = 25
_FORMAT = 1


@dataclass(frozen=True)
class Job:
    """One video to do.

    Attributes:
        subject: Whom it shows.
        video: The file.
        result: Where the numbers go.
        key: What the numbers depend on: settings, the video's hash, the tracker's version.
    """

    subject: str
    video: Path
    result: Path
    key: str


def make_job(subject: str, video: Path, folder: Path, geometry: GeometryConfig) -> Job:
    """The job of a video whose numbers go to ``folder``."""
    try:
        tracker = version("mediapipe")
    except PackageNotFoundError:
        tracker = "none"
    key = {"format": _FORMAT, "tracker": tracker, "video_sha256": file_sha256(video), **geometry.to_json()}
    return Job(subject, video, folder / f"{subject}.npz", json.dumps(key, sort_keys=True))


def is_done(job: Job) -> bool:
    """Whether the numbers of this very video and setting are there."""
    try:
        with np.load(job.result, allow_pickle=False) as content:
            return str(content["key"]) == job.key
    except (OSError, ValueError, KeyError, EOFError):
        return False


def read_result(job: Job) -> FaceActivity:
    """The numbers of a finished job."""
    with np.load(job.result, allow_pickle=False) as content:
        quality = json.loads(str(content["quality"]))
        return FaceActivity(content["time"], content["intensities"], content["pose"], quality)


def activity_of_video(
    file: Path, geometry: GeometryConfig, on_frames: Callable[[int], None] | None = None
) -> FaceActivity:
    """Follows the face through a video.

    Args:
        file: The video.
        geometry: How intensities are made.
        on_frames: Called now and then with the number of frames done since.

    Raises:
        InputError: If it is no video, or shows no face.
    """
    video = Video(file)
    seconds: list[float] = []
    points: list[np.ndarray] = []
    for when, landmarks in track(video.frames()):
        seconds.append(when)
        points.append(landmarks)
        if on_frames and len(seconds) % _FRAMES_BETWEEN_REPORTS == 0:
            on_frames(_FRAMES_BETWEEN_REPORTS)
    if on_frames:
        on_frames(len(seconds) % _FRAMES_BETWEEN_REPORTS)
    time, repaired = _clock(np.array(seconds), video)
    try:
        activity = face_activity(time, np.stack(points), geometry)
    except InputError as error:
        raise InputError(error.reason, file=file) from error
    quality: dict[str, Any] = {
        **activity.quality,
        "frame_rate": round(video.facts.frame_rate, 4),
        "frames_not_decoded": max(0, video.facts.frames - len(seconds)),
        "timestamps_repaired": repaired,
    }
    return FaceActivity(activity.time, activity.intensities, activity.pose, quality)


def _clock(seconds: np.ndarray, video: Video) -> tuple[np.ndarray, int]:
    """``[frames]`` increasing seconds; where the container's do not increase, frames count by the frame rate."""
    wrong = int((np.diff(seconds) <= 0).sum())
    if not wrong:
        return seconds, 0
    if not video.facts.frame_rate > 0:
        raise InputError("the video has neither times that increase nor a frame rate; re-encode it", file=video.file)
    return np.arange(len(seconds)) / video.facts.frame_rate, wrong


class _Stopped(Exception):
    """The run was interrupted."""


_reports: Any = None
_stop: Any = None


def _prepare(reports: Any, stop: Any) -> None:
    """Readies a worker: one core, no Ctrl-C of its own, and no life beyond the main process."""
    global _reports, _stop
    _reports, _stop = reports, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    import cv2

    cv2.setNumThreads(1)


def _report(frames: int) -> None:
    if _stop.is_set():
        raise _Stopped
    _reports.put(frames)


def _do(job: Job, geometry: GeometryConfig) -> None:
    activity = activity_of_video(job.video, geometry, _report)
    temporary = job.result.with_suffix(f".{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as stream:
            np.savez(
                stream,
                key=np.array(job.key),
                time=activity.time,
                intensities=activity.intensities,
                pose=activity.pose,
                quality=np.array(json.dumps(dict(activity.quality))),
            )
        temporary.replace(job.result)
    finally:
        temporary.unlink(missing_ok=True)


def run_jobs(
    jobs: list[Job], geometry: GeometryConfig, processes: int, on_frames: Callable[[int], None] | None = None
) -> Mapping[str, InputError]:
    """Does the jobs, several at a time; a video that cannot be used does not stop the others.

    Args:
        jobs: What to do.
        geometry: How intensities are made.
        processes: How many videos at a time.
        on_frames: Called with the number of frames done since.

    Returns:
        Subject -> what is wrong with its video, for those that failed.

    Raises:
        RunError: If a worker died, as for want of memory; what was finished stays.
    """
    context = multiprocessing.get_context("spawn")
    reports, stop = context.Queue(), context.Event()
    failed: dict[str, InputError] = {}
    with ProcessPoolExecutor(processes, context, _prepare, (reports, stop)) as pool:
        try:
            futures = {pool.submit(_do, job, geometry): job for job in jobs}
            for future in _as_done(set(futures), reports, on_frames):
                error = future.exception()
                if isinstance(error, InputError):
                    failed[futures[future].subject] = error
                elif isinstance(error, BrokenProcessPool):
                    raise RunError(
                        "a worker died, perhaps for want of memory; run the same command again with fewer --jobs"
                    ) from error
                elif error is not None:
                    raise error
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failed


def _as_done(
    pending: set[Future[None]], reports: Any, on_frames: Callable[[int], None] | None
) -> Iterator[Future[None]]:
    while pending:
        done, pending = wait(pending, timeout=0.3, return_when="FIRST_COMPLETED")
        frames = 0
        while not reports.empty():
            frames += reports.get()
        if frames and on_frames:
            on_frames(frames)
        yield from done
