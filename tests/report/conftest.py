from collections.abc import Callable
from pathlib import Path

import pytest
from sample_study import write_run, write_study_files


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
