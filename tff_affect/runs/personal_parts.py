"""Parts of a personalisation: one way for one run, carried out once and kept.

A part lies in ``parts/<run>/<way>.json`` beside a hash of all that it depends on. What was cut off, or is asked for
with further ways, carries out what is not there; a part that is damaged or of other settings is made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tff_affect.errors import InputError
from tff_affect.learning.personalization_config import PersonalizationConfig
from tff_affect.run_folder import environment, read_json, write_json
from tff_affect.runs.audit.audited import AuditedRun

PARTS = "parts"
_OF_ALL = ("share", "gap")
_OF_SEARCH = ("learning_rates", "passes")
_DEPENDS = {
    "before": ("method",),
    "shift": ("method",),
    "fine-tune": ("method", *_OF_SEARCH),
    "head": ("method", *_OF_SEARCH),
    "own-only": _OF_SEARCH,
    "fedrecon": ("reconstruction_passes", *_OF_SEARCH),
    "clustered": ("clusters",),
}


@dataclass(frozen=True)
class Part:
    """One way for one run.

    Attributes:
        file: Where it is kept.
        key: Hash of what it depends on.
        clients: Test clients that are scored.
        dimensions: Names of the label dimensions.
    """

    file: Path
    key: str
    clients: tuple[str, ...]
    dimensions: tuple[str, ...]

    @classmethod
    def of(
        cls, folder: Path, run: AuditedRun, way: str, clients: Sequence[str], personal: PersonalizationConfig
    ) -> Part:
        """The part of a run and a way, or of its own model, ``before``."""
        settings = {name: getattr(personal, name) for name in (*_OF_ALL, *_DEPENDS[way])}
        software = {name: version for name, version in environment().items() if name != "cores"}
        facts = [way, settings, run.seed, run.fingerprint, run.cohort.content_sha256, software, list(clients)]
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        # A study of one run is that run's folder, whatever somebody calls it.
        name = run.name if run.name.startswith("seed-") else "run"
        place = folder / PARTS / name / f"{way}.json"
        return cls(place, key, tuple(clients), tuple(run.cohort.manifest.labels))

    def read(self) -> dict[str, Any] | None:
        """``statistics`` ``[client, dimension, 6]`` and ``chosen``; None where it is not there, or not of the same."""
        try:
            found = read_json(self.file)
        except InputError:
            return None
        if not isinstance(found, dict) or found.get("key") != self.key:
            return None
        try:
            statistics = np.array(found["statistics"], np.float64)
            chosen = dict(found["chosen"])
        except (KeyError, TypeError, ValueError):
            return None
        wanted = len(self.clients), len(self.dimensions), 6
        return {"statistics": statistics, "chosen": chosen} if statistics.shape == wanted else None

    def write(self, statistics: np.ndarray, chosen: Mapping[str, Any]) -> None:
        """Keeps what a way gave."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.file, {"key": self.key, "chosen": dict(chosen), "statistics": statistics.tolist()})
