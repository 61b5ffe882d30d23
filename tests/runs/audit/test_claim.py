"""What a run claims, read from its folder, recounted and attacked."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from privacy.canary import SHAPES
from sample_run import cohort_of

from tff_affect.client_data import StagedCohort
from tff_affect.config import PRIVATE_FEDERATED, StudyConfig
from tff_affect.config_file import load_config
from tff_affect.errors import InputError
from tff_affect.learning.sampling import ClientSampling
from tff_affect.learning.scaling import stage_for_split
from tff_affect.privacy import noise
from tff_affect.privacy.accounting import Ledger
from tff_affect.privacy.bounds import gaussian_epsilon
from tff_affect.privacy.guarantee import Guarantee
from tff_affect.privacy.sampling import Sampling
from tff_affect.run_folder import PRIVACY, RunFolder
from tff_affect.runs.audit.claim import Claim, read_claim
from tff_affect.runs.audit.epsilon import attack_claim
from tff_affect.runs.spending import SPENT
from tff_affect.splits import Split

CLIENTS, ROUNDS, Z = 20, 12, 0.8
TRAIN = tuple(f"P{number:02}" for number in range(CLIENTS))
SPLIT = Split(TRAIN, ("D1",), ("T1",))
POISSON = "training.clients_per_round=5"
TREE = ("privacy.mechanism=tree", "privacy.sampling=passes", "privacy.adjacency=zero-out", POISSON)
FIXED_SIZE = ("privacy.sampling=fixed-size", "privacy.adjacency=replace-one", POISSON)
LOCAL = ("privacy.mechanism=local", "privacy.adjacency=replace-one")


def settings(*more: str) -> StudyConfig:
    common = ("training.weighting=uniform", f"privacy.noise_multiplier={Z}", "privacy.delta=1e-3", "methods=[]")
    return load_config(None, [*common, *more], "nowhere")


def guarantee_of(config: StudyConfig, rounds: int = ROUNDS) -> Guarantee:
    sampling = Sampling.of(config.privacy, CLIENTS, config.training.clients_per_round)
    ledger = Ledger.user(config.privacy, sampling)
    ledger.add_rounds(rounds)
    return ledger.guarantee()


def write_run(folder: Path, guarantee: Guarantee, split: Split = SPLIT, spent: int = ROUNDS) -> Path:
    """A folder as training leaves it, without training."""
    run = RunFolder(folder, ("arousal",))
    part = run.part(PRIVATE_FEDERATED)
    part.mkdir(parents=True, exist_ok=True)
    (part / SPENT).write_text("round\n" + "".join(f"{number}\n" for number in range(1, spent + 1)), encoding="utf-8")
    (folder / PRIVACY).write_text(json.dumps({PRIVATE_FEDERATED: guarantee.to_json()}), encoding="utf-8")
    split.write(folder / "split.json")
    run.write_weights(PRIVATE_FEDERATED, [np.zeros(shape, np.float32) for shape in SHAPES])
    return folder


def claim_of(folder: Path, config: StudyConfig, **changes: Any) -> Claim:
    return read_claim(write_run(folder, replace(guarantee_of(config), **changes)), config, seed=0)


def test_what_ran_is_recounted_from_the_rounds_that_were_spent(tmp_path: Path) -> None:
    claim = claim_of(tmp_path, settings())
    assert claim.shapes == tuple(SHAPES)
    assert claim.recounted == claim.guarantee
    expected = gaussian_epsilon(Z / math.sqrt(ROUNDS), 1e-3)
    assert claim.stated.epsilon == claim.stated.accounted == pytest.approx(expected)
    assert claim.stated.contradictions == ()


def test_epsilon_of_the_true_mu_and_share_is_the_claim(tmp_path: Path) -> None:
    for place, more in enumerate(((), (POISSON,), FIXED_SIZE, TREE, LOCAL)):
        claim = claim_of(tmp_path / str(place), settings(*more))
        share = 0.25 if POISSON in more else 1.0
        assert claim.epsilon_of(1 / Z, share) == pytest.approx(claim.guarantee.epsilon, rel=1e-6)
        assert claim.epsilon_of(1.3 / Z, share) > 1.1 * claim.guarantee.epsilon
        assert claim.epsilon_of(0.0, share) == claim.epsilon_of(1 / Z, 0.0) == 0
    adaptive = settings("privacy.mechanism=adaptive", "privacy.noise_multiplier=0.5")
    claim = claim_of(tmp_path / "adaptive", adaptive)
    assert claim.epsilon_of(2.0, 1.0) == pytest.approx(claim.guarantee.epsilon, rel=1e-6)


def test_reading_changes_nothing(tmp_path: Path) -> None:
    write_run(tmp_path, guarantee_of(settings()))
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    read_claim(tmp_path, settings(), seed=0)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("missing", [PRIVACY, "split.json", "federated-dp/spent.csv", "weights/federated-dp.npz"])
def test_a_file_that_is_missing_is_named(missing: str, tmp_path: Path) -> None:
    write_run(tmp_path, guarantee_of(settings()))
    (tmp_path / missing).unlink()
    with pytest.raises(InputError, match="missing") as caught:
        read_claim(tmp_path, settings(), seed=0)
    assert caught.value.file == str(tmp_path / missing)


def test_windows_are_needed_where_they_are_protected(tmp_path: Path) -> None:
    config = settings("privacy.level=window")
    with pytest.raises(InputError, match="staged windows"):
        claim_of(tmp_path, config)


def misreported(config: StudyConfig) -> dict[str, Any]:
    fewer = replace(config, training=replace(config.training, clients_per_round=2))
    return {"epsilon": guarantee_of(fewer).epsilon}


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    ("more", "altered", "reason"),
    [
        ((POISSON,), misreported, "its own records amount to"),
        ((), lambda config: {"epsilon": guarantee_of(config, ROUNDS // 2).epsilon}, "its own records amount to"),
        ((), lambda config: {"noise_multiplier": 2.0}, "noise_multiplier"),
        ((), lambda config: {"adjacency": "replace-one"}, "adjacency"),
    ],
    ids=["share", "rounds", "noise", "adjacency"],
)
def test_an_altered_claim_is_refuted(
    more: tuple[str, ...], altered: Callable[[StudyConfig], dict], reason: str, tmp_path: Path
) -> None:
    config = settings(*more)
    found = attack_claim(claim_of(tmp_path, config, **altered(config)), seed=0)
    assert found.refuted
    assert reason in found.sentence


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("more", [(), (POISSON,), FIXED_SIZE, TREE, LOCAL], ids=str)
def test_an_honest_claim_stands_and_its_bound_is_near(more: tuple[str, ...], tmp_path: Path) -> None:
    claim = claim_of(tmp_path, settings(*more))
    found = attack_claim(claim, seed=0)
    assert not found.refuted
    assert 0.6 * claim.guarantee.epsilon < found.value < claim.guarantee.epsilon
    assert found.observer == ("server" if more == LOCAL else "model")
    assert (found.details["draws"] > 0) == (more in ((POISSON,), FIXED_SIZE))
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_sampling_that_draws_a_client_too_often_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = claim_of(tmp_path, settings(POISSON))
    drawn = ClientSampling._drawn

    def faulty(sampling: ClientSampling, number: int) -> list[int]:
        return [*drawn(sampling, number), *drawn(sampling, number + 10**6)]

    monkeypatch.setattr(ClientSampling, "_drawn", faulty)
    found = attack_claim(claim, seed=0)
    assert found.refuted
    assert found.details["sampling_share"] > 0.4


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_a_client_that_is_twice_in_a_pass_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = claim_of(tmp_path, settings(*TREE))
    monkeypatch.setattr(ClientSampling, "_drawn", lambda sampling, number: range(sampling.size))
    found = attack_claim(claim, seed=0)
    assert found.refuted
    assert "4 times in a pass" in found.sentence


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_a_run_whose_noise_was_left_out_is_refuted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = claim_of(tmp_path, settings())
    monkeypatch.setattr(noise, "add_gaussian", lambda values, deviation, seed: list(values))
    found = attack_claim(claim, seed=0)
    assert found.refuted
    assert found.value > 10 * claim.guarantee.epsilon
    assert "protects less than claimed" in found.sentence


def test_where_nothing_is_promised_nothing_is_refuted(tmp_path: Path) -> None:
    found = attack_claim(claim_of(tmp_path, settings("privacy.noise_multiplier=0")), seed=0)
    assert not found.refuted
    assert "nothing is promised" in found.sentence


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> tuple[StagedCohort, Split]:
    place = tmp_path_factory.mktemp("windows")
    cohort = cohort_of(place / "cohort", 6)
    split = Split(cohort.subjects[:4], cohort.subjects[4:5], cohort.subjects[5:])
    (place / "staged").mkdir()
    return stage_for_split(cohort, place / "staged", windowed().data, split.train), split


def windowed() -> StudyConfig:
    return settings(
        "privacy.level=window", "data.window=10", "data.hop=10", "training.batch_size=4", "training.local_epochs=2",
        "training.clients_per_round=3", "privacy.delta=null",
    )  # fmt: skip


def window_claim(folder: Path, staged: StagedCohort, split: Split) -> Claim:
    config = windowed()
    windows = {client: len(staged.training_windows(client)[0]) for client in split.train}
    ledger = Ledger.window(config.privacy, windows, 4, 2)
    sampling = ClientSampling(split.train, 3, 0)
    for number in range(1, ROUNDS + 1):
        ledger.add_rounds(1, sampling.cohort(number))
    return read_claim(write_run(folder, ledger.guarantee(), split), config, 0, staged)


def test_windows_are_attacked_at_the_least_protected_client(tmp_path: Path, staged: tuple[StagedCohort, Split]) -> None:
    claim = window_claim(tmp_path, *staged)
    assert claim.stated.accounted == claim.stated.epsilon
    assert claim.windows > 4
    assert claim.epsilon_of(1 / Z, 4 / claim.windows) == pytest.approx(claim.guarantee.epsilon, rel=1e-6)
    found = attack_claim(claim, seed=0)
    assert not found.refuted
    assert 0.6 * claim.guarantee.epsilon < found.value < claim.guarantee.epsilon
    assert found.observer == "server"
    assert found == attack_claim(claim, seed=0)


def test_windows_that_join_too_often_are_found(
    tmp_path: Path, staged: tuple[StagedCohort, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tff_affect.privacy.audit import releases

    claim, right = window_claim(tmp_path, *staged), releases.poisson_batch
    monkeypatch.setattr(releases, "poisson_batch", lambda windows, rate, seed: right(windows, 2 * rate, seed))
    assert attack_claim(claim, seed=0).refuted
