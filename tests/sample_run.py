"""A run on a small SYNTHETIC cohort, ready to train."""

from __future__ import annotations

from pathlib import Path

from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from tff_affect.cohort import Cohort
from tff_affect.config import StudyConfig
from tff_affect.learning.scaling import stage_for_split
from tff_affect.progress import Progress
from tff_affect.run_folder import RunFolder
from tff_affect.runs.methods import Learners, Run
from tff_affect.splits import Split


def cohort_of(place: Path, subjects: int) -> Cohort:
    """Subjects of 150 frames and three features."""
    units = ("AU01", "AU06", "AU12")
    return write_synthetic_cohort(
        place, SyntheticConfig(subjects=subjects, seconds=60, frame_rate=2.5, action_units=units)
    )


def make_run(config: StudyConfig, cohort: Cohort, split: Split, place: Path) -> Run:
    """The run of seed 0 in ``place/run``; its sequences are staged beside it."""
    (place / "staged").mkdir(parents=True, exist_ok=True)
    learners = Learners.build(stage_for_split(cohort, place / "staged", config.data, split.train), config)
    folder = RunFolder(place / "run", cohort.manifest.labels)
    return Run("run", config, 0, split, cohort, learners, folder, Progress())
