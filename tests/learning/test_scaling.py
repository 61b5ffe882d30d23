from pathlib import Path

import numpy as np
import pytest

from tff_affect.client_data import ABSENT, stage_cohort
from tff_affect.cohort import Cohort
from tff_affect.config import DataConfig
from tff_affect.errors import RunError
from tff_affect.learning.scaling import federated_scaling, stage_for_split

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("runtime")]


def test_federated_scaling_is_that_of_the_training_clients_alone(tmp_path: Path, small_cohort: Cohort) -> None:
    data = DataConfig(cohort="tests", window=20, hop=20, scaling="federated")
    staged = stage_for_split(small_cohort, tmp_path, data, ["P1", "P2"])
    tables = {s: small_cohort.load(s) for s in small_cohort.subjects}
    raw = {s: np.where(t.valid[:, None], t.features.astype(np.float64), np.nan) for s, t in tables.items()}
    train = np.concatenate([raw["P1"], raw["P2"]])
    mean, deviation = np.nanmean(train, axis=0), np.nanstd(train, axis=0)
    for subject, features in raw.items():
        found = staged.sequence(subject).numpy()[:, :3]
        np.testing.assert_allclose(found, (features - mean) / deviation, atol=2e-5)


def test_a_training_client_that_could_not_be_read_is_missed(tmp_path: Path, small_cohort: Cohort) -> None:
    data = DataConfig(cohort="tests", window=20, hop=20, scaling="federated")
    staged = stage_cohort(small_cohort, tmp_path, data)
    with pytest.raises(RunError, match="expected the sums of 2 clients, found those of 1"):
        federated_scaling(staged, ["P1", ABSENT])
