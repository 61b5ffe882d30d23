"""The numbers of finished videos, kept beside the cohort to come so that an interrupted run goes on.

The folder ``OUT.unfinished`` belongs to one run at a time, is readable by its user alone, and is never taken over from
somebody else: a marker says whose it is, and only files that were made here are removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from data_prep.facemesh import FaceActivity, GeometryConfig
from tff_affect.cohort import file_sha256
from tff_affect.errors import InputError

_FORMAT = 2
_MARKER = ".tff-affect-video"
_SUFFIX = ".npz"
_DAMAGE = (
    OSError, ValueError, KeyError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error
)  # fmt: skip


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


@contextmanager
def unfinished_folder(destination: Path) -> Iterator[Path]:
    """The folder for the finished videos of a cohort to come, locked; empty ones do not stay.

    Raises:
        InputError: If it cannot be made, is somebody else's, or another run is at it.
    """
    folder = destination.with_name(f"{destination.name}.unfinished")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid() or not _is_ours(folder):
            reason = "the folder for unfinished videos is somebody else's; move it away or name another cohort"
            raise InputError(reason, file=folder)
        folder.chmod(0o700)
        lock = open(os.open(folder / _MARKER, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "rb")  # noqa: SIM115
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror}", file=folder) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError("another run is making this cohort; wait for it", file=folder) from error
        for leftover in folder.glob("*.tmp"):
            leftover.unlink(missing_ok=True)
        try:
            yield folder
        finally:
            if not any(folder.glob(f"*{_SUFFIX}")):
                discard(folder)


def _is_ours(folder: Path) -> bool:
    """Whether a folder is empty, or bears the marker."""
    marker = folder / _MARKER
    return (marker.is_file() and not marker.is_symlink()) or not any(folder.iterdir())


def discard(folder: Path) -> None:
    """Removes the results and the folder, but nothing that was not made here."""
    for result in folder.glob(f"*{_SUFFIX}"):
        result.unlink(missing_ok=True)
    with suppress(OSError):
        if [entry.name for entry in folder.iterdir()] == [_MARKER]:
            (folder / _MARKER).unlink()
            folder.rmdir()


def make_job(subject: str, video: Path, folder: Path, geometry: GeometryConfig) -> Job:
    """The job of a video whose numbers go to ``folder``."""
    try:
        tracker = version("mediapipe")
    except PackageNotFoundError:
        tracker = "none"
    key = {"format": _FORMAT, "tracker": tracker, "video_sha256": file_sha256(video), **geometry.to_json()}
    return Job(subject, video, folder / f"{subject}{_SUFFIX}", json.dumps(key, sort_keys=True))


def read_result(job: Job) -> FaceActivity | None:
    """The numbers of this very video and setting; None if they are not there, or damaged."""
    try:
        with open(job.result, "rb") as stream, np.load(stream, allow_pickle=False) as content:
            if str(content["key"]) != job.key:
                return None
            quality = json.loads(str(content["quality"]))
            return FaceActivity(content["time"], content["intensities"], content["pose"], quality)
    except _DAMAGE:
        return None


def write_result(job: Job, activity: FaceActivity) -> None:
    """Writes the numbers under a temporary name and renames them."""
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
