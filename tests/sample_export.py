"""A SYNTHETIC study on disk whose network was never trained: its weights are drawn, which is enough to export."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from tff_affect.client_data import WindowShape
from tff_affect.cohort import Cohort
from tff_affect.config import StudyConfig
from tff_affect.config_file import load_config, save_config
from tff_affect.evaluation.per_client import result_rows, write_results
from tff_affect.metrics import SufficientStatistics
from tff_affect.report.study import CohortFacts
from tff_affect.run_folder import CONFIG, SPLIT, STUDY, RunFolder, write_json
from tff_affect.splits import Split

WINDOW = ["data.window=8", "data.hop=8", "model.units=3"]


def spread(weights: list[np.ndarray], seed: int = 3) -> list[np.ndarray]:
    """Weights that leave no part of a network without effect."""
    rng = np.random.default_rng(seed)
    return [(weight + rng.normal(scale=0.3, size=weight.shape)).astype(np.float32) for weight in weights]


def drawn_weights(config: StudyConfig, shape: WindowShape) -> list[np.ndarray]:
    """Of a network that was never trained."""
    from tff_affect.models.registry import build_model

    return spread(build_model(config.model, shape).get_weights())


def facts_of(cohort: Cohort) -> CohortFacts:
    manifest = cohort.manifest
    return CohortFacts(
        manifest.name, manifest.synthetic, len(manifest.subjects), manifest.frame_rate, manifest.time_unit,
        list(manifest.features), manifest.feature_scale, list(manifest.labels),
    )  # fmt: skip


def write_study(place: Path, cohort: Cohort, *settings: str) -> Path:
    """The study of one run in ``place``, tested on the last subject."""
    config = load_config(None, [*WINDOW, *settings], cohort.path)
    folder = RunFolder(place, cohort.manifest.labels)
    save_config(config, place / CONFIG)
    write_json(place / STUDY, {"cohort": cohort.content_sha256, "seeds": [0]})
    write_json(place / "cohort_facts.json", dataclasses.asdict(facts_of(cohort)))
    Split(cohort.subjects[:-2], cohort.subjects[-2:-1], cohort.subjects[-1:]).write(place / SPLIT)
    shape = WindowShape(
        config.data.window, len(cohort.manifest.features), len(cohort.manifest.labels), config.data.target
    )
    folder.write_weights("federated", drawn_weights(config, shape))
    rng, rows = np.random.default_rng(5), []
    for client in cohort.subjects[-1:]:
        statistics = SufficientStatistics.from_series(rng.normal(size=(50, 2)), rng.normal(size=(50, 2)))
        rows += result_rows("federated", "measured", "", client, statistics, folder.dimensions)
    write_results(place / "results.csv", rows)
    return place
