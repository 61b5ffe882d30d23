"""Checkpoints: what is saved comes back, any damage is found, and costs one checkpoint and not the run."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
import tree
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tff_affect.config import TrainingConfig
from tff_affect.errors import RunError
from tff_affect.learning.checkpoints import Checkpoints
from tff_affect.learning.program import FederatedProgram
from tff_affect.learning.sampling import ClientSampling
from tff_affect.metrics import SufficientStatistics
from tff_affect.round_tables import RoundTables


def state(number: int) -> dict[str, Any]:
    """Shaped as the training program's: a learning process's state beside arrays and counters."""
    rng = np.random.default_rng(number)
    weights = [rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=4).astype(np.float32)]
    learning = tff.learning.templates.LearningAlgorithmState(
        global_model_weights=tff.learning.models.ModelWeights(weights, []),
        distributor=(),
        client_work=(),
        aggregator={"value": (np.int32(number),), "weight": (), "dp_event": b"dp_accounting\x00", "first": np.bool_(1)},
        finalizer={"learning_rate": np.float32(number / 7)},
    )
    return {
        "learning": learning,
        "best_weights": weights,
        "best_round": np.int64(number),
        "best_score": np.float64(-np.inf if number == 0 else 1 / number),
    }


def is_same(found: Any, expected: Any) -> None:
    """Structure, types and bits."""
    tree.assert_same_structure(found, expected, check_types=True)
    for one, other in zip(tree.flatten(found), tree.flatten(expected), strict=True):
        assert type(one) is type(other)
        if isinstance(one, np.ndarray | np.generic):
            assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
        else:
            assert one == other


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Three checkpoints, of rounds 2, 4 and 10 (which as text comes first)."""
    folder = tmp_path / "checkpoints"
    checkpoints = Checkpoints(folder)
    for number in (2, 4, 10):
        checkpoints.save(state(number), number)
    return folder


def file_of(folder: Path, number: int) -> Path:
    return folder / f"round_{number}.checkpoint"


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def loads(folder: Path, number: int) -> None:
    loaded = Checkpoints(folder).load_latest(state(0))
    assert loaded is not None
    assert loaded[1] == number
    is_same(loaded[0], state(number))


def test_without_checkpoints_there_is_none_and_nothing_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert Checkpoints(tmp_path / "new").load_latest(state(0)) is None
    assert caplog.records == []


def test_the_newest_comes_back_bit_for_bit(saved: Path) -> None:
    loads(saved, 10)


def test_the_newest_three_are_kept(saved: Path) -> None:
    checkpoints = Checkpoints(saved)
    for number in (12, 14):
        checkpoints.save(state(number), number)
    assert names(saved) == {f"round_{number}.checkpoint" for number in (10, 12, 14)}


def test_a_number_that_is_saved_again_is_the_later_one(saved: Path) -> None:
    Checkpoints(saved).save({**state(10), "best_round": np.int64(7)}, 10)
    loaded = Checkpoints(saved).load_latest(state(0))
    assert loaded is not None
    assert (loaded[0]["best_round"], loaded[1]) == (7, 10)


def test_equal_states_are_equal_files(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 4e9)
    Checkpoints(tmp_path / "later").save(state(10), 10)
    assert file_of(tmp_path / "later", 10).read_bytes() == file_of(saved, 10).read_bytes()


def test_numpy_reads_a_checkpoint_under_names_that_say_what_each_part_is(saved: Path) -> None:
    with np.load(file_of(saved, 4), allow_pickle=False) as stored:
        assert len(stored.files) == 10
        name = next(name for name in stored.files if name.endswith("/learning/global_model_weights/trainable/0"))
        np.testing.assert_array_equal(stored[name], state(4)["best_weights"][0])


class Pair(NamedTuple):
    first: Any
    second: Any


