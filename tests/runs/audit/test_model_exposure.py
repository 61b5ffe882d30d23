"""What models and rounds show: the updates are those of the run, and parts share no frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_run import cohort_of

from tff_affect.client_data import StagedCohort, training_key
from tff_affect.cohort import Cohort
from tff_affect.config import PRIVATE_FEDERATED, StudyConfig
from tff_affect.config_file import load_config
from tff_affect.learning.algorithms import bare_client_update
from tff_affect.learning.scaling import stage_for_split
from tff_affect.models.registry import initial_weights
from tff_affect.runs.audit.client_updates import ClientUpdates, UpdateSettings
from tff_affect.runs.audit.exposure import PERSON, drawn, sessions_of
from tff_affect.runs.audit.model_exposure import first_and_last

SETTINGS = ["data.window=25", "data.hop=25", "model.units=4", "training.local_epochs=2", "training.batch_size=2"]
PRIVATE = ["privacy.noise_multiplier=0.5", "privacy.clipping_norm=0.01", "training.weighting=uniform"]
LOCAL = [*PRIVATE, "privacy.mechanism=local", "privacy.adjacency=replace-one"]
WINDOWS = [*PRIVATE, "privacy.level=window"]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return cohort_of(tmp_path_factory.mktemp("cohort") / "cohort", 4)


@pytest.fixture(scope="module")
def staged(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> StagedCohort:
    config = settings(cohort)
    return stage_for_split(cohort, tmp_path_factory.mktemp("staged"), config.data, cohort.subjects)


def settings(cohort: Cohort, *more: str) -> StudyConfig:
    return load_config(None, [*SETTINGS, *more], cohort.path)


def flat(update: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(part) for part in update])


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_an_update_is_what_the_client_would_send(cohort: Cohort, staged: StagedCohort) -> None:
    config, client = settings(cohort), cohort.subjects[1]
    start = initial_weights(config.model, staged.shape, 3)
    computation = bare_client_update(staged, config.model, config.training)
    sent = computation([start, []], training_key(client, 11))
    found = ClientUpdates(staged, UpdateSettings(config, "federated")).update(
        start, staged.training_windows(client), 11
    )
    np.testing.assert_allclose(flat(found), flat(list(sent)), atol=1e-6)
    assert np.abs(flat(found)).max() > 1e-3


@pytest.mark.parametrize(("more", "level"), [(PRIVATE, ""), (LOCAL, "user"), (WINDOWS, "window")])
def test_local_protection_is_in_what_the_server_gets(
    more: list[str], level: str, cohort: Cohort, staged: StagedCohort
) -> None:
    config = settings(cohort, *more)
    start, windows = initial_weights(config.model, staged.shape, 3), staged.training_windows(cohort.subjects[0])
    plain = ClientUpdates(staged, UpdateSettings(config, "federated"))
    made = UpdateSettings(config, PRIVATE_FEDERATED)
    private = ClientUpdates(staged, made)
    assert (made.private_level, made.are_seen) == (level, True)
    one, again, other = (flat(private.update(start, windows, seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, again)
    if not level:
        np.testing.assert_array_equal(one, flat(plain.update(start, windows, 5)))
        return
    assert np.abs(one - other).max() > 1e-3
    if level == "user":
        # A record of norm C and noise of z C in each number.
        assert np.std(one) == pytest.approx(0.005, rel=0.2)


def test_nobody_sees_updates_under_a_secure_sum(cohort: Cohort) -> None:
    config = settings(cohort, *PRIVATE, "privacy.mechanism=distributed")
    assert not UpdateSettings(config, PRIVATE_FEDERATED).are_seen
    assert UpdateSettings(config, "federated").are_seen


@given(st.integers(0, 60), st.integers(1, 20), st.data())
def test_first_and_last_windows_share_no_frame(windows: int, window: int, data: st.DataObject) -> None:
    hop = data.draw(st.integers(1, window))
    first, last = first_and_last(windows, window, hop)
    assert 0 <= first <= last <= windows
    if first and last < windows:
        assert (first - 1) * hop + window <= last * hop
    if hop == window and windows >= 10:
        assert first == 6 * windows // 10
        assert windows - last == 3 * windows // 10


def test_sessions_of_a_person_belong_together(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three, four = cohort.subjects
    known = {one: "A", three: "A", four: "B"}
    entry = cohort.entry
    monkeypatch.setattr(
        cohort,
        "entry",
        lambda subject: replace(entry(subject), groups={PERSON: known[subject]} if subject in known else {}),
    )
    assert sessions_of(cohort, cohort.subjects) == {"A": [one, three], two: [two], "B": [four]}
    assert sessions_of(cohort, [three]) == {"A": [three]}
    chosen = drawn(cohort, cohort.subjects, 2, 0)
    assert len(sessions_of(cohort, chosen)) == 2
    assert (one in chosen) == (three in chosen)
    assert drawn(cohort, cohort.subjects, 3, 0) == list(cohort.subjects)
