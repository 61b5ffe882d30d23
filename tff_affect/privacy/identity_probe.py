"""Whose window is it? How well two simple attackers tell subjects apart by their features.

Action units leave the image behind, and not the person: faces differ at rest, in strength and in style of expression
(Cohn et al., "Individual differences in facial expression", FG 2002). The probe cuts each recording into windows,
trains on its first part, and names the subject of the windows of its last part.

Both parts are of one session. What camera, light and seat do to a tracker helps to tell subjects apart too, so that the
same attackers usually do worse on another day; more recording helps them, and a better attacker may do better.
`ProbeResult.limits` says so.

Whether they found anybody is decided by a permutation test (Good, "Permutation, Parametric, and Bootstrap Tests of
Hypotheses", 2005): if subjects are alike, it does not matter which last part belongs to which first part. A bootstrap
interval over three to five subjects is far too narrow for that.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tff_affect.cohort import SubjectTable
from tff_affect.errors import InputError
from tff_affect.privacy.identity_windows import AS_THEY_ARE, VIEWS, Recording, cut_recording

FOREST, LOGISTIC = "random forest", "logistic regression"
LEAST_SUBJECTS_FOR_TOP5 = 20
_STRENGTHS = (0.01, 0.1, 1.0, 10.0)
_LEAST_TRAINING_WINDOWS = 2
_RESAMPLES = 9999
_LEVEL = 0.05
# Both attackers in both views, each of which could beat chance by luck.
_TESTS = 4
# The smallest p that n! permutations can give, _TESTS / n!, is above _LEVEL for fewer.
LEAST_SUBJECTS_FOR_VERDICT = 5
LEAST_SUBJECTS_FOR_INTERVAL = 8

Interval = tuple[float, float]


@dataclass(frozen=True)
class ProbeConfig:
    """Settings of the probe.

    Attributes:
        window_seconds: Length of a window; sequences of steps take each step as a window.
        seed: Seed of the forest, of the permutations and of the choice of subjects.
        trees: Trees of the forest.
        most_subjects: A larger cohort is represented by this many subjects, drawn by the seed: a forest's memory grows
            with the square of their number.
    """

    window_seconds: float = 10.0
    seed: int = 0
    trees: int = 300
    most_subjects: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.window_seconds < float("inf"):
            raise InputError(f"identity probe: expected a window above 0 seconds, found {self.window_seconds:g}")
        for name, least in (("trees", 1), ("most_subjects", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"identity probe: expected {name} of at least {least}, found {getattr(self, name)}")


@dataclass(frozen=True)
class AttackScore:
    """How one attacker did. Shares are of a subject's test windows, averaged over subjects, so that chance is exact.

    Attributes:
        view: One of ``VIEWS``.
        attacker: ``random forest`` or ``logistic regression``.
        strongest: Whether it is the better one of its view.
        top1: Share of test windows given to the right subject.
        p: How often chance alone gives such a ``top1``, by permutation and corrected for the four tests (Bonferroni).
        top1_interval: 95 % bootstrap interval over subjects; None with fewer than eight.
        top5: Share with the right subject among the five likeliest; None with fewer than 20 subjects.
        top5_interval: Likewise.
    """

    view: str
    attacker: str
    strongest: bool
    top1: float
    p: float
    top1_interval: Interval | None
    top5: float | None
    top5_interval: Interval | None


@dataclass(frozen=True)
class ProbeResult:
    """What the probe found.

    Attributes:
        scores: Every view and attacker.
        subjects: Subjects that took part.
        chance: Of naming the right one by guessing, 1 / subjects; five times that for the top five.
        training_windows: Windows trained on.
        test_windows: Windows to name.
        trained_on: Minutes (or steps) of windows trained on, the mean over subjects.
        trained_on_unit: ``minutes`` or ``steps``.
        window: What a window is, in words.
        left_out: Subject -> why it did not take part.
        not_drawn: Subjects that a large cohort left over.
    """

    scores: tuple[AttackScore, ...]
    subjects: int
    chance: float
    training_windows: int
    test_windows: int
    trained_on: float
    trained_on_unit: str
    window: str
    left_out: Mapping[str, str]
    not_drawn: int

    def strongest(self, view: str) -> AttackScore:
        """The attacker of a view with the larger ``top1``."""
        return next(score for score in self.scores if score.view == view and score.strongest)

    def beats_chance(self, view: str) -> bool:
        """Whether an attacker's corrected ``p`` is at most 0.05, which takes five subjects."""
        return any(score.p <= _LEVEL for score in self.scores if score.view == view)

    def verdict(self) -> str:
        """One sentence that claims what was seen, and no more."""
        if self.subjects < LEAST_SUBJECTS_FOR_VERDICT:
            return (
                f"too few subjects for a verdict: the shares of {self.subjects} cannot be told from luck (it takes "
                f"{LEAST_SUBJECTS_FOR_VERDICT}), which does not make anybody anonymous"
            )
        rising = sorted(self.scores, key=lambda score: score.top1)
        beaten = {score.view: f"in {100 * score.top1:.0f} % of windows" for score in rising if score.p <= _LEVEL}
        if not beaten:
            return "these two attackers did not beat chance, which proves nothing about others"
        found = " and ".join(f"{beaten[view]} with the features {view}" for view in VIEWS if view in beaten)
        rest = "".join(f"; {view}, chance was not beaten" for view in VIEWS if view not in beaten)
        return (
            f"action units are not anonymous: a simple attacker names the right one of {self.subjects} subjects from "
            f"{self.window}, {found} (chance {100 * self.chance:.3g} %){rest}"
        )

    def limits(self) -> tuple[str, ...]:
        """What the figures do and do not say, one sentence each."""
        return (
            "Training and test windows are of one session, whose camera, light and seat help to tell subjects apart: "
            "another day usually lowers the figures.",
            f"They were trained on {self.trained_on:.3g} {self.trained_on_unit} per subject; more recording raises the "
            "figures, which bound nothing from above.",
            "A better attacker finds more: they are a lower bound of what the windows of this session give away.",
            "Standardising by the whole recording pushes the last part of a recording away from its first, and simple "
            "attackers below chance: a low figure in that view does not show that nothing is left to find.",
        )

    def to_json(self) -> dict[str, Any]:
        """The result as JSON types, verdict and limits included."""
        return {**asdict(self), "verdict": self.verdict(), "limits": list(self.limits())}


