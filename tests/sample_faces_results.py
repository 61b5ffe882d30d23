"""Results of a study of the face anonymiser, made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

OBJECTIVES = ("adversary", "reversal", "entropy")
WEIGHTS = (0.0, 1.0, 4.0)


def sample_results(seeds: int = 3, objectives: tuple[str, ...] = OBJECTIVES) -> pd.DataFrame:
    """A ceiling, a floor, two blurs and each objective at three weights; every number differs a little by seed."""
    rows = []
    for seed in range(seeds):
        rows += [_row("unchanged", 0.0, seed, 0.9, 0.95), _row("constant", 0.0, seed, 1 / 7, 1 / 15)]
        rows += [_row("blur", 2.0, seed, 0.7, 0.8), _row("blur", 6.0, seed, 0.3, 0.5)]
        for place, objective in enumerate(objectives):
            for weight in WEIGHTS:
                emotion, identity = 0.85 - 0.05 * weight, 0.9 - (0.1 + place / 50) * weight
                own = {"adversary_accuracy": 0.8 / (1 + weight), "adversary_chance": 1 / 36, "own_emotion_uar": 0.9}
                rows.append(_row(f"trained ({objective})", weight, seed, emotion, identity) | own)
    return pd.DataFrame(rows)


def _row(name: str, strength: float, seed: int, emotion: float, identity: float) -> dict[str, Any]:
    moved = 0.01 * (seed - 1)
    return {
        "transformation": name, "strength": strength, "seed": seed, "people": 15, "images": 630,
        "emotion_uar": emotion + moved, "emotion_accuracy": emotion + moved, "emotion_chance": 1 / 7,
        "own_emotion_uar": np.nan, "adversary_accuracy": np.nan, "adversary_chance": np.nan,
        "identity_top1": identity - moved, "identity_attacker": ("support vectors", "linear discriminant")[seed % 2],
        "identity_together": min(1.0, identity + 0.05), "identity_chance": 1 / 15,
        "identity_luck": 0.1, "identity_p": 0.001,
        "known_chance": 1 / 15, "known_top1": min(1.0, identity + 0.04),
        "known_attacker": "random forest", "verification_auc": 0.8, "verification_eer": 0.25,
        "verification_attacker": "linear discriminant", "reconstruction_error": 0.0123, "reconstruction_floor": 0.0345,
        "reconstruction_top1": 0.4, "synthetic": True,
    }  # fmt: skip
