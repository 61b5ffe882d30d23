"""``rounds.csv`` and ``per_client.csv``: measures of an independent oracle, in step with the checkpoints."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import audmetric
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_affect.errors import RunError
from tff_affect.learning.program import RoundResult
from tff_affect.metrics import SufficientStatistics
from tff_affect.round_tables import PER_CLIENT_COLUMNS, RoundTables

DIMENSIONS = ("arousal", "valence")
CLIENTS = ("P1", "P2")
Series = dict[str, tuple[np.ndarray, np.ndarray]]


def series_of(number: int) -> Series:
    """Gold and predicted ``[frames, dimension]`` of each development client; P2's prediction of valence is constant."""
    rng = np.random.default_rng(number)
    found = {}
    for client, frames in zip(CLIENTS, (40, 25), strict=True):
        gold = rng.normal(size=(frames, 2))
        found[client] = (gold, gold + rng.normal(size=(frames, 2)))
    found["P2"][1][:, 1] = 0.5
    return found


def statistics_of(series: Series) -> dict[str, SufficientStatistics]:
    return {client: SufficientStatistics.from_series(*pair) for client, pair in series.items()}


def result(number: int, evaluated: bool = True) -> RoundResult:
    development = statistics_of(series_of(number)) if evaluated else None
    return RoundResult(number, 3, 10 * number, 1 / (3 * number), development)


@pytest.fixture
def tables(tmp_path: Path) -> RoundTables:
    tables = RoundTables(tmp_path, DIMENSIONS)
    tables.resume_after(0)
    return tables


def read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    rounds, clients = (
        pd.read_csv(folder / f"{name}.csv", float_precision="round_trip") for name in ("rounds", "per_client")
    )
    return rounds, clients


def contents(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "rounds.csv").read_bytes(), (folder / "per_client.csv").read_bytes()


def test_a_new_training_has_headers_alone(tables: RoundTables, tmp_path: Path) -> None:
    rounds, clients = read(tmp_path)
    assert list(rounds.columns) == [
        "round", "clients", "train_windows", "train_loss",
        "development_ccc_arousal_mean", "development_ccc_arousal_pooled",
        "development_ccc_valence_mean", "development_ccc_valence_pooled",
    ]  # fmt: skip
    assert tuple(clients.columns) == PER_CLIENT_COLUMNS
    assert len(rounds) == len(clients) == 0


def test_a_round_is_a_row_with_the_measures_of_an_oracle(tables: RoundTables, tmp_path: Path) -> None:
    tables.observe(result(7))
    rounds, clients = read(tmp_path)
    row, series = rounds.iloc[0], series_of(7)
    assert (row["round"], row["clients"], row["train_windows"]) == (7, 3, 70)
    assert row["train_loss"] == 1 / 21
    for i, dimension in enumerate(DIMENSIONS):
        each = [audmetric.concordance_cc(*(s[:, i] for s in series[client])) for client in CLIENTS]
        pooled = audmetric.concordance_cc(
            *(np.concatenate([series[client][k][:, i] for client in CLIENTS]) for k in (0, 1))
        )
        found = clients[clients.dimension == dimension]
        assert list(found.client) == list(CLIENTS)
        np.testing.assert_allclose(found.ccc, each, atol=1e-9)
        np.testing.assert_allclose(row[f"development_ccc_{dimension}_mean"], np.mean(each), atol=1e-9)
        np.testing.assert_allclose(row[f"development_ccc_{dimension}_pooled"], pooled, atol=1e-9)
        errors = [np.sqrt(np.mean((series[c][0][:, i] - series[c][1][:, i]) ** 2)) for c in CLIENTS]
        np.testing.assert_allclose(found.rmse, errors, atol=1e-9)
    assert list(clients.n) == [40, 40, 25, 25]
    assert list(clients.constant) == [False, False, False, True]
    assert set(clients.partition) == {"development"}


def test_a_round_without_evaluation_leaves_its_scores_empty(tables: RoundTables, tmp_path: Path) -> None:
    tables.observe(result(1, evaluated=False))
    rounds, clients = read(tmp_path)
    assert rounds.filter(like="development").isna().all(axis=None)
    assert len(clients) == 0