@dataclass(frozen=True)
class _Samples:
    """Windows of several subjects: ``[samples, statistics]`` and ``[samples]`` the subject's number."""

    x: np.ndarray
    subject: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[np.ndarray]) -> _Samples:
        return cls(np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts]))


def probe_identity(
    tables: Iterable[tuple[str, SubjectTable]],
    frame_rate: float,
    features: Sequence[str],
    time_unit: str = "second",
    config: ProbeConfig | None = None,
) -> ProbeResult:
    """Attacks a source by its features. Nothing is written.

    Args:
        tables: Subjects with their tables; read one at a time, and only the windows' statistics are kept.
        frame_rate: Frames per time unit.
        features: Feature names, to check the tables by.
        time_unit: ``second``, or ``step``: each step is then a window of its own.
        config: Settings; by default windows of 10 s and 300 trees.

    Returns:
        The scores of both attackers in both views.

    Raises:
        InputError: If a table has another number of features, or fewer than two subjects have enough windows.
    """
    config = config or ProbeConfig()
    frames = 1 if time_unit == "step" else max(1, round(config.window_seconds * frame_rate))
    recordings: dict[str, Recording] = {}
    left_out: dict[str, str] = {}
    for subject, table in tables:
        if table.features.shape[1] != len(features):
            found = f"expected {len(features)} features, found {table.features.shape[1]}"
            raise InputError(found, subject=subject)
        recording = cut_recording(table, frame_rate, frames, time_unit)
        train, test = (len(part[AS_THEY_ARE]) for part in (recording.train, recording.test))
        if train < _LEAST_TRAINING_WINDOWS or not test:
            left_out[subject] = f"{train} usable windows in its first part and {test} in its last"
        else:
            recordings[subject] = recording
    _require_subjects(recordings, left_out)
    drawn = _draw(list(recordings), config)
    scores = [s for view in VIEWS for s in _attack([recordings[subject] for subject in drawn], view, config)]
    training_windows = sum(len(recordings[subject].train[AS_THEY_ARE]) for subject in drawn)
    unit, per_window = ("steps", 1.0) if time_unit == "step" else ("minutes", frames / frame_rate / 60)
    return ProbeResult(
        scores=tuple(scores),
        subjects=len(drawn),
        chance=1.0 / len(drawn),
        training_windows=training_windows,
        trained_on=training_windows / len(drawn) * per_window,
        trained_on_unit=unit,
        test_windows=sum(len(recordings[subject].test[AS_THEY_ARE]) for subject in drawn),
        window="one step" if time_unit == "step" else f"{frames / frame_rate:g} s of recording",
        left_out=left_out,
        not_drawn=len(recordings) - len(drawn),
    )


def _require_subjects(recordings: Mapping[str, Recording], left_out: Mapping[str, str]) -> None:
    if len(recordings) < 2:
        named = "; ".join(f"{subject}: {why}" for subject, why in list(left_out.items())[:3])
        raise InputError(
            "identity probe: expected at least two subjects with two windows in the first 60 % of their recording and "
            f"one in the last 30 %, found {len(recordings)}; shorten the window or give longer recordings"
            + (f" ({named})" if named else "")
        )


