"""How many subjects a guarantee takes: the same epsilon on SYNTHETIC cohorts like the demo's, of growing size.

Subjects are generated one by one, written one by one and read by the client that needs them, so that memory does not
grow with their number.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from data_prep.synthetic import synthetic_config_of, write_synthetic_cohort
from experiments.demo import COHORT as DEMO_COHORT
from experiments.sweep import COHORTS
from tff_affect.cohort import Cohort
from tff_affect.errors import InputError
from tff_affect.progress import Progress


def synthetic_cohorts(folder: Path, sizes: tuple[int, ...], progress: Progress) -> tuple[Path, ...]:
    """Cohorts of so many subjects below ``folder/cohorts``; those that are there are kept.

    Raises:
        InputError: If one that is there is another cohort.
    """
    return tuple(_cohort(folder / COHORTS / str(size), size, progress) for size in sizes)


def _cohort(place: Path, size: int, progress: Progress) -> Path:
    config = replace(DEMO_COHORT, subjects=size)
    if not place.exists():
        progress.say(f"generating {size:,} SYNTHETIC subjects")
        write_synthetic_cohort(place, config)
    elif synthetic_config_of(Cohort.open(place, verify=False)) != config:
        raise InputError(
            f"expected the SYNTHETIC cohort of {size} subjects, found another; name a new folder", file=place
        )
    return place
