"""Post-processing of predictions, fitted on development clients and applied to test clients as it is.

The chain of the AVEC 2016 baseline (Valstar et al., 2016) and of Tzirakis et al. (2017), each dimension by itself:

1. median filter, 0.4 to 20 s;
2. centring: the development gold standard's mean minus that of the predictions is added;
3. scaling by the ratio of their standard deviations, about the predictions' mean;
4. shift to later frames, 0.04 to 10 s.

A step is kept only where it raises the criterion: the CCC of each development client's recording, averaged over these
clients. Each step is fitted on the output of those kept before it. The steps of the grids are not published; ours are
0.4 s for the filter and 0.04 s, at least a frame, for the shift. The filter is centred, so that it looks up to half its
width ahead. Without a clock, the same numbers are read in the cohort's time unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from tff_affect.config import POSTPROCESSING
from tff_affect.metrics import SufficientStatistics, merge_all

CRITERION = "mean CCC per recording over development clients"
AS_PREDICTED = "as predicted"
MEDIAN_SECONDS = (0.4, 20.0)
SHIFT_SECONDS = (0.04, 10.0)

Recordings = Sequence[tuple[np.ndarray, np.ndarray]]
"""Gold standard and prediction of each recording, ``[frames]`` each."""


@dataclass(frozen=True)
class DimensionChain:
    """What is done to one dimension; the defaults do nothing.

    Attributes:
        median_frames: Width of the median filter, odd.
        offset: Added, in the unit of the labels.
        scale: Factor of the deviations from ``centre``.
        centre: In the unit of the labels.
        shift_frames: Frames by which predictions are moved later.
        scores: Step -> the criterion after the best candidate of that step, kept or not, and before all steps.
    """

    median_frames: int = 1
    offset: float = 0.0
    scale: float = 1.0
    centre: float = 0.0
    shift_frames: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)

    def apply(self, series: np.ndarray) -> np.ndarray:
        """The chain applied to ``[frames]``; a missing frame stays missing, and no other becomes so."""
        filtered = median_filter(np.asarray(series, np.float64), self.median_frames) + self.offset
        return shift_later(self.centre + self.scale * (filtered - self.centre), self.shift_frames)


@dataclass(frozen=True)
class PostProcessing:
    """A fitted chain.

    Attributes:
        dimensions: What is done to each dimension, in the order of the labels.
    """

    dimensions: tuple[DimensionChain, ...]

    def apply(self, predicted: np.ndarray) -> np.ndarray:
        """Post-processed predictions of one recording.

        Args:
            predicted: ``[frames, dimension]``, NaN where there is none.

        Returns:
            ``[frames, dimension]`` float64, NaN in the same frames.

        Raises:
            ValueError: If the chain is not of as many dimensions.
        """
        if predicted.ndim != 2 or predicted.shape[1] != len(self.dimensions):
            raise ValueError(f"expected [frames, {len(self.dimensions)}], found shape {predicted.shape}")
        return np.stack([chain.apply(predicted[:, i]) for i, chain in enumerate(self.dimensions)], axis=1)

    def to_json(self, names: Sequence[str]) -> dict[str, Any]:
        """Parameters by name of the dimension, to be written as JSON; `from_json` gives the same chain back."""
        chains = zip(names, self.dimensions, strict=True)
        return {name: asdict(chain) | {"scores": dict(chain.scores)} for name, chain in chains}

    @classmethod
    def from_json(cls, content: Mapping[str, Mapping[str, Any]]) -> PostProcessing:
        """The chain that `to_json` wrote, its dimensions in the order of the names there."""
        return cls(tuple(DimensionChain(**chain) for chain in content.values()))


def fit_chain(
    gold: Mapping[str, np.ndarray],
    predicted: Mapping[str, np.ndarray],
    frame_rate: float,
    steps: Sequence[str] = POSTPROCESSING,
) -> PostProcessing:
    """Fits the chain on development clients.

    Every candidate is scored on the same frames: those with a gold standard and a prediction.

    Args:
        gold: Development client -> ``[frames, dimension]``, NaN where not scored.
        predicted: The same clients' predictions, ``[frames, dimension]``.
        frame_rate: Frames per second, or per other unit of time.
        steps: Those of ``POSTPROCESSING`` to try; they are tried in the order of that list.

    Raises:
        ValueError: If there is no client, the clients or shapes differ, or a step is unknown.
    """
    if not gold or set(gold) != set(predicted) or not set(steps) <= set(POSTPROCESSING):
        raise ValueError(f"expected the same clients and steps of {POSTPROCESSING}, found {sorted(predicted)}, {steps}")
    if any(gold[client].shape != predicted[client].shape for client in gold):
        raise ValueError("expected gold standards and predictions of the same shapes")
    pairs = [(np.asarray(gold[c], np.float64), np.asarray(predicted[c], np.float64)) for c in gold]
    ordered = [step for step in POSTPROCESSING if step in steps]
    return PostProcessing(
        tuple(
            _fit_dimension([(g[:, d], p[:, d]) for g, p in pairs], frame_rate, ordered)
            for d in range(pairs[0][0].shape[1])
        )
    )


def _fit_dimension(recordings: Recordings, frame_rate: float, steps: Sequence[str]) -> DimensionChain:
    chain, best = DimensionChain(), _criterion(recordings)
    scores = {AS_PREDICTED: best}
    for step in steps:
        tried = [
            (_criterion(_applied(changes, recordings)), changes) for changes in _grid(step, recordings, frame_rate)
        ]
        if not tried:
            continue
        scores[step], changes = max(tried, key=lambda candidate: candidate[0])
        if scores[step] > best:
            best, chain = scores[step], replace(chain, **changes)
            recordings = _applied(changes, recordings)
    return replace(chain, scores=scores)


def _criterion(recordings: Recordings) -> float:
    """Mean CCC over recordings."""
    return float(np.mean([SufficientStatistics.from_series(g[:, None], p[:, None]).ccc for g, p in recordings]))


def _applied(changes: Mapping[str, Any], recordings: Recordings) -> Recordings:
    """The recordings after one step."""
    step = DimensionChain(**changes)
    return [(gold, step.apply(predicted)) for gold, predicted in recordings]


def _grid(step: str, recordings: Recordings, frame_rate: float) -> Iterator[dict[str, Any]]:
    """The candidates of a step, the least change first: of equals the first is taken."""
    if step == "median":
        yield from ({"median_frames": frames} for frames in _median_widths(frame_rate))
        return
    if step == "shift":
        yield from ({"shift_frames": frames} for frames in _shifts(frame_rate))
        return
    (gold_mean, predicted_mean), (gold_deviation, predicted_deviation) = _moments(recordings)
    if step == "centring" and np.isfinite(gold_mean):
        yield {"offset": gold_mean - predicted_mean}
    if step == "scaling" and predicted_deviation > 0:
        yield {"scale": gold_deviation / predicted_deviation, "centre": predicted_mean}


def _moments(recordings: Recordings) -> tuple[tuple[float, float], tuple[float, float]]:
    """Means and standard deviations of gold standard and prediction over the scored frames of all recordings."""
    pooled = merge_all(SufficientStatistics.from_series(g[:, None], p[:, None]) for g, p in recordings)
    if bool(pooled.constant[0]):
        return (float("nan"), float("nan")), (float("nan"), 0.0)
    n, gold_mean, predicted_mean, gold_squares, predicted_squares, _ = map(float, pooled.to_array()[0])
    return (gold_mean, predicted_mean), (math.sqrt(gold_squares / n), math.sqrt(predicted_squares / n))


def _median_widths(frame_rate: float) -> list[int]:
    """Odd widths in frames, so that the filter is centred."""
    least, most = MEDIAN_SECONDS
    seconds = np.arange(1, round(most / least) + 1) * least
    widths = {2 * math.floor(s * frame_rate / 2 + 1e-9) + 1 for s in seconds}
    return sorted(widths - {1})


def _shifts(frame_rate: float) -> list[int]:
    least, most = (seconds * frame_rate for seconds in SHIFT_SECONDS)
    step = max(1, round(least))
    return list(range(step, round(most) + 1, step))


def median_filter(series: np.ndarray, frames: int) -> np.ndarray:
    """Centred running median of ``[frames]`` over the frames that are there; NaN stays NaN."""
    if frames <= 1:
        return series
    filtered = pd.Series(series).rolling(frames, center=True, min_periods=1).median().to_numpy()
    return np.where(np.isfinite(series), filtered, np.nan)


def shift_later(series: np.ndarray, frames: int) -> np.ndarray:
    """``[frames]`` moved later; the first frames take the first prediction, so that no frame is lost from scoring.

    A missing frame stays missing where it is; the last prediction before it stands in for it where it is moved to.
    """
    if frames < 1 or not len(series):
        return series
    there = pd.Series(series).ffill().bfill().to_numpy()
    moved = np.concatenate([np.full(min(frames, len(there)), there[0]), there[:-frames]])
    return np.where(np.isfinite(series), moved, np.nan)
