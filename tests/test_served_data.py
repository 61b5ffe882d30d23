"""Sequences read from a worker's store: the numbers that staging writes, and nothing read in the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
from sample_store import FRAMES, uneven_cohort, worker_in

from tff_affect.client_data import ABSENT, StagedCohort, check_windows, stage_cohort, training_key
from tff_affect.cohort import Cohort
from tff_affect.cohort_catalog import catalog
from tff_affect.config import DataConfig, ModelConfig, TrainingConfig
from tff_affect.errors import InputError, RunError
from tff_affect.learning.algorithms import build_federated_averaging
from tff_affect.learning.federated_evaluation import FederatedEvaluation
from tff_affect.learning.scaling import serve_for_split, stage_for_split
from tff_affect.models.registry import initial_weights
from tff_affect.remote_cohort import RemoteCohort
from tff_affect.scaling import Scaling
from tff_affect.served_data import ServedSequences, count_windows, read_catalog, serve_cohort
from tff_affect.workers.store import build_store

pytestmark = pytest.mark.slow

FEDERATED = Scaling.of(np.array([1.7, 2.3, 3.1]), np.array([0.7, 1.9, 0.3]))


class Site(NamedTuple):
    """A cohort, its store, and what a driver knows of it."""

    cohort: Cohort
    store: Path
    remote: RemoteCohort


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A worker serves the store as long as the module's tests run."""
    folder = tmp_path_factory.mktemp("site")
    cohort = uneven_cohort(folder / "cohort")
    manifest = build_store(cohort.path, folder / "store")
    with worker_in(folder / "store"):
        yield Site(cohort, folder / "store", RemoteCohort.merge({"a": manifest}, Path("hosts.yaml")))


def settings(**changes: Any) -> DataConfig:
    return DataConfig(**{"cohort": "tests", "window": 20, "hop": 10, **changes})


def at_worker(staged: StagedCohort, part: str) -> Callable[[str], list[np.ndarray]]:
    """What a method of ``staged`` gives of a client, computed by the worker."""

    @tff.tensorflow.computation(np.str_)
    @tf.function(autograph=False)
    def compute(name: tf.Tensor) -> Any:
        found = getattr(staged, part)(name)
        return list(found) if isinstance(found, tuple) else [found]

    return lambda client: [np.asarray(array) for array in compute(client)]


def in_this_process(served: ServedSequences, store: Path, client: str) -> np.ndarray:
    with chdir(store):
        return tf.function(served.sequence, autograph=False)(tf.constant(client)).numpy()


def require_same_bits(found: np.ndarray, expected: np.ndarray) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("delay", [0.0, 0.4, 2.0])
@pytest.mark.parametrize("scaling", ["none", "subject", "federated"])
def test_sequences_are_bit_for_bit_those_that_staging_writes(
    site: Site, tmp_path: Path, scaling: str, delay: float
) -> None:
    data = settings(scaling=scaling, target_delay=delay)
    given = FEDERATED if scaling == "federated" else None
    staged, served = stage_cohort(site.cohort, tmp_path, data, given), serve_cohort(site.remote, data, given)
    assert (served.delay, served.shape, served.labels) == (staged.delay, staged.shape, staged.labels)
    read = at_worker(served, "sequence")
    for client in FRAMES:
        expected = staged.sequence(client).numpy()
        assert 0 < np.isnan(expected[:, :3]).any(axis=1).mean() < 0.5
        require_same_bits(read(client)[0], expected)
        require_same_bits(in_this_process(served, site.store, client), expected)


def deviation_that_must_be_divided_by(value: float) -> float:
    """One by which dividing ``value``, and multiplying it by the inverse, round to different float32 numbers.

    The quotient lies next to the middle of two of them.
    """
    for number in range(1000):
        deviation = value / (1 + (2 * number + 1) * 2.0**-24)
        if np.float32(value / deviation) != np.float32(value * (1 / deviation)):
            return deviation
    raise AssertionError("no such deviation")


