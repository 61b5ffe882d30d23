"""Shadow runs: who trains in them, where they lie, and that a model fitted to noise gives its subjects away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_run import cohort_of

from tff_affect.client_data import WindowShape
from tff_affect.cohort import Cohort, write_cohort
from tff_affect.config import PRIVATE_CENTRALISED, PRIVATE_FEDERATED, StudyConfig
from tff_affect.config_file import load_config
from tff_affect.errors import InputError
from tff_affect.learning.baselines import Budget, Trainer
from tff_affect.learning.runtime import local_runtime
from tff_affect.learning.scaling import stage_for_split
from tff_affect.models.registry import initial_weights
from tff_affect.privacy.audit.membership import Targets, infer_membership
from tff_affect.run_folder import RunFolder, read_weights
from tff_affect.runs.audit.shadows import (
    ShadowPlan,
    SignalReader,
    SubjectSignals,
    plan_shadows,
    shadow_config,
    shadow_signals,
    shadow_splits,
    train_shadows,
)
from tff_affect.splits import Split

EPOCHS = 100
SETTINGS = [
    "data.window=25", "data.hop=25", "model.units=16", "training.rounds=1", f"training.local_epochs={EPOCHS}",
    "training.batch_size=6", "training.patience=0", "training.loss=mse",
    "training.client_optimizer.learning_rate=0.02", "methods=[centralised,federated]",
]  # fmt: skip
PRIVATE = ["privacy.noise_multiplier=2.0", "training.weighting=uniform", "privacy.reproducible_noise=true"]


def config_of(*settings: str) -> StudyConfig:
    return load_config(None, ["data.cohort=nowhere", *SETTINGS, *settings])


def split_of(subjects: tuple[str, ...]) -> Split:
    """Two subjects develop; of the others two thirds train."""
    rest = subjects[2:]
    return Split(rest[: 2 * len(rest) // 3], subjects[:2], rest[2 * len(rest) // 3 :])


def with_noise_for_labels(cohort: Cohort, place: Path) -> Cohort:
    """The same SYNTHETIC features; labels that have nothing to do with them, smooth over half a window."""

    def noise(number: int, shape: tuple[int, ...]) -> np.ndarray:
        steps = np.random.default_rng(number).uniform(-0.8, 0.8, (shape[0] // 12 + 1, shape[1]))
        return np.repeat(steps, 12, axis=0)[: shape[0]].astype(np.float32)

    tables = (
        (cohort.entry(subject), replace(cohort.load(subject), labels=noise(n, cohort.load(subject).labels.shape)))
        for n, subject in enumerate(cohort.subjects)
    )
    return write_cohort(place, cohort.manifest, tables)


class Audit(NamedTuple):
    """A trained plan, and what its models make of subjects."""

    cohort: Cohort
    split: Split
    plan: ShadowPlan
    signals: dict[str, SubjectSignals]


@pytest.fixture(scope="module")
def noise_cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    place = tmp_path_factory.mktemp("shadow-cohorts")
    return with_noise_for_labels(cohort_of(place / "SYNTHETIC", 14), place / "noise")


@pytest.fixture(scope="module")
def audit(noise_cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder, split = tmp_path_factory.mktemp("shadows"), split_of(noise_cohort.subjects)
    plan = plan_shadows(folder, config_of(), noise_cohort, split, 8, 0)
    train_shadows(plan, noise_cohort)
    return Audit(noise_cohort, split, plan, shadow_signals(plan, noise_cohort))


@given(st.integers(2, 25), st.integers(1, 5), st.integers(0, 1000))
def test_each_subject_of_the_pool_trains_in_one_run_of_each_pair(pool: int, pairs: int, seed: int) -> None:
    subjects = tuple(f"P{i}" for i in range(pool + 2))
    split = Split(subjects[3:], subjects[1:2] + subjects[2:3], subjects[:1])
    found = shadow_splits(subjects, split, 2 * pairs, seed)
    expected = [s for s in subjects if s not in split.development]
    for one, other in zip(found[::2], found[1::2], strict=True):
        assert (one.train, one.test) == (other.test, other.train)
        assert sorted([*one.train, *one.test]) == sorted(expected)
        assert abs(len(one.train) - len(one.test)) <= 1
        assert one.development == other.development == split.development
        assert one.train == tuple(s for s in subjects if s in one.train)
    assert shadow_splits(subjects, split, 2 * pairs + 4, seed)[: 2 * pairs] == found


def test_halves_differ_between_pairs_and_seeds() -> None:
    subjects = tuple(f"P{i}" for i in range(20))
    halves = {s.train for seed in range(3) for s in shadow_splits(subjects, split_of(subjects), 16, seed)}
    assert len(halves) == 48


def test_members_are_those_that_train(noise_cohort: Cohort, tmp_path: Path) -> None:
    split = split_of(noise_cohort.subjects)
    plan = plan_shadows(tmp_path, config_of(), noise_cohort, split, 6, 0)
    assert plan.subjects == noise_cohort.subjects[2:]
    for row, one in zip(plan.members, plan.splits, strict=True):
        assert tuple(np.array(plan.subjects)[row]) == one.train
    assert (plan.members.sum(axis=0) == 3).all()
    assert not list(tmp_path.iterdir())


def test_the_folder_follows_from_what_the_runs_depend_on(noise_cohort: Cohort, tmp_path: Path) -> None:
    split = split_of(noise_cohort.subjects)

    def folder(settings: tuple[str, ...] = (), split: Split = split, shadows: int = 6, seed: int = 0) -> Path:
        return plan_shadows(tmp_path, config_of(*settings), noise_cohort, split, shadows, seed).folder

    moved = Split(split.train, split.development[:1], (*split.test, split.development[1]))
    exchanged = Split(split.test, split.development, split.train)
    different = [
        folder(), folder(seed=1), folder(split=moved), folder(("training.rounds=2",)), folder(("data.target_delay=1",)),
        folder(("methods=[federated]",)),
    ]  # fmt: skip
    assert len(set(different)) == len(different)
    same = [
        folder(shadows=10),
        folder(split=exchanged),
        folder(("split.scheme=loso", "seeds=[3,4]", "postprocess=[shift]")),
    ]
    assert set(same) == {folder()}


def test_only_what_is_attacked_is_trained() -> None:
    everything = config_of(
        "methods=[mean predictor,local-only,centralised,federated]", "tuning.client_learning_rates=[0.1]"
    )
    config = shadow_config(everything, 7)
    assert config.rows == ["centralised", "federated"]
    assert (config.seeds, config.tuning.client_learning_rates, config.postprocess) == ([7], [], [])
    private = config_of(*PRIVATE)
    assert shadow_config(private, 0).rows == ["centralised", "federated", PRIVATE_FEDERATED]
    assert shadow_config(private, 0, ["federated"]).rows == ["federated"]
    assert shadow_config(private, 0, [PRIVATE_FEDERATED]).rows == [PRIVATE_FEDERATED]
    window = config_of(*PRIVATE, "privacy.level=window", "training.baseline_optimizer.name=sgd",
                       "training.baseline_optimizer.learning_rate=0.1")  # fmt: skip
    assert PRIVATE_CENTRALISED in shadow_config(window, 0).rows


def test_noise_can_be_repeated_where_clients_do_not_draw_their_own() -> None:
    config = config_of(*PRIVATE[:2])
    assert not config.privacy.reproducible_noise
    assert shadow_config(config, 0).privacy == replace(config.privacy, reproducible_noise=True)
    own = [*PRIVATE[:2], "privacy.mechanism=local", "privacy.adjacency=replace-one"]
    assert not shadow_config(config_of(*own), 0).privacy.reproducible_noise


def test_what_cannot_be_planned_is_refused(noise_cohort: Cohort, tmp_path: Path) -> None:
    split = split_of(noise_cohort.subjects)
    for shadows in (4, 7):
        with pytest.raises(InputError, match=f"even number of at least 6, found {shadows}"):
            plan_shadows(tmp_path, config_of(), noise_cohort, split, shadows, 0)
    with pytest.raises(InputError, match="expected methods of centralised, federated, found 'local-only'"):
        plan_shadows(tmp_path, config_of(), noise_cohort, split, 6, 0, ["local-only"])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["centralised", "federated"])
def test_a_model_fitted_to_noise_gives_its_subjects_away(audit: Audit, method: str) -> None:
    result = infer_membership(audit.signals[method].values, audit.plan.members)
    assert result.strongest.auc >= 0.9
    assert result.p <= 0.01
    assert result.interval is not None
    assert result.interval[0] > 0.6


@pytest.mark.slow
def test_models_that_saw_nobody_tell_nothing(audit: Audit, tmp_path: Path) -> None:
    """Untrained, each from a seed of its own, and judged by the same memberships."""
    staged = stage_for_split(audit.cohort, tmp_path, audit.plan.config.data, audit.split.train)
    reader = SignalReader(staged, audit.plan.config)
    models = [initial_weights(audit.plan.config.model, staged.shape, seed) for seed in range(8)]
    signals = np.stack([reader.signals(weights, audit.plan.subjects) for weights in models])
    result = infer_membership(signals, audit.plan.members)
    assert result.p > 0.05
    assert result.interval is not None
    assert result.interval[0] < 0.5 < result.interval[1]


@pytest.mark.slow
def test_another_model_is_attacked_with_the_shadows(audit: Audit, tmp_path: Path) -> None:
    config, subjects = audit.plan.config, audit.plan.subjects
    staged = stage_for_split(audit.cohort, tmp_path, config.data, audit.split.train)
    trainer = Trainer(staged, config.model, config.training)
    start = initial_weights(config.model, staged.shape, 5)
    weights = trainer.fit(start, audit.split.train, 5, Budget(EPOCHS, EPOCHS, 0), lambda _: 0.0)
    own = SignalReader(staged, config).signals(weights, subjects)[np.newaxis]
    truth = np.isin(subjects, audit.split.train)[np.newaxis]
    result = infer_membership(audit.signals["centralised"].values, audit.plan.members, Targets(own, truth))
    assert result.strongest.auc >= 0.9
    assert result.p < 0.05


@pytest.mark.slow
def test_signals_are_those_of_predictions_on_the_training_windows(audit: Audit, tmp_path: Path) -> None:
    config = audit.plan.config
    staged = stage_for_split(audit.cohort, tmp_path, config.data, audit.split.train)
    weights = read_weights(audit.plan.folder / audit.plan.runs[3].name, "centralised")
    found = audit.signals["centralised"]
    assert found.names == (
        "squared error",
        "concordance loss",
        "concordance loss of arousal",
        "concordance loss of valence",
    )
    assert found.values.shape == (8, 12, 4)
    predictions = Trainer(staged, config.model, config.training).predictions(weights, audit.plan.subjects)
    for subject, predicted, signals in zip(audit.plan.subjects, predictions, found.values[3], strict=True):
        gold = staged.gold(subject).astype(np.float64)
        there = np.isfinite(gold).all(axis=1)
        x, y = gold[there], predicted[there].astype(np.float64)
        ccc = 2 * ((x - x.mean(0)) * (y - y.mean(0))).mean(0) / (x.var(0) + y.var(0) + (x.mean(0) - y.mean(0)) ** 2)
        expected = [np.log(((x - y) ** 2).mean()), -np.arctanh(ccc.mean()), *-np.arctanh(ccc)]
        np.testing.assert_allclose(signals, expected, rtol=2e-3, atol=2e-4)


@pytest.mark.slow
def test_runs_that_are_there_serve_a_plan_of_fewer(audit: Audit) -> None:
    plan = plan_shadows(audit.plan.folder.parent, config_of(), audit.cohort, audit.split, 6, 0)
    before = {file: file.stat().st_mtime_ns for file in plan.folder.rglob("*") if file.is_file()}
    folders = train_shadows(plan, audit.cohort)
    assert folders == [plan.folder / run.name for run in audit.plan.runs[:6]]
    after = {file: file.stat().st_mtime_ns for file in plan.folder.rglob("*") if file.is_file()}
    changed = {file.name for file in after if before.get(file) != after[file]}
    assert changed <= {".lock"}
    np.testing.assert_array_equal(plan.members, audit.plan.members[:6])


@pytest.mark.slow
def test_signals_are_the_same_again(audit: Audit) -> None:
    again = shadow_signals(audit.plan, audit.cohort)
    for method, found in audit.signals.items():
        np.testing.assert_array_equal(again[method].values, found.values)


def test_the_training_loss_comes_first(noise_cohort: Cohort, tmp_path: Path) -> None:
    config = config_of("training.loss=ccc")
    staged = stage_for_split(noise_cohort, tmp_path, config.data, noise_cohort.subjects)
    assert SignalReader(staged, config).names[:2] == ("concordance loss", "squared error")
    weights = initial_weights(config.model, staged.shape, 0)
    one, other = (SignalReader(staged, c).signals(weights, noise_cohort.subjects[:2]) for c in (config, config_of()))
    np.testing.assert_array_equal(one[:, [1, 0, 2, 3]], other)


@pytest.mark.slow
def test_features_are_scaled_as_each_model_was_trained(noise_cohort: Cohort, tmp_path: Path) -> None:
    config = config_of("data.scaling=federated", "training.local_epochs=1", "methods=[federated]")
    split = split_of(noise_cohort.subjects)
    plan = plan_shadows(tmp_path / "shadows", config, noise_cohort, split, 6, 0)
    shape = WindowShape(25, 3, 2)
    for seed, run in enumerate(plan.runs):
        made = RunFolder(plan.folder / run.name, noise_cohort.manifest.labels)
        made.write_weights("federated", initial_weights(config.model, shape, seed))
    signals = shadow_signals(plan, noise_cohort)["federated"]
    (tmp_path / "staged").mkdir()
    with local_runtime():
        staged = stage_for_split(noise_cohort, tmp_path / "staged", config.data, plan.splits[5].train)
    weights = read_weights(plan.folder / plan.runs[5].name, "federated")
    expected = SignalReader(staged, config).signals(weights, plan.subjects)
    np.testing.assert_allclose(signals.values[5], expected, rtol=1e-5)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="weights are missing"):
        read_weights(tmp_path, PRIVATE_FEDERATED)
    (tmp_path / "weights").mkdir()
    file = tmp_path / "weights" / "federated-dp.npz"
    for content in (b"", b"PK\x03\x04 cut", b"text"):
        file.write_bytes(content)
        with pytest.raises(InputError, match="expected weights as the study writes them"):
            read_weights(tmp_path, PRIVATE_FEDERATED)
    np.savez(file, np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="expected weights"):
        read_weights(tmp_path, PRIVATE_FEDERATED)
