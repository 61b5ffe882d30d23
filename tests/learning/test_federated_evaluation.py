from pathlib import Path

import audmetric
import numpy as np
import pytest
import tensorflow_federated as tff
from staged_clients import FEATURES, LABELS, staged_clients

from tff_affect.client_data import ABSENT
from tff_affect.config import ModelConfig, TrainingConfig
from tff_affect.errors import RunError
from tff_affect.learning.baselines import Trainer
from tff_affect.learning.federated_evaluation import FederatedEvaluation
from tff_affect.metrics import merge_all
from tff_affect.models.registry import build_model, initial_weights

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("runtime")]

MODEL = ModelConfig("gru", units=4)
CLIENTS = {"P1": 4, "P2": 9, "P3": 1}


@pytest.mark.parametrize("target", ["frame", "window"])
def test_equals_audmetric_per_client_and_pooled(tmp_path: Path, target: str) -> None:
    staged = staged_clients(tmp_path, CLIENTS, missing=0.15, hop=4, extra_frames=3, target=target)
    evaluation = FederatedEvaluation(staged, MODEL)
    weights = initial_weights(MODEL, staged.shape, seed=5)
    statistics = evaluation.statistics(weights, list(CLIENTS))
    predicted = evaluation.predictions(weights, list(CLIENTS))
    gold = [staged.gold(client) for client in CLIENTS]
    if target == "window":
        assert [len(p) for p in predicted] == [1 + (10 * count + 3 - 10) // 4 for count in CLIENTS.values()]
    for d in range(len(LABELS)):
        there = [np.isfinite(g[:, d]) for g in gold]
        truths = [g[t, d].astype(np.float64) for g, t in zip(gold, there, strict=True)]
        guesses = [p[t, d].astype(np.float64) for p, t in zip(predicted, there, strict=True)]
        for truth, guess, found in zip(truths, guesses, statistics, strict=True):
            assert found.n[d] == len(truth)
            # audmetric does not take a single window.
            if len(truth) > 1:
                assert found.ccc[d] == pytest.approx(audmetric.concordance_cc(truth, guess), abs=1e-6)
                assert found.pcc[d] == pytest.approx(audmetric.pearson_cc(truth, guess), abs=1e-6)
        pooled = audmetric.concordance_cc(np.concatenate(truths), np.concatenate(guesses))
        assert merge_all(statistics).ccc[d] == pytest.approx(pooled, abs=1e-6)


def test_a_window_is_predicted_from_its_own_frames_alone(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 4}, missing=0.15, extra_frames=3, target="window")
    weights = initial_weights(MODEL, staged.shape, seed=5)
    predicted = FederatedEvaluation(staged, MODEL).predictions(weights, ["P1"])[0]
    network = build_model(MODEL, staged.shape)
    network.set_weights(weights)
    windows = staged.sequence("P1").numpy()[:40, :FEATURES].reshape(4, 1, 10, FEATURES)
    expected = np.concatenate([network(window).numpy()[:, 0] for window in windows])
    np.testing.assert_allclose(predicted, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("target", ["frame", "window"])
def test_equals_evaluation_in_this_process_in_any_order(tmp_path: Path, target: str) -> None:
    staged = staged_clients(tmp_path, CLIENTS, missing=0.1, hop=5, target=target)
    evaluation = FederatedEvaluation(staged, MODEL)
    weights = initial_weights(MODEL, staged.shape, seed=6)
    order = ["P3", "P1", "P2"]
    federated = evaluation.statistics(weights, order)
    here = Trainer(staged, MODEL, TrainingConfig(batch_size=4)).statistics(weights, order)
    for a, b in zip(federated, here, strict=True):
        np.testing.assert_allclose(a.to_array(), b.to_array(), rtol=1e-5, atol=1e-7)
    beside = evaluation.begin(weights, order)
    for a, b in zip(beside(), federated, strict=True):
        np.testing.assert_array_equal(a.to_array(), b.to_array())
    assert evaluation.statistics(weights, []) == []


class Losing(tff.framework.SyncContext):
    """A context that finds no worker for some clients: what is computed for them is computed for nobody."""

    def __init__(self, *lost: str) -> None:
        self._lost, self._context = lost, tff.framework.get_context_stack().current

    def invoke(self, comp: object, arg: object) -> object:
        weights, clients = arg
        return self._context.invoke(comp, type(arg)([(None, weights), (None, [self._found(c) for c in clients])]))

    def _found(self, client: str) -> str:
        return ABSENT if client in self._lost else client


@pytest.mark.parametrize("target", ["frame", "window"])
def test_a_client_that_no_worker_can_read_is_named_and_a_round_goes_on_without(tmp_path: Path, target: str) -> None:
    staged = staged_clients(tmp_path, CLIENTS, missing=0.1, target=target)
    evaluation, clients = FederatedEvaluation(staged, MODEL), list(CLIENTS)
    weights = initial_weights(MODEL, staged.shape, seed=6)
    expected = evaluation.statistics(weights, clients)
    with tff.framework.get_context_stack().install(Losing("P1", "P3")):
        for final in (evaluation.statistics, evaluation.predictions):
            with pytest.raises(RunError, match="no worker could read P1, P3; look at the workers' logs"):
                final(weights, clients)
        first, second, third = evaluation.begin(weights, clients)()
        assert len(evaluation.predictions(weights, ["P2"])) == 1
    np.testing.assert_array_equal(second.to_array(), expected[1].to_array())
    for lost in (first, third):
        np.testing.assert_array_equal(lost.to_array(), np.zeros((2, 6)))
    with tff.framework.get_context_stack().install(Losing(*clients)):
        assert evaluation.begin(weights, clients)() == []


def test_a_client_without_a_label_is_scored_on_no_frame(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 2, "P2": 2})
    sequence = staged.sequence("P1").numpy().copy()
    sequence[:, FEATURES:] = np.nan
    sequence.tofile(tmp_path / "P1.f32")
    first, second = FederatedEvaluation(staged, MODEL).statistics(initial_weights(MODEL, staged.shape, 6), ["P1", "P2"])
    assert (first.n.tolist(), second.n.tolist()) == ([0, 0], [20, 20])
