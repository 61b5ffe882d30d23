"""The demonstration: the embedded SYNTHETIC cohort, every way of training, three seeds."""

from __future__ import annotations

from pathlib import Path

from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from experiments.settings import packaged_config
from experiments.train import Outcome, train
from tff_affect.errors import InputError
from tff_affect.progress import Progress

COHORT = SyntheticConfig(frame_rate=2.5)


def demo(folder: Path, progress: Progress | None = None) -> Outcome:
    """Generates the cohort into ``folder/cohort`` and runs the study into ``folder/study``.

    Raises:
        InputError: If the folder holds something already.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError("the folder is not empty; name a new one", file=folder)
    cohort = write_synthetic_cohort(folder / "cohort", COHORT)
    return train(packaged_config("demo.yaml", cohort.path), folder / "study", progress=progress)