NUMBERS = hnp.array_dtypes(
    st.one_of(
        hnp.boolean_dtypes(), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), hnp.floating_dtypes(),
        hnp.complex_number_dtypes(), hnp.byte_string_dtypes(min_len=1), hnp.unicode_string_dtypes(min_len=1),
    ),
    max_size=1,
    allow_subarrays=False,
).map(lambda found: found[0])  # fmt: skip
ARRAYS = NUMBERS.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)))
SCALARS = st.one_of(
    st.floats(width=32).map(np.float32), st.integers(-(2**63), 2**63 - 1).map(np.int64), st.booleans().map(np.bool_),
    st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False), st.binary(), st.text(),
)  # fmt: skip
KEYS = st.text("abcxyz_0", min_size=1, max_size=6)
STATES = st.recursive(
    st.one_of(ARRAYS, SCALARS),
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.tuples(below, below),
        st.builds(Pair, below, below),
        st.dictionaries(KEYS, below, max_size=3),
        st.dictionaries(KEYS, below, max_size=3).map(OrderedDict),
    ),
    max_leaves=8,
)


@given(STATES)
def test_any_structure_comes_back(tmp_path_factory: pytest.TempPathFactory, any_state: Any) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    Checkpoints(folder).save(any_state, 3)
    loaded = Checkpoints(folder).load_latest(any_state)
    assert loaded is not None
    is_same(loaded[0], any_state)


@pytest.mark.parametrize(
    "leaf",
    [None, object(), np.array([1, None]), np.datetime64("2020-01-01"), np.zeros(2, "f4,i4"), 2**70, {1, 2},
     np.zeros(2, tf.bfloat16.as_numpy_dtype)],
)  # fmt: skip
def test_what_is_no_number_is_refused_and_nothing_is_written(leaf: Any, saved: Path) -> None:
    before = names(saved)
    with pytest.raises(TypeError, match=r"expected numbers or strings at 1/learning/1, found"):
        Checkpoints(saved).save({"learning": [np.zeros(2), leaf]}, 12)
    assert names(saved) == before


def truncations(size: int) -> list[int]:
    """Twenty lengths that a file of a size may be cut to: none of it, all but a byte, and between."""
    return [round(share * (size - 1)) for share in np.linspace(0, 1, 20)]


