"""How much of a person's action units stands in the update that its client sends.

Windows are rebuilt by `update_matching.rebuild_windows`; here they are compared with the true ones. People's faces are
alike and change slowly, so that any face correlates a little with any other: what counts is how much nearer a
reconstruction is to its own window than to windows of other people, the decoys. If nothing leaks, the true window is
just one more decoy, which gives an exact test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from tff_affect.errors import InputError
from tff_affect.privacy.audit.finding import Finding
from tff_affect.privacy.audit.intervals import subject_bootstrap

_DRAWS = 9999
_TRACES = 0.3
"""Below this correlation, in words, nothing is rebuilt."""


@dataclass(frozen=True)
class InversionScore:
    """How near reconstructions are to the truth, one value for each victim.

    Attributes:
        correlation: Pearson, over all frames and features of a victim's windows.
        centred: The same after the decoys' mean window was taken from both: what is shown beyond the mean face.
        absolute_error: Mean absolute error, in the unit of the features.
        decoys: ``[victims, decoys]``: correlation of each reconstruction with windows of other people.
    """

    correlation: np.ndarray
    centred: np.ndarray
    absolute_error: np.ndarray
    decoys: np.ndarray

    @property
    def chance(self) -> float:
        """The mean correlation with what other people showed."""
        return float(self.decoys.mean())

    def p(self, seed: int) -> float:
        """How often a window drawn from truth and decoys, for each victim, correlates as well on average."""
        pool = np.concatenate([self.correlation[:, np.newaxis], self.decoys], axis=1)
        drawn = np.random.default_rng(seed).integers(pool.shape[1], size=(_DRAWS, len(pool)))
        means = pool[np.arange(len(pool)), drawn].mean(axis=1)
        # The sum of the same numbers may differ in its last digit.
        return float((1 + np.sum(means >= self.correlation.mean() - 1e-12)) / (1 + _DRAWS))


@dataclass(frozen=True)
class Attempt:
    """One attacker's reconstructions.

    Attributes:
        attacker: In words: ``cosine, labels known``.
        score: How near they came.
    """

    attacker: str
    score: InversionScore


def score_inversion(
    rebuilt: np.ndarray, truth: np.ndarray, decoys: np.ndarray, unit: np.ndarray | None = None
) -> InversionScore:
    """Compares reconstructions with the truth, and with windows of other people.

    Several windows of a victim are put in the best order first (the update does not say which came first), and the
    decoys' windows likewise, so that they gain as much from it.

    Args:
        rebuilt: ``[victims, windows, time, feature]``, in the units of training.
        truth: Likewise; NaN where a frame is missing, which is left out.
        decoys: ``[decoys, windows, time, feature]`` of people who are no victims; NaN likewise.
        unit: ``[victims, feature]``: what one unit of training is in units of the features, as the deviations that a
            victim's features were divided by; None where they were not scaled.

    Raises:
        InputError: If shapes do not go together, there are no victims or no decoys, or a window has no frame.
    """
    _check(rebuilt, truth, decoys)
    unit = np.ones((len(truth), truth.shape[-1])) if unit is None else np.asarray(unit, np.float64)
    mean = _mean_window(decoys)
    correlation, centred, error = [], [], []
    for guess, true, scale in zip(rebuilt.astype(np.float64), truth.astype(np.float64), unit, strict=True):
        ordered = _in_order(guess, true)
        correlation.append(_correlation(ordered, true))
        centred.append(_correlation(ordered - mean, true - mean))
        error.append(float(np.nanmean(np.abs(ordered - true) * scale)))
    others = [[_correlation(_in_order(guess, other), other) for other in decoys] for guess in rebuilt]
    return InversionScore(*(np.array(part, np.float64) for part in (correlation, centred, error, others)))


def _mean_window(windows: np.ndarray) -> np.ndarray:
    """``[time, feature]`` over all windows; 0, the mean of scaled features, where nobody has the frame."""
    there = np.isfinite(windows)
    count = there.sum(axis=(0, 1))
    return np.asarray(np.where(there, windows, 0.0).sum(axis=(0, 1)) / np.maximum(count, 1))


def _in_order(guess: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The windows ``[windows, time, feature]`` in the order that correlates best (Kuhn 1955)."""
    pairs = np.array([[_correlation(g, t) for g in guess] for t in true])
    return np.asarray(guess[linear_sum_assignment(pairs, maximize=True)[1]])