def test_a_scaling_of_everybody_is_divided_by(site: Site, tmp_path: Path) -> None:
    """TensorFlow's optimiser would multiply by the inverse of a constant."""
    table = site.cohort.load("P1")
    first = table.features[int(np.argmax(table.trusted))].astype(np.float64)
    given = Scaling(np.zeros(3), np.array([deviation_that_must_be_divided_by(value) for value in first]))
    data = settings(scaling="federated")
    expected = stage_cohort(site.cohort, tmp_path, data, given).sequence("P1").numpy()
    served = serve_cohort(site.remote, data, given)
    require_same_bits(at_worker(served, "sequence")("P1")[0], expected)
    require_same_bits(in_this_process(served, site.store, "P1"), expected)


@pytest.mark.parametrize("target", ["frame", "window"])
def test_windows_and_gold_are_those_of_staged_sequences(site: Site, tmp_path: Path, target: str) -> None:
    data = settings(target=target, target_delay=0.2)
    staged, served = stage_cohort(site.cohort, tmp_path, data), serve_cohort(site.remote, data)
    for part in ("windows", "training_windows", "gold_in_graph"):
        read = at_worker(served, part)
        for client in ("P1", "P3"):
            expected = getattr(staged, part)(client)
            expected = expected if isinstance(expected, tuple) else (expected,)
            for found, array in zip(read(client), expected, strict=True):
                np.testing.assert_array_equal(found, array.numpy())


def test_federated_scaling_is_fitted_at_the_workers_as_over_staged_clients(site: Site, tmp_path: Path) -> None:
    data, train = settings(scaling="federated"), ["P1", "P2"]
    staged, served = stage_for_split(site.cohort, tmp_path, data, train), serve_for_split(site.remote, data, train)
    assert served.scaling is not None
    read = at_worker(served, "sequence")
    for client in FRAMES:
        require_same_bits(read(client)[0], staged.sequence(client).numpy())
    assert serve_for_split(site.remote, settings(), train).scaling is None
    with pytest.raises(RunError, match="expected the sums of 2 clients, found those of 1"):
        serve_for_split(site.remote, data, ["P1", ABSENT])


def test_windows_are_counted_where_the_sequences_are(site: Site, tmp_path: Path) -> None:
    data = settings(minimum_valid=0.75)
    staged, served = stage_cohort(site.cohort, tmp_path, data), serve_cohort(site.remote, data)
    clients = ["P3", "P1", "P2"]
    expected = {client: len(staged.training_windows(client)[0]) for client in clients}
    assert len(set(expected.values())) > 1
    for found in (count_windows(served, clients), count_windows(staged, clients), served.count_windows(clients)):
        assert list(found.items()) == list(expected.items())
    assert staged.count_windows(clients) == expected
    assert count_windows(served, []) == {}
    with pytest.raises(InputError, match="subject P10: no window of 20 frames has 100% valid frames"):
        check_windows(serve_cohort(site.remote, settings(minimum_valid=1.0)), ["P10"])
    with pytest.raises(RunError, match="no worker could read ;"):
        count_windows(served, ["P1", ABSENT])


def test_training_and_scores_are_those_over_staged_sequences(site: Site, tmp_path: Path) -> None:
    data, model = settings(target_delay=0.2), ModelConfig("simple_rnn", units=3)
    training, found = TrainingConfig(batch_size=4, local_epochs=2), []
    for sequences in (stage_cohort(site.cohort, tmp_path, data), serve_cohort(site.remote, data)):
        start = tff.learning.models.ModelWeights(initial_weights(model, sequences.shape, seed=3), [])
        process = build_federated_averaging(sequences, model, training)
        state = process.set_model_weights(process.initialize(), start)
        output = process.next(state, [training_key(client, 7) for client in ("P1", "P2")])
        weights = list(process.get_model_weights(output.state).trainable)
        scores = FederatedEvaluation(sequences, model).statistics(weights, ["P10", "P3"])
        found.append([*weights, *[s.to_array() for s in scores], output.metrics["client_work"]["train"]["loss"]])
    for staged, served in zip(*found, strict=True):
        np.testing.assert_array_equal(served, staged)
    assert np.abs(found[0][0] - start.trainable[0]).max() > 1e-3


def test_a_worker_tells_its_catalogue(site: Site) -> None:
    manifest = catalog(read_catalog()(), "a worker")
    assert RemoteCohort.merge({"a": manifest}, Path("hosts.yaml")).content_sha256 == site.remote.content_sha256
    assert manifest.subjects[0].frames == FRAMES["P1"]


