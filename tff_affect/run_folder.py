"""The run folder: the one place that knows its layout.

A run is one seed on one split. A study of several seeds or folds holds one run folder for each, named ``seed-0``,
``seed-0_fold-1`` and so on; a study of one run is that run's folder itself.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tff_affect.atomic import replace_bytes, replace_text
from tff_affect.errors import InputError

CONFIG, ENVIRONMENT, SPLIT, STUDY = "config.yaml", "environment.json", "split.json", "study.json"
COHORT, TUNING, PRIVACY = "cohort_facts.json", "tuning.json", "privacy.json"
GROUPS, QUALITY = "groups.csv", "quality.csv"
PERSONALISED = "personalised"
"""Folder of a study that holds what personalisation gave."""
SCALING = "scaling.json"
"""File of a run that holds the mean and deviation of its training clients, where features are scaled by these."""
CHECKPOINTS = "checkpoints"
WORKERS = "workers"
"""Key of ``study.json``: what workers held when the study was begun."""
TENSORBOARD = "tensorboard"
"""Key of ``study.json``: whether rounds are written for TensorBoard too."""
_LOCK = ".lock"
_RECORDED_PACKAGES = (
    "tensorflow",
    "tensorflow-federated",
    "tensorflow-privacy",
    "keras",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
)


def environment() -> dict[str, Any]:
    """Versions and hardware that a result depends on; no names of machine or user."""
    from tff_affect import __version__

    packages = {name: metadata.version(name) for name in _RECORDED_PACKAGES}
    return {
        "tff_affect": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        **packages,
    }


def holds_study(folder: Path, resume: bool) -> bool:
    """Whether a study was begun in the folder that one is to be written to.

    Raises:
        InputError: If nothing can be written there, it holds a study that is not to be resumed, or something else.
    """
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (place.is_dir() and os.access(place, os.W_OK)):
        raise InputError("cannot write here; name a folder that can be made or is yours", file=folder)
    if not folder.exists() or not any(folder.iterdir()):
        return False
    if not resume:
        raise InputError("the folder is not empty; name a new one, or add --resume to continue a study", file=folder)
    if not (folder / STUDY).is_file():
        raise InputError("there is no study to resume here", file=folder)
    return True


class RunFolder:
    """Files of one run.

    Args:
        path: Made if it is not there.
        dimensions: Names of the label dimensions.
        tensorboard: Whether rounds are written for TensorBoard too.
    """

    def __init__(self, path: Path, dimensions: Sequence[str], tensorboard: bool = False) -> None:
        self.path, self.tensorboard = Path(path), tensorboard
        self.dimensions = tuple(dimensions)
        self.path.mkdir(parents=True, exist_ok=True)

    def part(self, method: str) -> Path:
        """Folder of a method's own checkpoints and tables of rounds."""
        return self.path / file_name(method)

    def candidate(self, method: str, value: float) -> Path:
        """Folder of one candidate of a tuned method; made if it is not there."""
        folder = self.path / "tuning" / f"{file_name(method)}-{value!r}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write_post_processing(self, method: str, content: Any) -> None:
        """Writes what was fitted of a method's post-processing as ``postprocess/<method>.json``."""
        file = self.path / "postprocess" / f"{file_name(method)}.json"
        file.parent.mkdir(exist_ok=True)
        write_json(file, content)

    def write_weights(self, method: str, weights: Iterable[np.ndarray]) -> None:
        """Writes a method's final weights as ``weights/<method>.npz``, in Keras order."""
        stream = io.BytesIO()
        np.savez(stream, *weights)
        file = self.path / "weights" / f"{file_name(method)}.npz"
        file.parent.mkdir(exist_ok=True)
        replace_bytes(file, stream.getvalue())

    def write_predictions(
        self, method: str, client: str, time: np.ndarray, gold: np.ndarray, predicted: np.ndarray
    ) -> None:
        """Writes ``predictions/<method>/<client>.parquet``.

        Args:
            method: Who predicted.
            client: Whose sequence.
            time: ``[frames]``, in the cohort's time unit.
            gold: ``[frames, dimension]``, NaN where not scored.
            predicted: ``[frames, dimension]``.
        """
        columns = {"time": pa.array(time)}
        for i, dimension in enumerate(self.dimensions):
            columns[dimension] = pa.array(gold[:, i].astype(np.float32))
            columns[f"{dimension}_predicted"] = pa.array(predicted[:, i].astype(np.float32))
        stream = io.BytesIO()
        pq.write_table(pa.table(columns), stream, compression="zstd")
        file = self.path / "predictions" / file_name(method) / f"{client}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(file, stream.getvalue())


def file_name(method: str) -> str:
    """A method as it stands in names of files and folders: ``federated + DP`` as ``federated-dp``."""
    return method.replace(" + ", "-").lower()


def read_weights(folder: Path, method: str) -> list[np.ndarray]:
    """The final weights of a run's method, in Keras order.

    Args:
        folder: The run's.
        method: Whose.

    Raises:
        InputError: If they are missing or damaged.
    """
    file = folder / "weights" / f"{file_name(method)}.npz"
    try:
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return [stored[f"arr_{i}"] for i in range(len(stored.files))]
    except FileNotFoundError as error:
        raise InputError("the weights are missing; run the study to its end", file=file) from error
    except (OSError, EOFError, ValueError, TypeError, KeyError, BadZipFile) as error:
        raise InputError(
            "expected weights as the study writes them; remove the run and start it again", file=file
        ) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps a second driver out of a study's folder; the lock of a driver that was killed is gone with it.

    Raises:
        InputError: If another process works on it.
    """
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(open(folder / _LOCK, "w", encoding="utf-8"))
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError("another process is working on this study; wait for it or stop it", file=folder) from error
        except OSError as error:
            raise InputError(f"cannot lock the folder: {error.strerror}", file=folder) from error
        yield


def check_unlocked(folder: Path) -> None:
    """Refuses a folder that a driver works on, before anything long is begun; nothing is written to a new folder.

    Raises:
        InputError: If another process works on it.
    """
    if (folder / _LOCK).is_file():
        with locked(folder):
            pass


def write_json(file: Path, content: Any) -> None:
    """Writes readable JSON, all of it or nothing."""
    replace_text(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_json(file: Path) -> Any:
    """Reads JSON.

    Raises:
        InputError: If the file is missing or no JSON.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError("the file is missing; expected a finished study", file=file) from error
    except (ValueError, RecursionError) as error:
        raise InputError("not valid JSON", file=file) from error
