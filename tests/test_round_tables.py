"""``rounds.csv`` and ``per_client.csv``: measures of an independent oracle, in step with the checkpoints."""

from __future__ import annotations

from pathlib import Path

import audmetric
import numpy as np
import pandas as pd
import pytest

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