def test_nothing_is_read_in_the_driver(site: Site) -> None:
    served = serve_cohort(site.remote, settings())
    # Where a file of this name lies, too.
    with chdir(site.store):
        for read in (served.gold, served.sequence, served.windows, served.training_windows):
            with pytest.raises(InputError, match="expected data on this machine, found none: the sequences stay"):
                read("P1")
        with pytest.raises(InputError, match="expected data on this machine"):
            served.client_data()


@pytest.fixture
def damaged(site: Site, tmp_path: Path) -> tuple[ServedSequences, Path, bytes]:
    """One client's sequence in a folder of its own, and its content."""
    served = serve_cohort(site.remote, settings(scaling="none"))
    return served, tmp_path, (site.store / "P3.f32").read_bytes()


def test_a_damaged_sequence_is_named_and_its_place_is_not(damaged: tuple[ServedSequences, Path, bytes]) -> None:
    served, folder, content = damaged
    read = tf.function(served.sequence, autograph=False).get_concrete_function(tf.TensorSpec([], tf.string))
    sizes = [*range(0, 60), len(content) // 2, len(content) - 24, *range(len(content) - 5, len(content))]
    flips = [(place, bit) for place in range(0, len(content), 7) for bit in (place % 8, 7)]
    cut = [content[:size] for size in sizes] + [content + content[-4:], content + b"\0", content[:-4] + bytes(4)]
    flipped = [content[:p] + bytes([content[p] ^ 1 << bit]) + content[p + 1 :] for p, bit in flips]
    with chdir(folder):
        Path("P3.f32").write_bytes(content)
        assert len(read(tf.constant("P3"))) == FRAMES["P3"]
        for wrong in [*cut, *flipped, bytes(len(content))]:
            Path("P3.f32").write_bytes(wrong)
            with pytest.raises(tf.errors.InvalidArgumentError) as error:
                read(tf.constant("P3"))
            assert "the stored sequence of client P3 is damaged" in str(error.value)
            assert str(folder) not in str(error.value)


def test_a_damaged_or_missing_sequence_is_told_by_the_worker(site: Site) -> None:
    served = serve_cohort(site.remote, settings())
    broken, content = site.store / "broken.f32", bytearray((site.store / "P3.f32").read_bytes())
    content[100] ^= 4
    broken.write_bytes(content)
    try:
        for client, said in (("broken", "sequence of client broken is damaged"), ("gone", r"\./gone\.f32; No such")):
            with pytest.raises(Exception, match=said) as error:
                at_worker(served, "sequence")(client)
            assert str(site.store) not in str(error.value)
    finally:
        broken.unlink()
    assert len(at_worker(served, "sequence")("P3")[0]) == FRAMES["P3"]


@pytest.mark.parametrize("target", ["frame", "window"])
def test_an_absent_client_has_no_frame(site: Site, tmp_path: Path, target: str) -> None:
    for staged in (
        stage_cohort(site.cohort, tmp_path, settings(target=target)),
        serve_cohort(site.remote, settings(target=target)),
    ):
        assert at_worker(staged, "sequence")(ABSENT)[0].shape == (0, 5)
        assert len(at_worker(staged, "gold_in_graph")(ABSENT)[0]) == 0
        assert [len(part) for part in at_worker(staged, "training_windows")(ABSENT)] == [0, 0]


def test_what_is_too_short_is_refused_as_in_staging(site: Site, tmp_path: Path) -> None:
    for changes, said in (
        ({"target_delay": 2.4}, "subject P3: a target delay of 2.4 leaves no label"),
        (
            {"window": 61, "hop": 61, "target": "window"},
            "subject P3: expected at least one window of 61",
        ),
    ):
        data = settings(**changes)
        with pytest.raises(InputError, match=said):
            stage_cohort(site.cohort, tmp_path, data)
        with pytest.raises(InputError, match=said):
            serve_cohort(site.remote, data)
        fitting = replace(data, target_delay=0.0) if "target_delay" in changes else replace(data, window=60, hop=60)
        assert serve_cohort(site.remote, fitting).clients == site.remote.subjects
