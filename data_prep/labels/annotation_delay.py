"""How far the labels lag behind the face: a search on development subjects, and a hint from one subject alone.

Raters need seconds to see, to judge and to move (Mariooryad and Busso, 2015). As in the AVEC baselines, the labels are
shifted back by one delay for everybody: for each delay of a grid, a ridge regression from features to shifted-back
labels is fitted on training subjects; its predictions on development subjects, shifted forward again onto the clock of
the labels, are scored by CCC. Test subjects are never looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from data_prep.labels.rater_agreement import concordance
from tff_affect.cohort import SubjectTable
from tff_affect.errors import InputError

__all__ = ["DELAY_GRID", "DelaySearch", "lag_hint", "search_delay", "shift_back", "shift_forward"]

DELAY_STEP = 0.4
DELAY_GRID = tuple(round(DELAY_STEP * i, 1) for i in range(25))
_FIT_RATE = 5.0
_RIDGE = 1.0
_ROWS_PER_FEATURE = 5
_LEAST_SHARED = 0.5


@dataclass(frozen=True)
class DelaySearch:
    """What the search found.

    Attributes:
        grid: The delays, in seconds.
        per_recording: Label -> for each delay, the mean CCC over the development recordings.
        pooled: Label -> for each delay, the CCC over all their frames together.
        same_frames: Whether every delay was scored on the same frames.
    """

    grid: tuple[float, ...]
    per_recording: Mapping[str, tuple[float, ...]]
    pooled: Mapping[str, tuple[float, ...]]
    same_frames: bool = True

    @property
    def best(self) -> dict[str, float]:
        """Label -> the delay (seconds) with the largest mean CCC per recording; of equals, the shortest."""
        return {label: self.grid[int(np.argmax(scores))] for label, scores in self.per_recording.items()}

    @property
    def joint(self) -> float:
        """The delay (seconds) with the largest mean CCC per recording, averaged over the labels."""
        return self.grid[int(np.argmax(np.mean(list(self.per_recording.values()), axis=0)))]


def shift_back(labels: np.ndarray, frames: int) -> np.ndarray:
    """``[frames, ...]`` labels moved ``frames`` earlier, onto the clock of the face; NaN at the open end."""
    _check_shift(frames)
    kept = max(0, len(labels) - frames)
    moved = np.full(labels.shape, np.nan)
    moved[:kept] = labels[frames : frames + kept]
    return moved


def shift_forward(predictions: np.ndarray, frames: int) -> np.ndarray:
    """``[frames, ...]`` predictions moved ``frames`` later, onto the clock of the labels; NaN at the open end."""
    _check_shift(frames)
    kept = max(0, len(predictions) - frames)
    moved = np.full(predictions.shape, np.nan)
    moved[len(predictions) - kept :] = predictions[:kept]
    return moved


def _check_shift(frames: int) -> None:
    if frames < 0:
        raise InputError(f"expected to shift by 0 frames or more, found {frames}")


def _seen(table: SubjectTable) -> np.ndarray:
    """``[frames, features]``, NaN in frames not to be trusted for another reason than a missing label."""
    return np.where(table.trusted[:, np.newaxis], table.features, np.nan)


def search_delay(
    train: Mapping[str, SubjectTable],
    development: Mapping[str, SubjectTable],
    frame_rate: float,
    labels: tuple[str, ...],
    grid: tuple[float, ...] = DELAY_GRID,
    on_delay: Callable[[str, int], None] | None = None,
) -> DelaySearch:
    """Searches the annotation delay.

    Features are standardised by the training subjects' mean and deviation, and the regression is fitted on at most
    five frames a second. Every delay is scored on the same frames: those from the longest delay on for which each delay
    has a prediction. In a recording whose features are missing so often that these are fewer than half of the frames
    from the longest delay on, each delay is scored on all frames that it predicts, and the result says so.

    Args:
        train: Subject -> table, for fitting.
        development: Subject -> table, for scoring; none of them may be in ``train``.
        frame_rate: Frames per second.
        labels: Names of the tables' label columns.
        grid: Delays in seconds.
        on_delay: Called with each delay that is done and the number of all.

    Raises:
        InputError: If there is nothing to fit or score, a subject is in both, or a recording is shorter than twice the
            longest delay.
    """
    shifts = [round(delay * frame_rate) for delay in grid]
    _check(train, development, shifts)
    fitted = {subject: _seen(table) for subject, table in train.items()}
    scored = {subject: _seen(table) for subject, table in development.items()}
    common, same_frames = _common(scored, shifts)
    each, pooled = np.zeros((len(grid), len(labels))), np.zeros((len(grid), len(labels)))
    for i, shift in enumerate(shifts):
        for d, label in enumerate(labels):
            gold = {subject: table.labels[:, d].astype(np.float64) for subject, table in train.items()}
            model = _fit(fitted, gold, shift, math.ceil(frame_rate / _FIT_RATE), label)
            pairs = {
                s: _scored_pair(model, scored[s], t.labels[:, d], shift, common[s]) for s, t in development.items()
            }
            each[i, d], pooled[i, d] = _scores(pairs, label)
        if on_delay:
            on_delay(f"{grid[i]:g} s", len(grid))
    columns = [(name, tuple(map(float, each[:, d])), tuple(map(float, pooled[:, d]))) for d, name in enumerate(labels)]
    each_label, pooled_label = {name: e for name, e, _ in columns}, {name: p for name, _, p in columns}
    return DelaySearch(tuple(grid), each_label, pooled_label, same_frames)


def _common(features: Mapping[str, np.ndarray], shifts: list[int]) -> tuple[dict[str, np.ndarray], bool]:
    """Subject -> frames to score, and whether they are those that all delays predict."""
    late = {subject: np.arange(len(values)) >= max(shifts) for subject, values in features.items()}
    both = {subject: mask & _predicted_by_all(features[subject], shifts) for subject, mask in late.items()}
    enough = {subject: both[subject].sum() >= _LEAST_SHARED * mask.sum() for subject, mask in late.items()}
    return {subject: (both if enough[subject] else late)[subject] for subject in late}, all(enough.values())


def _predicted_by_all(features: np.ndarray, shifts: list[int]) -> np.ndarray:
    seen = np.where(np.isfinite(features).all(axis=1), 0.0, np.nan)
    return np.isfinite(np.sum([shift_forward(seen, shift) for shift in shifts], axis=0))


def _check(train: Mapping[str, SubjectTable], development: Mapping[str, SubjectTable], shifts: list[int]) -> None:
    if not train or not development or not shifts:
        raise InputError("expected training subjects, development subjects and delays to search")
    both = sorted(set(train) & set(development))
    if both:
        raise InputError("the subject is among training and development subjects", subject=both[0])
    for subject, table in {**train, **development}.items():
        if table.frames < 2 * max(shifts):
            reason = f"the recording is too short to search delays of up to {max(shifts)} frames: {table.frames} frames"
            raise InputError(f"{reason}; expected at least {2 * max(shifts)}", subject=subject)


def _fit(
    features: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], shift: int, every: int, label: str
) -> Pipeline:
    x = np.concatenate([values[::every] for values in features.values()])
    y = np.concatenate([shift_back(labels[subject], shift)[::every] for subject in features])
    there = np.isfinite(x).all(axis=1) & np.isfinite(y)
    if not there.any():
        raise InputError(f"the training subjects have no frame with features and {label}")
    return make_pipeline(StandardScaler(), Ridge(alpha=_RIDGE)).fit(x[there], y[there])


def _scored_pair(
    model: Pipeline, features: np.ndarray, labels: np.ndarray, shift: int, scored: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gold standard and prediction of a recording on the clock of the labels, in the frames to score, NaN masked."""
    seen = np.isfinite(features).all(axis=1)
    predictions = np.full(len(features), np.nan)
    if seen.any():
        predictions[seen] = model.predict(features[seen])
    gold = np.where(np.isfinite(labels), labels, np.nan)
    return gold[scored], shift_forward(predictions, shift)[scored]


