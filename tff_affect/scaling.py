"""Means and deviations by which features are standardised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scaling:
    """Feature means and deviations, ``[features]`` each, in the unit of the features."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, mean: np.ndarray, variance: np.ndarray) -> Scaling:
        """From moments; a constant feature is centred and left unscaled."""
        deviation = np.sqrt(np.maximum(variance, 0))
        return cls(np.asarray(mean, np.float64), np.where(deviation > 1e-8, deviation, 1.0))

    @classmethod
    def of_subject(cls, features: np.ndarray) -> Scaling:
        """From one subject's whole recording ``[frames, features]``: uses no label, but all features (transductive)."""
        features = features.astype(np.float64)
        return cls.of(np.nanmean(features, axis=0), np.nanvar(features, axis=0))

    @classmethod
    def from_json(cls, content: Any) -> Scaling:
        """From what `to_json` gave.

        Raises:
            ValueError: If it is something else.
        """
        try:
            mean, deviation = (np.asarray(content[name], np.float64) for name in ("mean", "deviation"))
        except (KeyError, TypeError) as error:
            raise ValueError("expected means and deviations") from error
        if mean.ndim != 1 or mean.shape != deviation.shape or not (np.isfinite(mean).all() and (deviation > 0).all()):
            raise ValueError("expected finite means, and as many deviations above 0")
        return cls(mean, deviation)

    def to_json(self) -> dict[str, list[float]]:
        """Plain numbers, in full."""
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Standardises ``[frames, features]``; NaN stays NaN."""
        return ((features - self.mean) / self.deviation).astype(np.float32)