def _correlation(guess: np.ndarray, true: np.ndarray) -> float:
    """Pearson over what is there; 0 where either does not vary."""
    there = np.isfinite(true)
    a, b = guess[there] - guess[there].mean(), true[there] - true[there].mean()
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / length) if length > 1e-12 else 0.0


def inversion_finding(
    attempts: Sequence[Attempt],
    method: str,
    target: str,
    duration: str,
    seed: int,
    observer: str = "server",
) -> Finding:
    """What the strongest of several attackers rebuilt.

    Chosen among several, it is judged as one of several: its p is multiplied by their number (Bonferroni), and its
    interval is as wide as it takes for the intervals of all of them to hold together.

    Args:
        attempts: On the same victims.
        method: Row of the results table whose training is attacked.
        target: What was attacked, in words: ``updates of "federated"``.
        duration: What a victim's windows hold, in words: ``30 s``.
        seed: Of the test and of the interval.
        observer: Key of ``finding.OBSERVERS``: ``server``, or ``model`` for what every receiver of the model sees.

    Raises:
        InputError: Without attempts, or where they are not on the same number of victims.
    """
    if not attempts or len({len(attempt.score.correlation) for attempt in attempts}) != 1:
        raise InputError(
            f"inversion: expected attempts on the same victims, found {len(attempts)} attempts on "
            f"{sorted({len(attempt.score.correlation) for attempt in attempts})} victims; score them on the same"
        )
    tested = len(attempts)
    best = max(attempts, key=lambda attempt: float(attempt.score.correlation.mean()))
    each, chance = best.score.correlation, best.score.chance
    p = min(1.0, tested * best.score.p(seed))
    interval = subject_bootstrap(lambda drawn: float(each[drawn].mean()), len(each), seed, 1 - 0.05 / tested)
    return Finding(
        attack="inversion",
        target=target,
        method=method,
        observer=observer,
        attacker=best.attacker,
        measure="correlation",
        value=float(each.mean()),
        chance=chance,
        sentence=_sentence(float(each.mean()), chance, p, duration, observer),
        interval=interval,
        p=p,
        details={attempt.attacker: _figures(attempt.score) for attempt in attempts},
    )


def _sentence(value: float, chance: float, p: float, duration: str, observer: str) -> str:
    who = "the server" if observer == "server" else "whoever gets the model"
    beside = f"correlation {_two_digits(value)} (with other people's {_two_digits(chance)})"
    if p <= 0.05 and value > chance:
        verb = "rebuilds" if value >= _TRACES else "finds traces of"
        return f"from one person's update {who} {verb} {duration} of their action units, {beside}"
    return (
        f"what {who} rebuilds from one person's update is no nearer to their {duration} of action units than to other "
        f"people's: {beside}; a better attacker may do better"
    )


def _two_digits(value: float) -> str:
    """Without the sign of what rounds to zero."""
    return f"{round(value, 2) + 0.0:.2f}"


def _figures(score: InversionScore) -> dict[str, float | int]:
    return {
        "correlation": float(score.correlation.mean()),
        "without_mean_window": float(score.centred.mean()),
        "mean_absolute_error": float(score.absolute_error.mean()),
        "chance": score.chance,
        "lowest": float(score.correlation.min()),
        "highest": float(score.correlation.max()),
        "victims": len(score.correlation),
        "decoys": int(score.decoys.shape[1]),
    }


def _check(rebuilt: np.ndarray, truth: np.ndarray, decoys: np.ndarray) -> None:
    if rebuilt.shape != truth.shape or decoys.shape[1:] != truth.shape[1:] or truth.ndim != 4:
        raise InputError(
            "inversion: expected reconstructions and truth [victims, windows, time, feature] and decoys of the same "
            f"windows, found {rebuilt.shape}, {truth.shape} and {decoys.shape}; cut all in the same way"
        )
    if not len(truth) or not len(decoys):
        raise InputError(f"inversion: expected victims and decoys, found {len(truth)} and {len(decoys)}; give some")
    if not all(np.isfinite(w).any() for windows in (truth, decoys) for w in windows.reshape(-1, *truth.shape[2:])):
        raise InputError("inversion: expected a frame in every window, found one without; leave that window out")
