"""Small private runs on the worker: what they write, what they withhold, and that epsilon is that of what ran."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import dp_accounting
import numpy as np
import pandas as pd
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from sample_run import cohort_of, make_run

from tff_affect.cohort import Cohort
from tff_affect.config import PRIVATE_CENTRALISED, PRIVATE_FEDERATED, StudyConfig
from tff_affect.config_file import load_config
from tff_affect.learning.program import FederatedProgram
from tff_affect.learning.sampling import ClientSampling
from tff_affect.run_folder import RunFolder
from tff_affect.runs.methods import Run
from tff_affect.runs.private import PrivateTraining
from tff_affect.runs.spending import SPENT
from tff_affect.splits import Split

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("runtime")]

ROUNDS, Z, CLIENTS = 4, 1.5, 6
SETTINGS = [
    "data.window=25", "data.hop=25", "model.units=4", f"training.rounds={ROUNDS}", "training.checkpoint_every=2",
    "training.batch_size=4", "training.patience=0", "training.weighting=uniform", f"privacy.noise_multiplier={Z}",
    "privacy.clipping_norm=0.5", "methods=[]",
]  # fmt: skip
POISSON = "training.clients_per_round=2"
WINDOW = "privacy.level=window"
TABLES = ("rounds.csv", "per_client.csv")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return cohort_of(tmp_path_factory.mktemp("cohort") / "cohort", CLIENTS + 2)


@pytest.fixture(scope="module")
def split(cohort: Cohort) -> Split:
    return Split(cohort.subjects[:CLIENTS], cohort.subjects[CLIENTS:-1], cohort.subjects[-1:])


def settings(cohort: Cohort, *more: str) -> StudyConfig:
    return load_config(None, [*SETTINGS, *more], cohort.path)


def files_of(run: Run) -> Path:
    return run.folder.part(PRIVATE_FEDERATED)


def spent(run: Run) -> list[int]:
    return pd.read_csv(files_of(run) / SPENT)["round"].tolist()


def told(run: Run, method: str = PRIVATE_FEDERATED) -> dict[str, Any]:
    return json.loads((run.folder.path / "privacy.json").read_text())[method]


def by_hand(event: dp_event.DpEvent, count: int, delta: float) -> float:
    accountant = PLDAccountant(dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE)
    return float(accountant.compose(event, count).get_epsilon(delta))


def poisson(share: float) -> dp_event.DpEvent:
    return dp_event.PoissonSampledDpEvent(share, dp_event.GaussianDpEvent(Z))


def cut_off(run: Run, monkeypatch: pytest.MonkeyPatch, closing: int) -> None:
    """Kills a training while it closes a round: the one before it may have a checkpoint, the next one is computed."""
    close = FederatedProgram._close

    def stopping(program: FederatedProgram, state: dict, trained: Any, *rest: Any) -> dict:
        if trained.result.number == closing:
            raise KeyboardInterrupt
        return close(program, state, trained, *rest)

    with monkeypatch.context() as cut:
        cut.setattr(FederatedProgram, "_close", stopping)
        with pytest.raises(KeyboardInterrupt):
            run.rows(PRIVATE_FEDERATED)


@pytest.fixture(scope="module")
def full(cohort: Cohort, split: Split, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Finished, with all clients in each round."""
    run = make_run(settings(cohort), cohort, split, tmp_path_factory.mktemp("full"))
    run.rows(PRIVATE_FEDERATED)
    return run


def test_epsilon_of_full_participation_is_that_of_the_rounds_that_ran(full: Run) -> None:
    assert spent(full) == [1, 2, 3, 4]
    found, delta = told(full), 1 / (10 * CLIENTS)
    assert (found["rounds"], found["unit"], found["adjacency"]) == (ROUNDS, "subject", "add-remove")
    assert found["delta"] == pytest.approx(delta)
    expected = by_hand(dp_event.GaussianDpEvent(Z), len(spent(full)), delta)
    assert found["epsilon"] == pytest.approx(expected, rel=1e-3)
    assert (found["noise_multiplier"], found["clipping_norm"]) == (Z, 0.5)


def test_nothing_of_the_training_clients_is_in_the_tables(full: Run, split: Split) -> None:
    rounds, per_client = (pd.read_csv(files_of(full) / name) for name in TABLES)
    assert rounds["round"].tolist() == [1, 2, 3, 4]
    assert rounds[["clients", "train_windows", "train_loss"]].isna().all(axis=None)
    assert rounds["development_ccc_arousal_mean"].notna().all()
    assert set(per_client["client"]) == {*split.development, *split.test}
    assert set(per_client["partition"]) == {"development", "test"}
    written = "".join(file.read_text() for file in files_of(full).glob("*.csv"))
    assert not [client for client in split.train if client in written]


def test_what_epsilon_does_not_cover_is_told(full: Run) -> None:
    found = told(full)
    assert found["trust"] == "trusted server, idealised Gaussian noise"
    assert any("per-client tables" in item for item in found["outside"])
    assert not any("simulation only" in remark for remark in found["remarks"])


