"""The demonstration: the embedded SYNTHETIC cohort, every way of training, three seeds."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from experiments.train import Outcome, train
from tff_affect.config_file import load_config
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
    with resources.as_file(resources.files("experiments") / "configs" / "demo.yaml") as file:
        config = load_config(file, cohort=cohort.path)
    return train(config, folder / "study", progress=progress)
