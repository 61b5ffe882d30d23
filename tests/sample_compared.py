"""SYNTHETIC studies that can be compared: runs of the sample study with the facts that training writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from sample_study import write_run

from tff_affect.evaluation.per_client import read_results, write_results

DATA = {
    "cohort": "", "window": 75, "hop": 75, "target": "frame", "scaling": "subject", "target_delay": 0.0,
    "minimum_valid": 0.25,
}  # fmt: skip


def write_compared(study: Path, seeds: Sequence[int] = (0, 1), synthetic: bool = True) -> Path:
    """A finished study of the sample's runs; its gold standard and its clients are always the same."""
    for seed in seeds:
        write_run(study / f"seed-{seed}", seed, ceilings=seed == 0)
    settings = {"cohort": "ab" * 32, "data": DATA, "split": {"scheme": "holdout"}, "seeds": list(seeds)}
    write(study / "study.json", settings | {"postprocess": []})
    facts = {"name": "toy", "synthetic": synthetic, "subjects": 12, "frame_rate": 25.0, "time_unit": "second"}
    write(study / "cohort_facts.json", facts)
    return study


def write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")


def alter(file: Path, change: Callable[[Any], None]) -> None:
    """Changes a JSON file in place."""
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    write(file, content)


def alter_results(run: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Changes a run's results."""
    file = run / "results.csv"
    write_results(file, change(read_results(file)).to_dict("records"))