def _scores(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], label: str) -> tuple[float, float]:
    """Mean CCC per recording, and pooled CCC."""
    for subject, pair in pairs.items():
        if not np.isfinite(pair).all(axis=0).any():
            reason = f"no frame with features and {label} is left to score; take another development subject"
            raise InputError(reason, subject=subject)
    gold, predicted = (np.concatenate(side) for side in zip(*pairs.values(), strict=True))
    return float(np.mean([concordance(*pair) for pair in pairs.values()])), concordance(gold, predicted)


def lag_hint(table: SubjectTable, frame_rate: float) -> float | None:
    """The delay at which one subject's labels follow the features most closely: a hint, and no more.

    For each delay of the grid, the multiple correlation of the labels with the features, in sample, on frames 0.4 s
    apart; of several labels, the mean square. It is fitted and scored on the same few minutes: choose a delay for
    training by `search_delay`.

    Args:
        table: The subject.
        frame_rate: Frames per second.

    Returns:
        Seconds; None without varying labels, with too few frames to say, or with less than one frame in 0.4 s.
    """
    every = round(DELAY_STEP * frame_rate)
    shifts = [round(delay * frame_rate) for delay in DELAY_GRID]
    kept = table.frames - shifts[-1]
    rows = np.arange(0, max(0, kept), max(1, every))
    features = _seen(table)[rows].astype(np.float64)
    if every < 1 or not table.labels.shape[1] or len(rows) < _ROWS_PER_FEATURE * features.shape[1]:
        return None
    scores = [_explained(features, table.labels[rows + shift].astype(np.float64)) for shift in shifts]
    known = [score for score in scores if score is not None]
    return DELAY_GRID[scores.index(max(known))] if len(known) == len(scores) and max(known) > 0 else None


def _explained(features: np.ndarray, labels: np.ndarray) -> float | None:
    """Mean over the labels of the variance that the features explain; None with too few rows to say."""
    there = np.isfinite(features).all(axis=1) & np.isfinite(labels).all(axis=1)
    if there.sum() < _ROWS_PER_FEATURE * features.shape[1]:
        return None
    x, y = features[there] - features[there].mean(axis=0), labels[there] - labels[there].mean(axis=0)
    spread = (y**2).sum(axis=0)
    if not spread.any():
        return None
    fitted = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    explained: np.ndarray = np.divide((fitted**2).sum(axis=0), spread, out=np.zeros_like(spread), where=spread > 0)
    return float(explained.mean())
