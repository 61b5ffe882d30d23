from pathlib import Path

import audmetric
import numpy as np
import pytest
from staged_clients import LABELS, SHAPE, staged_clients

from tff_affect.config import ModelConfig, TrainingConfig
from tff_affect.learning.baselines import Trainer
from tff_affect.learning.federated_evaluation import FederatedEvaluation
from tff_affect.metrics import merge_all
from tff_affect.models.registry import initial_weights

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("runtime")]

MODEL = ModelConfig("gru", units=4)
CLIENTS = {"P1": 4, "P2": 9, "P3": 1}


def test_equals_audmetric_per_client_and_pooled(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, CLIENTS, missing=0.15, hop=4, extra_frames=3)
    evaluation = FederatedEvaluation(staged, MODEL)
    weights = initial_weights(MODEL, SHAPE, seed=5)
    statistics = evaluation.statistics(weights, list(CLIENTS))
    predicted = evaluation.predictions(weights, list(CLIENTS))
    gold = [staged.gold(client) for client in CLIENTS]
    for d in range(len(LABELS)):
        there = [np.isfinite(g[:, d]) for g in gold]
        truths = [g[t, d].astype(np.float64) for g, t in zip(gold, there, strict=True)]
        guesses = [p[t, d].astype(np.float64) for p, t in zip(predicted, there, strict=True)]
        for truth, guess, found in zip(truths, guesses, statistics, strict=True):
            assert found.n[d] == len(truth)
            assert found.ccc[d] == pytest.approx(audmetric.concordance_cc(truth, guess), abs=1e-6)
            assert found.pcc[d] == pytest.approx(audmetric.pearson_cc(truth, guess), abs=1e-6)
        pooled = audmetric.concordance_cc(np.concatenate(truths), np.concatenate(guesses))
        assert merge_all(statistics).ccc[d] == pytest.approx(pooled, abs=1e-6)


def test_equals_evaluation_in_this_process_in_any_order(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, CLIENTS, missing=0.1, hop=5)
    evaluation = FederatedEvaluation(staged, MODEL)
    weights = initial_weights(MODEL, SHAPE, seed=6)
    order = ["P3", "P1", "P2"]
    federated = evaluation.statistics(weights, order)
    here = Trainer(staged, MODEL, TrainingConfig(batch_size=4)).statistics(weights, order)
    for a, b in zip(federated, here, strict=True):
        np.testing.assert_allclose(a.to_array(), b.to_array(), rtol=1e-5, atol=1e-7)
    assert evaluation.statistics(weights, []) == []
