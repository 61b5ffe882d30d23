"""The folder of a study of parts: what it is of, and whether what lies there is of the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tff_affect import __version__
from tff_affect.atomic import remove_temporaries
from tff_affect.errors import InputError
from tff_affect.labelled_set import LabelledSet
from tff_affect.plain_json import plain
from tff_affect.run_folder import STUDY, read_json, write_json

PARTS = "parts"


def fingerprint(samples: np.ndarray, labels: LabelledSet, groups: Sequence[int] = ()) -> str:
    """Of samples, people, emotions and numbers of groups that belong together, whatever files are called."""
    digest = hashlib.sha256(np.ascontiguousarray(samples).tobytes())
    digest.update(repr((samples.shape, labels.subjects, labels.emotions, *groups)).encode())
    return digest.hexdigest()


def check_study(out: Path, what: str) -> None:
    """Refuses a folder that holds something else, before anything long is begun.

    Args:
        out: The folder.
        what: That the study is of, in words.

    Raises:
        InputError: If it is a file, or is neither empty nor of a study.
    """
    if out.exists() and not out.is_dir():
        raise InputError("expected a folder, found a file", file=out)
    if out.is_dir() and any(out.iterdir()) and not (out / STUDY).is_file():
        raise InputError(f"the folder is not empty and holds no study of {what}; name a new one", file=out)


def make_parts(out: Path) -> Path:
    """The folder of the parts, made where there is none.

    Raises:
        InputError: If it cannot be.
    """
    try:
        (out / PARTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror}", file=out) from error
    return out / PARTS


def start(out: Path, facts: Mapping[str, Any], told: Mapping[str, str], more: str) -> None:
    """Writes what the study is of, or checks that the one there is of the same; the folder is locked by the caller.

    Args:
        out: The folder.
        facts: What all its parts have in common, of JSON's types.
        told: Names of facts -> words for them.
        more: What can be added all the same, in words.

    Raises:
        InputError: If the study there is of something else.
    """
    stated = plain({"version": __version__, **facts})
    if (out / STUDY).is_file():
        found = read_json(out / STUDY)
        for name, words in {"version": "version of tff_affect", **told}.items():
            if not isinstance(found, dict) or found.get(name) != stated[name]:
                raise InputError(
                    f"the study here is of other {words}; {more} can be added, for anything else name a new folder",
                    file=out / STUDY,
                )  # fmt: skip
    remove_temporaries(out / PARTS)
    write_json(out / STUDY, stated)
