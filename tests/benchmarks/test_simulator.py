"""Both engines on a tiny task against numpy in float64, and the sweeps' tables. Nothing is timed."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy_lstm
import pandas as pd
import pytest

from benchmarks import simulator, simulator_sweeps
from benchmarks.simulator_engines import Engine, our_engine, stock_inputs, stock_process, train
from benchmarks.simulator_sweeps import Sweep, cases, default_size, judge_linearity, with_ratios
from benchmarks.simulator_work import Task, Work, shared_task, synthetic_task
from tff_affect.errors import InputError
from tff_affect.learning.runtime import local_runtime

TINY = Work(units=5, window=10, features=3, clients=4, windows=4, batch=2, sample=2, rate=0.1)
ROUNDS = 2


def expected_rounds(task: Task) -> list[list[np.ndarray]]:
    """Federated averaging by hand: clients have equally many windows, so their mean is plain."""
    work, weights, found = task.work, task.start(), []
    for clients in task.schedule:
        updated = []
        for client in clients:
            windows = task.sequence(client).astype(np.float64).reshape(work.windows, work.window, -1)
            local = weights
            for first in range(0, work.windows, work.batch):
                batch = windows[first : first + work.batch]
                local = numpy_lstm.sgd(local, batch[..., : work.features], batch[..., work.features :], work.rate, 1)
            updated.append(local)
        weights = [np.mean(tensors, axis=0) for tensors in zip(*updated, strict=True)]
        found.append(weights)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ours", "stock"])
def test_an_engine_agrees_with_numpy_after_every_round(name: str) -> None:
    task = synthetic_task(TINY, ROUNDS)
    assert task.schedule[0] != task.schedule[1]
    rounds: list[list[np.ndarray]] = []
    if name == "ours":
        with our_engine(task) as engine:
            trained = train(engine, task, lambda _, weights: rounds.append(weights))
    else:
        with local_runtime():
            stock = Engine(stock_process(TINY), stock_inputs(task))
            trained = train(stock, task, lambda _, weights: rounds.append(weights))
    expected, start = expected_rounds(task), task.start()
    for found, right in zip(rounds, expected, strict=True):
        assert simulator.difference(found, right) < 1e-6
        assert simulator.difference(right, start) > 1e-3
    assert simulator.difference(trained.weights, rounds[-1]) == 0
    assert len(trained.seconds) == ROUNDS
    assert 0 < trained.loss < 2


def test_a_wrong_weight_shape_or_nan_is_never_close() -> None:
    assert simulator.difference([np.zeros(2)], [np.array([0.0, 0.3])]) == pytest.approx(0.3)
    assert simulator.difference([np.zeros(2)], [np.zeros(3)]) == np.inf
    assert simulator.difference([np.full(2, np.nan)], [np.zeros(2)]) == np.inf


@pytest.fixture
def common() -> ModuleType:
    """A stand-in for the peers' common.py with one client of two windows of three frames."""
    module = ModuleType("common")
    module.__dict__.update(
        F=2, OUT=1, WIN=3, UNITS=4, LR=0.05, WNAMES=("W", "b"),
        TASKS={"small": {"clients": 1, "windows": 2, "batch": 1, "sample": 1, "rounds": 6, "steps": 2}},
        ensure_data=lambda: None,
        load=lambda name, mmap: (np.arange(12.0).reshape(1, 2, 3, 2), -np.arange(6.0).reshape(1, 2, 3, 1)),
        init_weights=lambda: {"b": np.ones(1), "W": np.zeros(2)},
        schedule=lambda name, rounds: [[0]] * rounds,
    )  # fmt: skip
    return module


def test_a_shared_task_is_that_of_the_peers(common: ModuleType) -> None:
    task = shared_task(common, "small")
    assert task.work == Work("lstm", 4, 3, 2, 1, clients=1, windows=2, batch=1, sample=1, rate=0.05)
    np.testing.assert_array_equal(task.sequence(0)[:, :2], np.arange(12.0).reshape(6, 2))
    np.testing.assert_array_equal(task.sequence(0)[:, 2], -np.arange(6.0))
    np.testing.assert_array_equal(task.start()[1], [1.0])
    assert len(task.schedule) == 6
    assert len(shared_task(common, "small", 2).schedule) == 2
    with pytest.raises(InputError, match="one of small"):
        shared_task(common, "large")