def _draw(subjects: list[str], config: ProbeConfig) -> list[str]:
    if len(subjects) <= config.most_subjects:
        return subjects
    chosen = np.random.default_rng(config.seed).choice(len(subjects), config.most_subjects, replace=False)
    return [subjects[number] for number in sorted(chosen)]


def _attack(recordings: Sequence[Recording], view: str, config: ProbeConfig) -> list[AttackScore]:
    """Trains both attackers on the first parts and lets them name the windows of the last parts."""
    parts = [recording.train[view] for recording in recordings]
    train, test = _Samples.of(parts), _Samples.of([recording.test[view] for recording in recordings])
    models = {FOREST: _forest(config), LOGISTIC: _logistic(_best_strength(parts))}
    scores = [_score(view, name, _likeliest(model, train, test), test, config) for name, model in models.items()]
    best = max(scores, key=lambda score: score.top1)
    return [replace(score, strongest=score is best) for score in scores]


def _best_strength(parts: Sequence[np.ndarray]) -> float:
    """The regression's ``C``, chosen inside the training part: fitted on its beginning, judged on its end."""
    early = _Samples.of([part[: max(1, 6 * len(part) // 10)] for part in parts])
    late = _Samples.of([part[-max(1, 3 * len(part) // 10) :] for part in parts])
    found = {strength: _shares(_likeliest(_logistic(strength), early, late), late, 1).mean() for strength in _STRENGTHS}
    return max(_STRENGTHS, key=lambda strength: found[strength])


def _forest(config: ProbeConfig) -> RandomForestClassifier:
    return RandomForestClassifier(n_estimators=config.trees, random_state=config.seed, n_jobs=1)


def _logistic(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=200, tol=1e-3))


def _likeliest(model: RandomForestClassifier | Pipeline, train: _Samples, test: _Samples) -> np.ndarray:
    """``[samples, subjects]`` subjects by number, the likeliest first, as a newly fitted model has them."""
    with warnings.catch_warnings():
        # An attacker stopped early is still an attacker.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train.x, train.subject)
    return np.argsort(-model.predict_proba(test.x), axis=1, kind="stable")


def _shares(likeliest: np.ndarray, samples: _Samples, first: int) -> np.ndarray:
    """``[subjects]`` share of each subject's windows with the right one among the ``first`` likeliest."""
    hits = (likeliest[:, :first] == samples.subject[:, np.newaxis]).any(axis=1)
    return np.bincount(samples.subject, weights=hits) / np.bincount(samples.subject)


def _named(likeliest: np.ndarray, samples: _Samples) -> np.ndarray:
    """``[true subject, named subject]`` share of each subject's windows; rows sum to 1."""
    counts = np.zeros((likeliest.shape[1],) * 2)
    np.add.at(counts, (samples.subject, likeliest[:, 0]), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def _corrected_p(named: np.ndarray, seed: int) -> float:
    """One-sided p of the mean right share, were any last part as likely to belong to any first part; times the tests.

    All permutations where these are at most 9999; otherwise as many are drawn, and the one seen counts among them.
    """

    def right_share(owner: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(named[np.arange(len(named)), owner].mean(axis=axis))

    found = stats.permutation_test(
        (np.arange(len(named)),),
        right_share,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=_RESAMPLES,
        alternative="greater",
        random_state=np.random.default_rng(seed),
    )
    return min(1.0, _TESTS * float(found.pvalue))


def _score(view: str, attacker: str, likeliest: np.ndarray, test: _Samples, config: ProbeConfig) -> AttackScore:
    top1 = _shares(likeliest, test, 1)
    top5 = _shares(likeliest, test, 5) if len(top1) >= LEAST_SUBJECTS_FOR_TOP5 else None
    return AttackScore(
        view=view,
        attacker=attacker,
        strongest=False,
        top1=float(top1.mean()),
        p=_corrected_p(_named(likeliest, test), config.seed),
        top1_interval=_interval(top1),
        top5=None if top5 is None else float(top5.mean()),
        top5_interval=None if top5 is None else _interval(top5),
    )


def _interval(shares: np.ndarray) -> Interval | None:
    """95 % percentile bootstrap interval of the mean over subjects; windows of one subject are not independent."""
    if len(shares) < LEAST_SUBJECTS_FOR_INTERVAL:
        return None
    found = stats.bootstrap(
        (shares,), np.mean, n_resamples=_RESAMPLES, method="percentile", random_state=np.random.default_rng(0)
    ).confidence_interval
    return float(found.low), float(found.high)