def test_two_runs_differ_although_their_seed_is_one(full: Run, tmp_path: Path) -> None:
    again = replace(full, folder=RunFolder(tmp_path / "run", full.folder.dimensions))
    again.rows(PRIVATE_FEDERATED)
    assert weights_apart(full, again) > 1e-3


def weights_apart(one: Run, other: Run) -> float:
    pair = [np.load(run.folder.path / "weights" / "federated-dp.npz") for run in (one, other)]
    return max(float(np.abs(pair[0][name] - pair[1][name]).max()) for name in pair[0].files)


def test_a_round_computed_twice_counts_twice(full: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = replace(full, folder=RunFolder(tmp_path / "run", full.folder.dimensions))
    cut_off(run, monkeypatch, closing=3)
    assert spent(run) == [1, 2, 3, 4]
    assert not (run.folder.path / "privacy.json").exists()
    run.rows(PRIVATE_FEDERATED)
    assert spent(run) == [1, 2, 3, 4, 3, 4]
    expected = by_hand(dp_event.GaussianDpEvent(Z), 6, 1 / (10 * CLIENTS))
    assert told(run)["epsilon"] == pytest.approx(expected, rel=1e-3)
    assert told(run)["epsilon"] > told(full)["epsilon"] * 1.1
    rounds = pd.read_csv(files_of(run) / "rounds.csv")
    assert rounds["round"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("level", ["user", "window"])
def test_reproducible_noise_differs_between_splits(level: str, cohort: Cohort, tmp_path: Path) -> None:
    config = settings(cohort, "privacy.reproducible_noise=true", f"privacy.level={level}")
    seeds = []
    for number, last in enumerate((CLIENTS, CLIENTS - 1)):
        split = Split(cohort.subjects[:last], cohort.subjects[CLIENTS : CLIENTS + 1], cohort.subjects[CLIENTS + 1 :])
        training = PrivateTraining(make_run(config, cohort, split, tmp_path / str(number))._gradient_descent)
        sampling = training.federated_way().sampling
        seeds.append(training._noise_seed if level == "user" else sampling.keys(1, sampling.cohort(1))[0])
    assert seeds[0] != seeds[1]


def test_reproducible_noise_repeats_counts_once_and_is_called_a_simulation(
    cohort: Cohort, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(cohort, "privacy.reproducible_noise=true", POISSON)
    straight = make_run(config, cohort, split, tmp_path / "straight")
    straight.rows(PRIVATE_FEDERATED)
    resumed = replace(straight, folder=RunFolder(tmp_path / "run", straight.folder.dimensions))
    cut_off(resumed, monkeypatch, closing=3)
    resumed.rows(PRIVATE_FEDERATED)
    assert spent(resumed) == [1, 2, 3, 4, 3, 4]
    assert weights_apart(straight, resumed) == 0
    for name in TABLES:
        assert (files_of(resumed) / name).read_bytes() == (files_of(straight) / name).read_bytes()
    assert told(resumed) == told(straight)
    assert told(resumed)["remarks"][0] == "simulation only: the noise is reproducible"
    share = 2 / CLIENTS
    assert told(resumed)["epsilon"] == pytest.approx(by_hand(poisson(share), 4, 1 / (10 * CLIENTS)), rel=1e-3)


def test_poisson_rounds_amplify_and_their_clients_are_written_nowhere(
    cohort: Cohort, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[str, ...]] = []
    cohort_of = ClientSampling.cohort

    def noting(sampling: ClientSampling, number: int) -> tuple[str, ...]:
        drawn.append(cohort_of(sampling, number))
        return drawn[-1]

    monkeypatch.setattr(ClientSampling, "cohort", noting)
    run = make_run(settings(cohort, POISSON), cohort, split, tmp_path)
    run.rows(PRIVATE_FEDERATED)
    delta, share = 1 / (10 * CLIENTS), 2 / CLIENTS
    assert told(run)["epsilon"] == pytest.approx(by_hand(poisson(share), len(spent(run)), delta), rel=1e-3)
    assert told(run)["epsilon"] < by_hand(dp_event.GaussianDpEvent(Z), len(spent(run)), delta)
    assert len(drawn) == ROUNDS
    sampling = PrivateTraining(run._gradient_descent).federated_way().sampling
    assert (sampling.scheme, sampling.secret, sampling.expected) == ("poisson", True, 2)
    rounds = pd.read_csv(files_of(run) / "rounds.csv")
    assert rounds["clients"].isna().all()


def windows_by_client(run: Run) -> dict[str, int]:
    return {client: len(run.learners.staged.training_windows(client)[0]) for client in run.split.train}


def test_windows_have_an_epsilon_for_each_client(cohort: Cohort, split: Split, tmp_path: Path) -> None:
    """A client counts the rounds that it was drawn for, which the server knows, and the steps that it made in each."""
    config = settings(cohort, WINDOW, "training.clients_per_round=4", "training.local_epochs=2")
    run = make_run(config, cohort, split, tmp_path)
    run.rows(PRIVATE_FEDERATED)
    found, sampling = told(run), ClientSampling(split.train, 4, 0)
    taken = {client: sum(client in sampling.cohort(number) for number in spent(run)) for client in split.train}
    assert len(set(taken.values())) > 1
    expected = {}
    for client, windows in windows_by_client(run).items():
        assert windows > 4
        steps = taken[client] * 2 * math.ceil(windows / 4)
        expected[client] = by_hand(poisson(4 / windows), steps, 1 / (10 * windows)) if steps else 0.0
    assert found["per_client"] == pytest.approx(expected, rel=2e-3)
    assert found["epsilon"] == pytest.approx(max(expected.values()), rel=1e-3)
    assert found["unit"] == "window"
    rounds = pd.read_csv(files_of(run) / "rounds.csv")
    assert rounds[["clients", "train_windows", "train_loss"]].isna().all(axis=None)
    assert set(pd.read_csv(files_of(run) / "per_client.csv")["client"]) == {*split.development, *split.test}


def test_centralised_training_counts_its_passes_over_the_pooled_windows(
    cohort: Cohort, split: Split, tmp_path: Path
) -> None:
    config = settings(cohort, WINDOW, "methods=[centralised + DP]")
    run = make_run(config, cohort, split, tmp_path)
    passes: list[int] = []
    private = PrivateTraining(run._gradient_descent)
    weights, guarantee = private.centralised(lambda: passes.append(1))
    private.write_guarantee(PRIVATE_CENTRALISED, guarantee)
    assert all(np.isfinite(w).all() for w in weights)
    assert len(passes) == guarantee.rounds == run._gradient_descent.baseline_passes
    windows = sum(windows_by_client(run).values())
    steps = len(passes) * math.ceil(windows / 4)
    found = told(run, PRIVATE_CENTRALISED)
    assert found["epsilon"] == pytest.approx(by_hand(poisson(4 / windows), steps, 1 / (10 * windows)), rel=1e-3)
    assert found["trust"].startswith("trusted trainer")


def test_a_round_that_came_too_late_counts(cohort: Cohort, split: Split, tmp_path: Path) -> None:
    """Training that ends early has begun the next round by then."""
    config = settings(cohort, "training.patience=1", "privacy.noise_multiplier=50", "training.rounds=30")
    run = make_run(config, cohort, split, tmp_path)
    run.rows(PRIVATE_FEDERATED)
    shown = pd.read_csv(files_of(run) / "rounds.csv")["round"].tolist()
    assert len(shown) < 30
    assert spent(run) == [*shown, len(shown) + 1]
    assert told(run)["rounds"] == len(shown) + 1


def test_all_candidates_of_tuning_count(cohort: Cohort, split: Split, tmp_path: Path) -> None:
    config = settings(
        cohort, "tuning.client_learning_rates=[0.01,0.001]", "privacy.settings_from=this cohort", "training.rounds=2"
    )
    run = make_run(config, cohort, split, tmp_path)
    run.rows(PRIVATE_FEDERATED)
    assert told(run)["rounds"] == 4
    expected = by_hand(dp_event.GaussianDpEvent(Z), 4, 1 / (10 * CLIENTS))
    assert told(run)["epsilon"] == pytest.approx(expected, rel=1e-3)
    assert "hyper-parameters: chosen on this cohort" in told(run)["outside"]
    tuned = [pd.read_csv(file) for file in (run.folder.path / "tuning").glob("*/rounds.csv")]
    assert len(tuned) == 2
    assert all(table[["clients", "train_windows", "train_loss"]].isna().all(axis=None) for table in tuned)


@pytest.mark.parametrize(
    ("spent", "per_round", "counted"),
    [
        # All six clients in each round: trees of eight rounds.
        ([*range(1, 12)], 0, 11),
        ([*range(1, 12), *range(9, 13)], 0, 16 + 4),
        # Two of six in a round: a pass, and its tree, are three rounds.
        ([*range(1, 6)], 2, 5),
        ([*range(1, 6), *range(5, 8)], 2, 6 + 4),
        ([1, 2, 1, 2, 3, 4], 2, 3 + 4),
    ],
)
def test_each_attempt_at_a_tree_counts_from_where_its_tree_began(
    cohort: Cohort, split: Split, tmp_path: Path, spent: list[int], per_round: int, counted: int
) -> None:
    tree = ["privacy.mechanism=tree", "privacy.sampling=passes", "privacy.adjacency=zero-out"]
    config = settings(cohort, *tree, f"training.clients_per_round={per_round}")
    run = make_run(config, cohort, split, tmp_path)
    (files_of(run)).mkdir(parents=True)
    (files_of(run) / SPENT).write_text("\n".join(["round", *map(str, spent)]) + "\n", encoding="utf-8")
    assert PrivateTraining(run._gradient_descent).federated_guarantee().rounds == counted