def flips(size: int) -> list[int]:
    """Twenty bits of a file, the first and the last among them."""
    return [0, 8 * size - 1, *np.random.default_rng(5).integers(8 * size, size=18).tolist()]


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def damaged(content: bytes, kind: str, number: int) -> bytes:
    if kind == "cut":
        return content[: truncations(len(content))[number]]
    return flipped(content, flips(len(content))[number])


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("kind", ["cut", "flipped"])
@pytest.mark.parametrize("number", range(20))
def test_a_damaged_one_is_set_aside_with_one_line_and_the_one_before_is_taken(
    number: int, kind: str, saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newest = file_of(saved, 10)
    content = damaged(newest.read_bytes(), kind, number)
    newest.write_bytes(content)
    loads(saved, 4)
    (said,) = warnings_in(caplog)
    aside = saved / "damaged_round_10.checkpoint"
    assert said.startswith(f"the checkpoint of round 10 was set aside as {aside}: it is not whole, or was altered")
    assert "\n" not in said
    assert aside.read_bytes() == content
    Checkpoints(saved).save(state(10), 10)
    loads(saved, 10)


@given(st.data())
def test_any_flipped_bit_and_any_cut_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    for number in (1, 2):
        Checkpoints(folder).save(state(number), number)
    content = file_of(folder, 2).read_bytes()
    if data.draw(st.booleans()):
        changed = flipped(content, data.draw(st.integers(0, 8 * len(content) - 1)))
    else:
        changed = content[: data.draw(st.integers(0, len(content) - 1))] + data.draw(st.binary(max_size=3))
    file_of(folder, 2).write_bytes(changed)
    loads(folder, 2 if changed == content else 1)


def test_every_bit_of_a_small_checkpoint_is_guarded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(np.float32(1), 1)
    content = file_of(tmp_path, 1).read_bytes()
    for bit in range(8 * len(content)):
        file_of(tmp_path, 1).write_bytes(flipped(content, bit))
        assert checkpoints.load_latest(np.float32(0)) is None, bit
    file_of(tmp_path, 1).write_bytes(content)
    assert checkpoints.load_latest(np.float32(0)) == (1, 1)


def test_if_all_are_damaged_training_starts_anew_and_says_so(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    for file in saved.iterdir():
        file.write_bytes(b"")
    assert Checkpoints(saved).load_latest(state(0)) is None
    said = warnings_in(caplog)
    assert len(said) == 4
    assert said[-1] == f"{saved}: no checkpoint can be read by this version; training starts anew"


def other_number_of_leaves(found: dict) -> None:
    del found["best_score"]


def other_name(found: dict) -> None:
    found["best_scare"] = found.pop("best_score")


def other_type(found: dict) -> None:
    found["best_round"] = np.int32(0)


def other_shape(found: dict) -> None:
    found["best_weights"][1] = np.zeros(5, np.float32)


def other_rank(found: dict) -> None:
    found["best_score"] = np.zeros(1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_number_of_leaves, "expected 9 values, found 10"),
        (other_name, "expected 1/best_scare, found 1/best_score"),
        (other_type, "expected int32[] at 0/best_round, found int64[]"),
        (other_shape, "expected float32[5] at 3/best_weights/1, found float32[4]"),
        (other_rank, "expected float64[1] at 1/best_score, found float64[]"),
    ],
)
def test_one_of_another_training_is_set_aside(
    change: Callable[[dict], None], reason: str, saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (2, 4):
        file_of(saved, number).unlink()
    structure = {**state(0), "best_weights": [np.zeros((3, 4), np.float32), np.zeros(4, np.float32)]}
    change(structure)
    assert Checkpoints(saved).load_latest(structure) is None
    assert warnings_in(caplog)[0].endswith(f": it is of another training: {reason}")


def test_what_grows_from_round_to_round_comes_back_at_its_length(tmp_path: Path) -> None:
    def tree_state(levels: int) -> dict:
        return {"level_buffer": [np.full((levels, 3), 2.0, np.float32)], "level_buffer_idx": np.arange(levels)}

    Checkpoints(tmp_path).save({**tree_state(3), "dp_event": b"GaussianDpEvent"}, 1)
    loaded = Checkpoints(tmp_path).load_latest({**tree_state(1), "dp_event": b""})
    assert loaded is not None
    is_same(loaded[0], {**tree_state(3), "dp_event": b"GaussianDpEvent"})


def test_folders_of_an_earlier_version_are_said_and_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = tff.program.FileProgramStateManager(tmp_path, "round_")
    asyncio.run(old.save({"w": np.zeros(2)}, 5))
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.load_latest({"w": np.zeros(2)}) is None
    assert warnings_in(caplog) == [f"{tmp_path}: no checkpoint can be read by this version; training starts anew"]
    checkpoints.save({"w": np.ones(2)}, 5)
    loaded = checkpoints.load_latest({"w": np.zeros(2)})
    assert loaded is not None
    assert loaded[0]["w"].tolist() == [1, 1]


def test_what_a_killed_driver_half_wrote_is_removed(saved: Path) -> None:
    for name in (".round_12.checkpoint.ab12.part", ".round_10.checkpoint.xy.part"):
        (saved / name).write_bytes(b"half")
    loads(saved, 10)
    assert names(saved) == {f"round_{number}.checkpoint" for number in (2, 4, 10)}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_ends_the_run_with_one_line_and_keeps_what_is_there(
    code: int, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {file.name: file.read_bytes() for file in saved.iterdir()}
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(code, os.strerror(code))))
        with pytest.raises(RunError, match="cannot write the checkpoint of round 12") as raised:
            Checkpoints(saved).save(state(12), 12)
    assert "\n" not in str(raised.value)
    assert {file.name: file.read_bytes() for file in saved.iterdir()} == before
    Checkpoints(saved).save(state(12), 12)
    loads(saved, 12)


