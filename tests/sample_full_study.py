"""A small SYNTHETIC study that has all that a report can show."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from sample_study import CLIENTS, DIMENSIONS, add_private, guarantee, write_run

from tff_affect.evaluation.personalised import rows_of, write_personalised

EVERYBODY = [*(f"P{i}" for i in range(1, 6)), *CLIENTS, "P99"]
"""The cohort: who trains, develops and tests, and one in no split."""
CONFIG = """\
data:
  cohort: /home/somebody/private corpora/cohort-7
  scaling: subject
model:
  name: lstm
training:
  clients_per_round: 0
  loss: ccc
privacy:
  level: user
  mechanism: fixed
  settings_from: see /home/somebody/notes
"""
FEATURES = ("AU01", "AU12")
SHAPES = ((2, 8), (4,))
"""Of the weights that were kept: 20 numbers."""


def write_full_study(study: Path, seeds: int = 2) -> Path:
    """Writes the study and returns its folder."""
    for seed in range(seeds):
        run = study / f"seed-{seed}"
        write_run(run, seed, ceilings=True)
        add_private(run, seed, guarantee(8.4359 - seed))
        _add_final_scores(run, seed)
        _add_counts_and_times(run, seed)
        (run / "weights").mkdir()
        for name in ("federated", "federated-dp"):
            np.savez(run / "weights" / f"{name}.npz", *(np.zeros(shape, np.float32) for shape in SHAPES))
    (study / "config.yaml").write_text(CONFIG, encoding="utf-8")
    (study / "environment.json").write_text(json.dumps({"tff_affect": "9.8.7", "python": "3.11"}), encoding="utf-8")
    (study / "study.json").write_text(json.dumps({"cohort": "ab" * 32, "seeds": list(range(seeds))}), encoding="utf-8")
    facts = {"name": "toy cohort", "synthetic": True, "subjects": 13, "frame_rate": 25.0}
    (study / "cohort_facts.json").write_text(json.dumps(facts), encoding="utf-8")
    _write_groups(study)
    _write_quality(study)
    _write_personalised(study, seeds)
    return study


def _add_final_scores(run: Path, seed: int) -> None:
    """Participating and held-out clients after the last round."""
    rng = np.random.default_rng([seed, 1])
    rows = [
        {"round": 10, "partition": part, "client": client, "dimension": dimension, "n": 1160, "ccc": rng.uniform(),
         "pcc": 0.5, "rmse": 0.2, "constant": False}
        for part, clients in (("train", ("P1", "P2")), ("test", CLIENTS))
        for client in clients
        for dimension in DIMENSIONS
    ]  # fmt: skip
    file = run / "per_client.csv"
    pd.concat([pd.read_csv(file), pd.DataFrame(rows)]).to_csv(file, index=False)


def _add_counts_and_times(run: Path, seed: int) -> None:
    rounds = pd.read_csv(run / "rounds.csv").assign(clients=2, train_windows=40, train_loss=0.5)
    rounds.to_csv(run / "rounds.csv", index=False)
    for folder in (run, run / "federated-dp"):
        lines = [json.dumps({"round": number, "seconds": 0.25 * (number + 1 + seed)}) for number in range(11)]
        (folder / "timing.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_groups(study: Path) -> None:
    rows = [(client, "language", "French" if client in CLIENTS[:5] else "German") for client in EVERYBODY]
    rows += [(client, "site", "clinic") for client in EVERYBODY]
    pd.DataFrame(rows, columns=["client", "attribute", "group"]).to_csv(study / "groups.csv", index=False)


def _write_quality(study: Path) -> None:
    rng = np.random.default_rng(5)
    rows = [(client, name, 1200, rng.uniform()) for client in EVERYBODY for name in (*FEATURES, "valid")]
    pd.DataFrame(rows, columns=["client", "feature", "frames", "missing"]).to_csv(study / "quality.csv", index=False)


def _write_personalised(study: Path, seeds: int) -> None:
    rng = np.random.default_rng(6)
    rows = []
    for seed in range(seeds):
        before = np.tile([100.0, 0.0, 0.0, 4.0, 4.0, 2.0], (len(CLIENTS), len(DIMENSIONS), 1))
        after = before.copy()
        after[..., 5] += rng.normal(0.2, 0.5, before.shape[:2])
        rows += rows_of(seed, 0, "fine-tuned", CLIENTS, DIMENSIONS, before, after)
    write_personalised(study, rows)