@pytest.mark.parametrize("last", [0, 2, 4])
def test_resuming_gives_the_bytes_of_an_uninterrupted_training(last: int, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
        tables = RoundTables(folder, DIMENSIONS)
        tables.resume_after(0)
        for number in range(1, 5):
            tables.observe(result(number, evaluated=number % 2 == 0))
        for partition in ("train", "test"):
            tables.add_clients(2, partition, statistics_of(series_of(9)))
    again = RoundTables(cut, DIMENSIONS)
    again.resume_after(last)
    rounds, clients = read(cut)
    assert list(rounds["round"]) == list(range(1, last + 1))
    assert set(clients.partition) <= {"development"}
    for number in range(last + 1, 5):
        again.observe(result(number, evaluated=number % 2 == 0))
    for partition in ("train", "test"):
        again.add_clients(2, partition, statistics_of(series_of(9)))
    assert contents(cut) == contents(whole)


@pytest.mark.parametrize("cut", [1, 5, 30, 120])
def test_a_row_cut_short_by_a_kill_is_dropped(cut: int, tables: RoundTables, tmp_path: Path) -> None:
    """Cut after its first digit, a row of round 12 looks like one of round 1."""
    tables.observe(result(1))
    before = contents(tmp_path)
    tables.observe(result(12))
    for file, complete in zip(("rounds.csv", "per_client.csv"), before, strict=True):
        text = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(text[: len(complete) + min(cut, len(text) - len(complete) - 1)])
    RoundTables(tmp_path, DIMENSIONS).resume_after(1)
    assert contents(tmp_path) == before


def test_tables_lost_before_a_resume_start_anew(tables: RoundTables, tmp_path: Path) -> None:
    tables.observe(result(1))
    (tmp_path / "rounds.csv").unlink()
    RoundTables(tmp_path, DIMENSIONS).resume_after(1)
    rounds, clients = read(tmp_path)
    assert (len(rounds), len(clients)) == (0, 4)


ROUNDS = 12
EVALUATED_EVERY = 2


def observed(tables: RoundTables, first: int, last: int = ROUNDS) -> None:
    for number in range(first, last + 1):
        tables.observe(result(number, evaluated=number % EVALUATED_EVERY == 0))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, bytes]]:
    """Both tables after each round, from 0 on, of a training that was not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    tables = RoundTables(folder, DIMENSIONS)
    tables.resume_after(0)
    found = [contents(folder)]
    for number in range(1, ROUNDS + 1):
        observed(tables, number, number)
        found.append(contents(folder))
    return found


@given(data=st.data())
def test_killed_at_any_byte_of_a_round_the_tables_hold_the_rounds_up_to_the_checkpoint(
    data: st.DataObject, written: list[tuple[bytes, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    checkpoint = data.draw(st.integers(0, ROUNDS - 1), "checkpoint")
    done = data.draw(st.integers(checkpoint, ROUNDS - 1), "rounds done")
    (rounds, clients), (next_rounds, next_clients) = written[done], written[done + 1]
    # A round's rows of clients come first.
    torn = data.draw(st.integers(0, len(next_clients) + len(next_rounds) - len(clients) - len(rounds)), "bytes torn")
    of_clients = min(torn, len(next_clients) - len(clients))
    folder = tmp_path_factory.mktemp("cut")
    (folder / "per_client.csv").write_bytes(next_clients[: len(clients) + of_clients])
    (folder / "rounds.csv").write_bytes(next_rounds[: len(rounds) + torn - of_clients])
    (folder / ".rounds.csv.k1ll3d.part").write_bytes(b"half")
    tables = RoundTables(folder, DIMENSIONS)
    tables.resume_after(checkpoint)
    assert contents(folder) == written[checkpoint]
    assert len(list(folder.iterdir())) == 2
    observed(tables, checkpoint + 1)
    assert contents(folder) == written[-1]


def test_a_row_of_the_final_evaluation_that_was_cut_anywhere_is_dropped(
    written: list[tuple[bytes, bytes]], tmp_path: Path
) -> None:
    """It names an early round: only its end tells it from a row of that one."""
    tables = RoundTables(tmp_path, DIMENSIONS)
    rounds, clients = written[-1]
    (tmp_path / "per_client.csv").write_bytes(clients)
    tables.add_clients(2, "test", statistics_of(series_of(9)))
    row = (tmp_path / "per_client.csv").read_bytes().removeprefix(clients).split(b"\n")[0]
    for length in range(len(row) + 1):
        (tmp_path / "rounds.csv").write_bytes(rounds)
        (tmp_path / "per_client.csv").write_bytes(clients + row[:length])
        tables.resume_after(ROUNDS)
        assert contents(tmp_path) == written[-1], length


@pytest.mark.parametrize("tail", [b"\0" * 40, b"\xc3", b"13,develop\0\0", b"1\n", b"\n"])
def test_rubbish_that_a_power_cut_left_at_the_end_is_dropped(
    tail: bytes, written: list[tuple[bytes, bytes]], tmp_path: Path
) -> None:
    for name, content in zip(("rounds.csv", "per_client.csv"), written[3], strict=True):
        (tmp_path / name).write_bytes(content + tail)
    tables = RoundTables(tmp_path, DIMENSIONS)
    tables.resume_after(3)
    assert contents(tmp_path) == written[3]


@pytest.mark.parametrize("taken", [0, 1, 50, 300])
def test_on_a_full_disk_a_round_is_one_clean_error_and_can_be_resumed(
    taken: int, written: list[tuple[bytes, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = RoundTables(tmp_path, DIMENSIONS)
    tables.resume_after(0)
    observed(tables, 1, 5)
    write, left = os.write, taken

    def limited(handle: int, content: bytes) -> int:
        nonlocal left
        if left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = write(handle, bytes(content)[:left])
        left -= done
        return done

    with monkeypatch.context() as full:
        full.setattr(os, "write", limited)
        with pytest.raises(RunError, match="csv: cannot write here: No space left on device; free space"):
            observed(tables, 6, 6)
    for content in contents(tmp_path):
        assert content.endswith(b"\n")
    again = RoundTables(tmp_path, DIMENSIONS)
    again.resume_after(5)
    assert contents(tmp_path) == written[5]
    observed(again, 6)
    assert contents(tmp_path) == written[-1]


def test_rows_are_on_the_disk_when_a_round_was_observed(
    tables: RoundTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: dict[str, int] = {}
    fsync = os.fsync

    def seen(handle: int) -> None:
        fsync(handle)
        flushed[Path(os.readlink(f"/proc/self/fd/{handle}")).name] = os.fstat(handle).st_size

    monkeypatch.setattr(os, "fsync", seen)
    for number in (1, 2):
        tables.observe(result(number))
        rounds, clients = contents(tmp_path)
        assert flushed == {"rounds.csv": len(rounds), "per_client.csv": len(clients)}
