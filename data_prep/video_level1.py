"""One video to action units, in a process of its own; and several at a time.

The landmarks of a recording are held in memory, some 0.7 kB a frame; what leaves the process are time, intensities,
pose and quality.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.facemesh import FaceActivity, GeometryConfig, face_activity
from data_prep.files.clocks import REPAIRABLE, increasing, repaired, typical_step, wild_jump
from data_prep.video_frames import Video, track
from data_prep.video_results import Job, write_result
from tff_affect.errors import InputError, RunError

_FRAMES_BETWEEN_REPORTS = 25


def activity_of_video(
    file: Path, geometry: GeometryConfig, on_frames: Callable[[int], None] | None = None
) -> FaceActivity:
    """Follows the face through a video.

    Args:
        file: The video.
        geometry: How intensities are made.
        on_frames: Called now and then with the number of frames done since.

    Raises:
        InputError: If it is no video, has no clock, or shows no face.
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
    time, mended = frame_times(np.array(seconds), video.facts.frame_rate, file)
    try:
        activity = face_activity(time, np.stack(points), geometry)
    except InputError as error:
        raise InputError(error.reason, file=file) from error
    quality: dict[str, Any] = {
        **activity.quality,
        "frame_rate": round(video.facts.frame_rate, 4),
        "frames_not_decoded": max(0, video.facts.frames - len(seconds)),
        "timestamps_repaired": mended,
    }
    return FaceActivity(activity.time, activity.intensities, activity.pose, quality)


def frame_times(seconds: np.ndarray, frame_rate: float, file: Path) -> tuple[np.ndarray, int]:
    """When the frames were: the container's clock, its few bad times put in line with their neighbours.

    Args:
        seconds: ``[frames]`` the container's times.
        frame_rate: What the container says, per second; it counts where there is no clock at all.
        file: For messages.

    Returns:
        ``[frames]`` increasing seconds, and how many of them are not the container's.

    Raises:
        InputError: If more than a few times are bad, but not all.
    """
    good = increasing(seconds)
    bad = int((~good).sum())
    if len(seconds) == 1:
        return seconds, 0
    frames = np.arange(len(seconds), dtype=np.float64)
    if good.sum() == 1 and frame_rate > 0:
        return frames / frame_rate, len(seconds)
    if good.sum() < 2 or bad > REPAIRABLE * len(seconds):
        reason = (
            f"{bad} of the video's {len(seconds)} frame times do not increase; re-encode it at a constant frame rate"
        )
        raise InputError(reason, file=file)
    step = typical_step(frames[good], seconds[good])
    leap = wild_jump(frames[good], seconds[good], step)
    if leap is not None:
        when = seconds[good][leap]
        raise InputError(f"the video's clock leaps to {when:g} s; re-encode it at a constant frame rate", file=file)
    return repaired(frames, seconds, good, step), bad


class _Stopped(Exception):
    """The run was interrupted."""


_reports: Any = None
_stop: Any = None


def _prepare(reports: Any, stop: Any, parent: int) -> None:
    """Readies a worker: one core, silent, no Ctrl-C of its own, and no life beyond the main process."""
    global _reports, _stop
    _reports, _stop = reports, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    # Decoders and models talk past Python; what goes wrong comes back as an exception.
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    import cv2

    cv2.setNumThreads(1)


def _report(frames: int) -> None:
    if _stop.is_set():
        raise _Stopped
    _reports.put(frames)


def _do(job: Job, geometry: GeometryConfig) -> None:
    write_result(job, activity_of_video(job.video, geometry, _report))


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started here take no Ctrl-C, not even while they import."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
    if not jobs:
        return {}
    context = multiprocessing.get_context("spawn")
    reports, stop = context.Queue(), context.Event()
    failed: dict[str, InputError] = {}
    with ProcessPoolExecutor(processes, context, _prepare, (reports, stop, os.getpid())) as pool:
        try:
            with _deaf_to_interrupts():
                futures = {pool.submit(_do, job, geometry): job for job in jobs}
            for future in _as_done(set(futures), reports, on_frames):
                error = future.exception()
                if isinstance(error, InputError):
                    failed[futures[future].subject] = error
                elif isinstance(error, BrokenProcessPool):
                    reason = "a worker died, perhaps for want of memory; run the same command again with fewer --jobs"
                    raise RunError(reason) from error
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