def test_a_sector_that_cannot_be_read_costs_one_checkpoint(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes

    def failing(file: Path) -> bytes:
        if file.name == "round_10.checkpoint":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(file)

    monkeypatch.setattr(Path, "read_bytes", failing)
    loads(saved, 4)


# A whole training, whose every number depends on all rounds before it.
ROUNDS = 8


class Descent:
    """Momentum towards what the keys of a round say."""

    def initialize(self) -> dict[str, Any]:
        return {"w": np.zeros(4, np.float32), "momentum": np.zeros(4, np.float32), "step": np.int32(0)}

    def set_model_weights(self, state: dict, weights: Any) -> dict:
        return {**state, "w": np.asarray(weights.trainable[0])}

    def next(self, state: dict, keys: list[str]) -> SimpleNamespace:
        drawn = [np.random.default_rng(list(key.encode())).normal(size=4) for key in keys]
        momentum = (0.9 * state["momentum"] + np.mean(drawn, axis=0)).astype(np.float32)
        moved = {
            "w": state["w"] - np.float32(0.1) * momentum,
            "momentum": momentum,
            "step": state["step"] + np.int32(1),
        }
        train = {"num_clients": len(keys), "num_examples": 10 * len(keys), "loss": float(np.abs(moved["w"]).sum())}
        return SimpleNamespace(state=moved, metrics={"client_work": {"train": train}})

    def get_model_weights(self, state: dict) -> SimpleNamespace:
        return SimpleNamespace(trainable=[state["w"]])


class Scores:
    def begin(self, weights: Sequence[np.ndarray], clients: Sequence[str]) -> Callable[[], list[SufficientStatistics]]:
        return lambda: self.statistics(weights, clients)

    def statistics(self, weights: Sequence[np.ndarray], clients: Sequence[str]) -> list[SufficientStatistics]:
        gold = np.linspace(-1, 1, 4)[:, None]
        return [SufficientStatistics.from_series(gold, weights[0][:, None] + gold * len(c)) for c in clients]


class Cut(Exception):
    pass


class CutTables(RoundTables):
    """Tables of a driver that dies when a round's rows are written."""

    last = 0

    def observe(self, result: Any) -> None:
        super().observe(result)
        if result.number == self.last:
            raise Cut


def trained(folder: Path, last: int = 0) -> tuple[bytes, int, bytes, bytes]:
    folder.mkdir(exist_ok=True)
    tables = CutTables(folder, ("arousal",))
    tables.last = last
    program = FederatedProgram(
        process=Descent(), evaluation=Scores(),
        training=TrainingConfig(rounds=ROUNDS, patience=0, checkpoint_every=2, clients_per_round=2),
        sampling=ClientSampling(("P1", "P2", "P3"), 2, 1), development=("P4", "P15"),
        initial_weights=[np.ones(4, np.float32)],
    )  # fmt: skip
    weights, best = program.run(Checkpoints(folder / "checkpoints"), tables)
    files = [(folder / name).read_bytes() for name in ("rounds.csv", "per_client.csv")]
    return weights[0].tobytes(), best, files[0], files[1]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, int, bytes, bytes]:
    result = trained(tmp_path_factory.mktemp("training") / "whole")
    assert result[2].count(b"\n") == ROUNDS + 1
    return result


@pytest.mark.parametrize("kind", ["cut", "flipped"])
@pytest.mark.parametrize("number", range(20))
def test_a_training_whose_newest_checkpoint_is_damaged_ends_like_one_that_was_not_disturbed(
    number: int, kind: str, undisturbed: tuple, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Cut):
        trained(tmp_path, last=7)
    newest = file_of(tmp_path / "checkpoints", 6)
    newest.write_bytes(damaged(newest.read_bytes(), kind, number))
    assert trained(tmp_path) == undisturbed
    (said,) = warnings_in(caplog)
    assert said.startswith("the checkpoint of round 6 was set aside")


@pytest.mark.parametrize("left", [0, 1, 2])
def test_with_several_damaged_or_all_it_still_ends_the_same(left: int, undisturbed: tuple, tmp_path: Path) -> None:
    with pytest.raises(Cut):
        trained(tmp_path, last=7)
    for number in (2, 4, 6)[left:]:
        file_of(tmp_path / "checkpoints", number).write_bytes(b"\0" * 100)
    assert trained(tmp_path) == undisturbed


@pytest.mark.parametrize("last", range(1, ROUNDS + 1))
def test_a_disk_that_fills_up_at_any_round_costs_nothing_but_time(
    last: int, undisturbed: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a round on nothing can be written, be it rows or a checkpoint."""
    write, observe = os.write, RoundTables.observe
    with monkeypatch.context() as full:

        def limited(handle: int, content: bytes) -> int:
            if fills[0]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(handle, content)

        def filling(tables: RoundTables, result: Any) -> None:
            fills[0] = result.number == last and last % 2 == 1
            observe(tables, result)
            fills[0] = result.number == last

        fills = [False]
        full.setattr(os, "write", limited)
        full.setattr(RoundTables, "observe", filling)
        with pytest.raises(RunError, match="No space left on device; free space"):
            trained(tmp_path)
    assert trained(tmp_path) == undisturbed
