from pathlib import Path

import audmetric
import numpy as np
import pytest
from staged_clients import FEATURES, LABELS, staged_clients

from tff_affect.config import ModelConfig, TrainingConfig
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
