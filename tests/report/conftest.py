from collections.abc import Callable
from pathlib import Path

import pytest
from sample_study import add_private, guarantee, write_run, write_study_files

from tff_affect.privacy.guarantee import Guarantee


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Path]:
    """Writes a study of several seeds below ``tmp_path`` and returns its folder."""

    def make(seeds: int = 1, ceilings: bool = True) -> Path:
        study = tmp_path / "study"
        for seed in range(seeds):
            write_run(study / f"seed-{seed}", seed, ceilings)
        write_study_files(study)
        return study

    return make


@pytest.fixture
def make_private_study(make_study: Callable[..., Path]) -> Callable[..., Path]:
    """Writes a study with "federated + DP", of as many seeds as there are guarantees."""

    def make(*stated: Guarantee, alone: bool = False, ceilings: bool = True) -> Path:
        guarantees = stated or (guarantee(8.4359),)
        study = make_study(len(guarantees), ceilings)
        for seed, found in enumerate(guarantees):
            add_private(study / f"seed-{seed}", seed, found, alone)
        return study

    return make
