"""A small SYNTHETIC study on disk, with numbers that the tests compute again."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tff_affect.config import PRIVATE_FEDERATED
from tff_affect.evaluation.per_client import read_results, result_rows, write_results
from tff_affect.metrics import SufficientStatistics
from tff_affect.privacy.guarantee import Guarantee

DIMENSIONS = ["arousal", "valence"]
CLIENTS = [f"P{i}" for i in range(16, 23)]
GAIN = {"local-only": 0.35, "centralised": 0.75, "federated": 0.65, PRIVATE_FEDERATED: 0.45}


def recording(client: str) -> np.ndarray:
    """A slow random walk, ``[frames, dimension]``, with some missing frames."""
    rng = np.random.default_rng(int(client[1:]))
    gold = np.cumsum(rng.normal(scale=0.05, size=(1200, 2)), axis=0)
    gold[100:140] = np.nan
    return gold


def predict(client: str, gain: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng([int(client[1:]), seed, int(gain * 100)])
    return gain * recording(client) + np.cumsum(rng.normal(scale=0.03, size=(1200, 2)), axis=0)


def statistics(client: str, predicted: np.ndarray) -> SufficientStatistics:
    return SufficientStatistics.from_series(recording(client), predicted)


def rows(seed: int, ceilings: bool) -> list[dict]:
    found = []
    for client in CLIENTS:
        flat = np.zeros((1200, 2))
        found += result_rows("mean predictor", "measured", "", client, statistics(client, flat), DIMENSIONS)
        for method in ("centralised", "federated"):
            part = statistics(client, predict(client, GAIN[method], seed))
            found += result_rows(method, "measured", "", client, part, DIMENSIONS)
        for model, gain in (("P1", 0.3), ("P2", 0.4)):
            part = statistics(client, predict(client, gain, seed))
            found += result_rows("local-only", "measured", model, client, part, DIMENSIONS)
        if ceilings:
            part = statistics(client, predict(client, 0.95, seed))
            found += result_rows("centralised", "attainable", "", client, part, DIMENSIONS)
    return found


def write_study_files(study: Path) -> None:
    config = "data:\n  cohort: /home/somebody/private/cohort-7\nname: '<script>alert(1)</script>'\n"
    (study / "config.yaml").write_text(config)
    (study / "environment.json").write_text(json.dumps({"python": "3.11", "packages": {"numpy": "1.25.2"}}))


def write_run(folder: Path, seed: int, ceilings: bool) -> None:
    folder.mkdir(parents=True)
    write_results(folder / "results.csv", rows(seed, ceilings))
    split = {"train": ["P1", "P2"], "development": ["P3", "P4", "P5"], "test": CLIENTS}
    (folder / "split.json").write_text(json.dumps(split))
    write_rounds(folder, seed)
    write_predictions(folder / "predictions" / "federated", GAIN["federated"], seed)


def write_predictions(folder: Path, gain: float, seed: int) -> None:
    folder.mkdir(parents=True)
    for client in CLIENTS:
        gold, predicted = recording(client), predict(client, gain, seed)
        columns = {"time": np.arange(1200) * 0.04}
        columns |= {d: gold[:, i] for i, d in enumerate(DIMENSIONS)}
        columns |= {f"{d}_predicted": predicted[:, i] for i, d in enumerate(DIMENSIONS)}
        pd.DataFrame(columns).to_parquet(folder / f"{client}.parquet")


def guarantee(epsilon: float, **others: Any) -> Guarantee:
    """One of level ``user``, with names that no other text holds."""
    values = {
        "delta": 0.0125, "unit": "subject", "adjacency": "zero-out", "sampling": "all 8 clients", "rounds": 11,
        "mechanism": "Gaussian mechanism", "noise_multiplier": 1.25, "clipping_norm": 0.75,
        "accountant": "accountant of the tests", "trust": "server trusted by the tests",
        "outside": ("tables of the tests", "hyper-parameters: chosen on this cohort"),
    }  # fmt: skip
    return Guarantee(epsilon=epsilon, **(values | others))


def write_privacy(run: Path, guarantees: dict[str, Guarantee]) -> None:
    content = {method: stated.to_json() for method, stated in guarantees.items()}
    (run / "privacy.json").write_text(json.dumps(content), encoding="utf-8")


def add_private(run: Path, seed: int, stated: Guarantee, alone: bool = False) -> None:
    """Adds a run's "federated + DP"; ``alone`` takes its "federated" away."""
    added = []
    for client in CLIENTS:
        part = statistics(client, predict(client, GAIN[PRIVATE_FEDERATED], seed))
        added += result_rows(PRIVATE_FEDERATED, "measured", "", client, part, DIMENSIONS)
    found = read_results(run / "results.csv")
    found = found[found["method"] != "federated"] if alone else found
    write_results(run / "results.csv", [*found.to_dict("records"), *added])
    write_predictions(run / "predictions" / "federated-dp", GAIN[PRIVATE_FEDERATED], seed)
    (run / "federated-dp").mkdir()
    write_rounds(run / "federated-dp", seed + 100)
    write_privacy(run, {PRIVATE_FEDERATED: stated})
    if alone:
        shutil.rmtree(run / "predictions" / "federated")
        for name in ("rounds.csv", "per_client.csv"):
            (run / name).unlink()


def write_rounds(folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    per_client, rounds = [], []
    for number in range(11):
        level = 0.6 * (1 - np.exp(-number / 3))
        rounds.append({"round": number} | {f"development_ccc_{d}_pooled": level + 0.1 for d in DIMENSIONS})
        for client in ("P3", "P4", "P5"):
            for dimension in DIMENSIONS:
                ccc = level + 0.1 * rng.normal()
                cells = {"round": number, "partition": "development", "client": client, "dimension": dimension}
                per_client.append(cells | {"n": 1160, "ccc": ccc, "pcc": ccc, "rmse": 0.2, "constant": False})
    pd.DataFrame(per_client).to_csv(folder / "per_client.csv", index=False)
    pd.DataFrame(rounds).to_csv(folder / "rounds.csv", index=False)
