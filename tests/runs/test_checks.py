"""What a study with differential privacy is refused for, before anything is written or trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from staged_clients import staged_clients

from tff_affect.cohort import Cohort
from tff_affect.config import StudyConfig
from tff_affect.config_file import load_config
from tff_affect.errors import InputError
from tff_affect.privacy.guarantee import Guarantee
from tff_affect.progress import Progress
from tff_affect.runs import execution
from tff_affect.runs.checks import check_guarantees, check_model, check_window_delta
from tff_affect.runs.execution import RunExecutor
from tff_affect.runs.planned import PlannedRun
from tff_affect.runs.private import user_ledger
from tff_affect.splits import Split

COHORT = "data.cohort=somewhere"
UNIFORM = "training.weighting=uniform"
NOISE = "privacy.noise_multiplier=0.5"
LOCAL = "privacy.mechanism=local privacy.adjacency=replace-one"
TREE = "privacy.mechanism=tree privacy.sampling=passes privacy.adjacency=zero-out"
WINDOWS = "privacy.level=window"
YOGI = "training.baseline_optimizer.name=yogi training.baseline_optimizer.learning_rate=0.01"


def settings(*more: str) -> StudyConfig:
    return load_config(None, [COHORT, UNIFORM, NOISE, *(one for text in more for one in text.split())])


def split_of(clients: int) -> Split:
    return Split(tuple(f"P{i}" for i in range(clients)), ("D",), ("T",))


def check(config: StudyConfig, *clients: int) -> None:
    check_model(config)
    check_guarantees(config, [split_of(count) for count in clients or (20,)])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("model.name=ridge", "ridge is solved from sums that have no noise"),
        (f"{WINDOWS} model.name=ridge", "ridge is solved from sums that have no noise"),
        (f"{WINDOWS} model.name=cnn_bilstm data.target=window training.loss=mse", "found 'cnn_bilstm'"),
        (f"{WINDOWS} {YOGI}", "found 'yogi'"),
        ("privacy.delta=0.05", "expected below 1/20"),
        ("privacy.delta=0.06", "expected below 1/20"),
        # A tenth of 20 clients, and of 10 that are expected.
        ("privacy.mechanism=adaptive privacy.noise_multiplier=2", "below 2, a tenth of them"),
        ("privacy.mechanism=adaptive privacy.noise_multiplier=1 training.clients_per_round=10", "below 1"),
        (f"{LOCAL} training.clients_per_round=5", "set privacy.sampling=fixed-size"),
        ("privacy.mechanism=distributed training.clients_per_round=5", "set privacy.sampling=fixed-size"),
        (f"{TREE} training.clients_per_round=5 privacy.restart_every=3", "divisor of the 4 rounds of a pass"),
        (f"{TREE} tuning.client_learning_rates=[0.01] privacy.settings_from='this_cohort'", "one training"),
        ("privacy.mechanism=adaptive privacy.noise_multiplier=0 privacy.clipping_norm=.inf", "finite norm, found inf"),
        ("privacy.mechanism=distributed privacy.noise_multiplier=0 privacy.clipping_norm=.inf", "finite norm"),
    ],
)
def test_what_cannot_be_accounted_for_is_refused(overrides: str, message: str) -> None:
    parts = [part.replace("this_cohort", "this cohort") for part in overrides.split()]
    config = load_config(None, [COHORT, UNIFORM, NOISE, *parts])
    with pytest.raises(InputError) as caught:
        check(config)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        "",
        "privacy.delta=0.049",
        "privacy.delta=0.06 privacy.force=true",
        "privacy.mechanism=adaptive privacy.noise_multiplier=1.9",
        LOCAL,
        f"{LOCAL} training.clients_per_round=5 privacy.sampling=fixed-size",
        "privacy.mechanism=distributed",
        f"{TREE} training.clients_per_round=5 privacy.restart_every=2",
        f"{TREE} privacy.restart_every=3",
        "training.clients_per_round=5",
        f"{WINDOWS} model.name=gru",
        "privacy.noise_multiplier=0 privacy.clipping_norm=.inf",
    ],
)
def test_what_can_be_accounted_for_is_accepted(overrides: str) -> None:
    check(settings(overrides))


def test_any_split_can_be_the_one_that_is_refused() -> None:
    config = settings("privacy.delta=0.05")
    check(config, 10, 19)
    with pytest.raises(InputError, match="below 1/20"):
        check(config, 19, 20)


def test_nothing_is_refused_without_privacy() -> None:
    config = load_config(None, [COHORT, "privacy.delta=0.5", "model.name=ridge"])
    check(config)


@pytest.mark.parametrize(("delta", "expected"), [(0.06, "1/20 or more"), (0.049, "delta above 1/(1.1 N)")])
def test_an_unusual_delta_stands_in_the_remarks(delta: float, expected: str) -> None:
    ledger = user_ledger(settings(f"privacy.delta={delta} privacy.force=true"), 20)
    ledger.add_rounds(3)
    found: Guarantee = ledger.guarantee()
    assert found.delta == delta
    assert [remark for remark in found.remarks if expected in remark]


def test_windows_of_one_client_and_of_all_bound_delta(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P0": 4, "P1": 10})
    federated = settings(WINDOWS, "methods=[]", "privacy.delta=0.09")
    check_window_delta(federated, staged, split_of(2))
    # 14 windows are pooled.
    with pytest.raises(InputError, match="below 1/14"):
        check_window_delta(settings(WINDOWS, "privacy.delta=0.09"), staged, split_of(2))
    with pytest.raises(InputError, match="below 1/10"):
        check_window_delta(settings(WINDOWS, "methods=[]", "privacy.delta=0.1"), staged, split_of(2))
    check_window_delta(settings(WINDOWS, "methods=[]", "privacy.delta=0.1", "privacy.force=true"), staged, split_of(2))


def test_a_delta_too_large_for_the_windows_is_refused_before_anything_is_built(
    tmp_path: Path, small_cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "Learners", None)
    staged = staged_clients(tmp_path, {"P0": 4, "P1": 10})
    executor = RunExecutor(settings(WINDOWS, "privacy.delta=0.2"), small_cohort, tmp_path / "study", Progress())
    with pytest.raises(InputError, match="below 1/10"):
        executor.finish(PlannedRun("", 0, 0, split_of(2)), staged, None)