def test_the_reference_is_run_once(common: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "reference.py").write_text(
        "import os, sys, numpy as np\n"
        "os.makedirs('ref/small')\n"
        "for r in range(int(sys.argv[4])):\n"
        "    np.savez(f'ref/small/round_{r + 1:03d}.npz', W=np.full(2, r), b=np.ones(1))\n"
    )
    for _ in range(2):
        rounds = simulator.reference(common, tmp_path, "small", 2, sys.executable)
        assert [weights[0].tolist() for weights in rounds] == [[0, 0], [1, 1]]
    (tmp_path / "reference.py").unlink()
    with pytest.raises(InputError, match="float64 reference"):
        simulator.reference(common, tmp_path, "small", 3, sys.executable)


def test_cases_of_sweeps() -> None:
    units = cases(Sweep("units", (16, 32), ("lstm", "gru")))
    assert [(c.work.layer, c.work.units) for c in units] == [("lstm", 16), ("lstm", 32), ("gru", 16), ("gru", 32)]
    clients = cases(Sweep("clients", (27, 10000), ("lstm",), default_size("clients")))
    assert [(c.work.clients, c.work.sample, c.work.windows) for c in clients] == [(27, 27, 10), (10000, 50, 10)]
    frames = cases(Sweep("frames", (75, 150), ("lstm",)))
    assert frames[1].work.frames_per_round == 2 * frames[0].work.frames_per_round
    assert [c.engine for c in cases(Sweep("layers", (64,), ("bilstm",)))] == ["ours", "stock"]
    with pytest.raises(InputError, match="--sample"):
        cases(Sweep("units", (16,), ("lstm",), Work(clients=5)))
    with pytest.raises(InputError, match="--what"):
        cases(Sweep("colour", (16,), ("lstm",)))


def swept(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"layer": "lstm", "engine": "ours", "units": 64, "noisy": "", "final": None, **columns})


def test_doubled_compares_with_half_the_value_of_the_same_layer() -> None:
    layers = ["lstm", "lstm", "lstm", "gru"]
    rows = swept(layer=layers, windows=[75, 150, 200, 400], s_per_round=[1.0, 2.1, 3.0, 9.0])
    found = with_ratios("frames", rows)
    np.testing.assert_allclose(found["doubled"], [np.nan, 2.1, np.nan, np.nan])
    assert judge_linearity(found) == "met"
    assert judge_linearity(found.assign(doubled=2.3)) == "missed"
    assert judge_linearity(found.assign(noisy="NOISY")) == "undecided"


def test_layers_stand_beside_stock_ones() -> None:
    finals = [[np.zeros(2)], [np.full(2, 0.5)]]
    found = with_ratios("layers", swept(engine=["ours", "stock"], s_per_round=[0.5, 2.0], final=finals))
    np.testing.assert_allclose(found["ours/stock"], [0.25, np.nan])
    np.testing.assert_allclose(found["weights_apart"], [0.5, np.nan])


def test_a_case_that_fails_stays_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(command: list[str], folder: Path, errors: Path, limit: float) -> dict[str, int]:
        errors.write_text("Traceback\nerror: no such layer\n")
        return {"failed": 2}

    monkeypatch.setattr(simulator_sweeps, "run_for_json", failing)
    monkeypatch.setattr(simulator_sweeps, "wait_until_idle", lambda _: 0.0)
    said: list[str] = []
    found = simulator_sweeps.run_sweep(Sweep("layers", (4,), ("none",)), said.append)
    assert said[0] == "ours none layers 4: FAILED (exit code 2) error: no such layer"
    assert found["runs"].tolist() == [0, 0]
    assert found["s_per_round"].isna().all()
