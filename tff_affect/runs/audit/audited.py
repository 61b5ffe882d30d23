"""The run that is attacked: what its folder says, its cohort, and its models."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from tff_affect.client_data import StagedCohort
from tff_affect.cohort import Cohort
from tff_affect.config import METHODS, StudyConfig, TuningConfig
from tff_affect.config_file import load_config
from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import run_folders
from tff_affect.learning.runtime import local_runtime
from tff_affect.learning.sampling import derived_seed
from tff_affect.learning.scaling import stage_for_split
from tff_affect.models.registry import Weights, initial_weights
from tff_affect.run_folder import CONFIG, PRIVACY, SPLIT, STUDY, TUNING, file_name, read_json, read_weights
from tff_affect.runs.planned import DELAY
from tff_affect.runs.spending import SPENT
from tff_affect.runs.tuning import BASELINE_RATE, CLIENT_RATE, TuningRecord
from tff_affect.splits import Split
from tff_affect.staging import staging_folder


@dataclass(frozen=True)
class AuditedRun:
    """One run of a study: one seed on one split.

    Attributes:
        folder: The run's.
        name: Of the folder, as tables name it.
        config: Its study's, with the annotation delay of this run's split.
        cohort: Its cohort.
        seed: Training seed.
        split: Who trained, developed and tested.
    """

    folder: Path
    name: str
    config: StudyConfig
    cohort: Cohort
    seed: int
    split: Split

    @classmethod
    def of_study(
        cls, study: Path, cohort: Path | None = None, open_cohort: Callable[[str], Cohort] = Cohort.open
    ) -> list[AuditedRun]:
        """All runs of a study.

        Args:
            study: The folder of a study, or of one of its runs.
            cohort: Where its cohort lies now; where it lay by default.
            open_cohort: Opens the cohort; several studies may share one.

        Raises:
            InputError: If there is no finished run, or the cohort is gone or another one.
        """
        runs = run_folders(study)
        _, _, first = runs[0]
        home = next((place for place in (first, first.parent) if (place / CONFIG).is_file()), None)
        if home is None:
            raise InputError(f"expected {CONFIG} beside the run; audit a folder that 'train' wrote", file=first)
        config = load_config(home / CONFIG, cohort=cohort)
        found = open_cohort(config.data.cohort)
        _require_same(found, home / STUDY)
        return [cls._of_folder(folder, config, found, seed) for seed, _, folder in runs]

    @classmethod
    def _of_folder(cls, folder: Path, config: StudyConfig, cohort: Cohort, seed: int) -> AuditedRun:
        if (folder / DELAY).is_file():
            delay = float(read_json(folder / DELAY)["delay"])
            config = replace(config, data=replace(config.data, target_delay=delay))
        return cls(folder, folder.name, config, cohort, seed, Split.read(folder / SPLIT))

    @property
    def methods(self) -> list[str]:
        """Rows of the results table whose models were kept."""
        return [method for method in METHODS if self._weights_file(method).is_file()]

    def trained_as(self, method: str) -> StudyConfig:
        """The configuration with the learning rates that tuning chose for a method, and for centralised training."""
        record, config = TuningRecord(self.folder), self.config
        rate, baseline = record.chosen(method, CLIENT_RATE), record.chosen("centralised", BASELINE_RATE)
        if rate is not None:
            config = replace(config, training=config.training_at(rate))
        if baseline is not None:
            config = replace(config, training=config.baseline_at(baseline))
        return replace(config, tuning=TuningConfig())

    @property
    def fingerprint(self) -> dict[str, str]:
        """Hashes of the files that say what the run is, what it did and what came out of it."""
        home = self.folder if (self.folder / STUDY).is_file() else self.folder.parent
        own = [self.folder / name for name in (SPLIT, PRIVACY, TUNING, DELAY)]
        files = [home / STUDY, home / CONFIG, *own, *map(self._weights_file, self.methods)]
        # Not those of shadow runs, which lie below the audit.
        files += sorted([*self.folder.glob(f"*/{SPENT}"), *self.folder.glob(f"tuning/*/{SPENT}")])
        return {
            file.relative_to(home).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in files
            if file.is_file()
        }

    def weights(self, method: str) -> Weights:
        """The final weights of a method, in Keras order."""
        return read_weights(self.folder, method)

    def _weights_file(self, method: str) -> Path:
        return self.folder / "weights" / f"{file_name(method)}.npz"

    def first_weights(self, staged: StagedCohort) -> Weights:
        """Those that every way of training started from."""
        return initial_weights(self.config.model, staged.shape, derived_seed(self.seed, "weights") % 2**31)

    @contextmanager
    def staged(self) -> Iterator[StagedCohort]:
        """The clients' sequences as the run's training read them."""
        with staging_folder() as place:
            with local_runtime() if self.config.data.scaling == "federated" else nullcontext():
                found = stage_for_split(self.cohort, place, self.config.data, self.split.train)
            yield found


def _require_same(cohort: Cohort, file: Path) -> None:
    trained_on = read_json(file).get("cohort")
    if trained_on != cohort.content_sha256:
        raise InputError(
            "expected the cohort that the run was trained on, found other data; name its folder with --cohort",
            file=cohort.path,
        )
