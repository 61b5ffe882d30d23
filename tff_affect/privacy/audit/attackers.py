"""Attackers that name the person behind a sample, of several families.

Each chooses its settings inside the enrolment, fitted on each person's earlier samples and judged on the later ones,
and is then fitted on all of them. Probe samples are never fitted on.

Wide vectors, such as updates with thousands of numbers for a few samples each, are first turned to the directions in
which the enrolment varies at all, which loses nothing for what depends on distances alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from tff_affect.privacy.audit.exposed import Exposed
from tff_affect.privacy.audit.samples import Owned, Samples

LOGISTIC, FOREST, SVM, BOOSTING = "logistic regression", "random forest", "support vectors", "gradient boosting"
DISCRIMINANT, NEAREST, RECURRENT = "linear discriminant", "nearest mean", "recurrent network"
TREES = 200
_STRENGTHS = (0.01, 0.1, 1.0, 10.0)
_BOOSTED_DIMENSIONS = 32
_MOST_FEATURES = 64
_JITTER = 1e-3

Scores = Callable[[Samples], np.ndarray]
"""From samples to ``[samples, people]``, larger for the likelier person."""


class Learner(Protocol):
    """An attacker with its settings."""

    def __call__(self, known: Owned, seed: int) -> Scores:
        """Learns from samples whose owners are known."""


@dataclass(frozen=True)
class Family:
    """Attackers of one kind.

    Attributes:
        name: In words.
        candidates: The kind with several settings, of which `tuned` chooses.
        needs_sequences: Whether it looks at the series themselves.
    """

    name: str
    candidates: tuple[Learner, ...]
    needs_sequences: bool = False

    def tuned(self, known: Owned, seed: int) -> Learner:
        """The candidate that names late samples best once fitted on early ones; the first of equals."""
        if len(self.candidates) == 1:
            return self.candidates[0]
        early, late = known.early_and_late()
        found = [top_share(learner(early, seed)(late.samples), late).mean() for learner in self.candidates]
        return self.candidates[int(np.argmax(found))]

    def scores(self, exposed: Exposed, seed: int) -> np.ndarray:
        """``[probe samples, people]``: how likely each person is the owner of each probe sample."""
        known = exposed.known
        # On so few samples, threads wait for each other longer than they work.
        with threadpool_limits(1, user_api="openmp"):
            return self.tuned(known, seed)(known, seed)(exposed.unknown.samples)


def likeliest(scores: np.ndarray) -> np.ndarray:
    """``[samples, people]`` people by number, the likeliest first; of equals the one with the lower number."""
    return np.argsort(-scores, axis=1, kind="stable")


def top_share(scores: np.ndarray, samples: Owned, first: int = 1) -> np.ndarray:
    """``[people]`` share of each person's samples with the right one among the ``first`` likeliest."""
    return samples.shares((likeliest(scores)[:, :first] == samples.owner[:, np.newaxis]).any(axis=1))


def families(exposed: Exposed) -> list[Family]:
    """All that can be tried on what is exposed."""
    every = [logistic(), support_vectors(), forest(), boosting(), discriminant(), nearest_mean(), recurrent()]
    has_sequences = exposed.known.samples.sequences is not None and exposed.unknown.samples.sequences is not None
    return [family for family in every if has_sequences or not family.needs_sequences]


def logistic() -> Family:
    """Multinomial logistic regression on standardised vectors."""
    return Family(LOGISTIC, tuple(partial(_fit, partial(_logistic, strength)) for strength in _STRENGTHS))


def support_vectors() -> Family:
    """Support vectors with a Gaussian kernel, one person against another (Cortes and Vapnik 1995)."""
    grid = [(strength, width) for strength in (1.0, 10.0) for width in (0.25, 1.0, 4.0)]
    return Family(SVM, tuple(partial(_fit, partial(_support_vectors, *settings)) for settings in grid))


def forest() -> Family:
    """Random forest (Breiman 2001); the first candidate is the usual one."""
    grid = [(1, None), (3, None), (1, 0.3)]
    return Family(FOREST, tuple(partial(_fit, partial(_forest, TREES, *settings)) for settings in grid))


def plain_forest(trees: int) -> Family:
    """The usual random forest, whose settings are not chosen."""
    return Family(FOREST, (partial(_fit, partial(_forest, trees, 1, None)),))


def boosting() -> Family:
    """Gradient boosting on principal components; deeper trees are no better on so few samples and cost more."""
    return Family(BOOSTING, (partial(_fit, _boosting),))


def discriminant() -> Family:
    """Linear discriminant with a shrunken covariance within people (Ledoit and Wolf 2004)."""
    return Family(DISCRIMINANT, (_discriminant,))


def nearest_mean() -> Family:
    """The nearest person's enrolment mean: linking as it is done where there is little to learn from."""
    grid = [(scaled, metric) for scaled in (True, False) for metric in ("cosine", "euclidean")]
    return Family(NEAREST, tuple(partial(_nearest, scaled, metric) for scaled, metric in grid))


def recurrent() -> Family:
    """A small recurrent network on the series themselves."""
    return Family(RECURRENT, (_recurrent,), needs_sequences=True)


def _recurrent(known: Owned, seed: int) -> Scores:
    # TensorFlow takes seconds to import, and few surfaces have series.
    from tff_affect.privacy.audit.recurrent_attacker import fit_recurrent

    return fit_recurrent(known, seed)


Make = Callable[[tuple[int, ...], int], Pipeline]
"""From the shape of the vectors to learn from and a seed to an estimator."""


def _fit(make: Make, known: Owned, seed: int) -> Scores:
    vectors = known.samples.vectors
    model = make(vectors.shape, seed)
    with warnings.catch_warnings():
        # An attacker stopped early is still an attacker.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(vectors, known.owner)
    return partial(_scores, model)


def _scores(model: Pipeline, samples: Samples) -> np.ndarray:
    if not hasattr(model, "decision_function"):
        return np.asarray(model.predict_proba(samples.vectors))
    scores = np.asarray(model.decision_function(samples.vectors))
    return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores


def _reduced(shape: tuple[int, ...], most: int | None = None) -> Sequence[PCA]:
    """Principal components: at most ``most``, and where vectors are wider than there are samples, all there are."""
    samples, width = shape
    components = min(width, max(1, samples - 1), most or width)
    return [] if components == width else [PCA(components, svd_solver="full")]


def _turned(shape: tuple[int, ...]) -> Sequence[PCA]:
    """Likewise for what turning the axes does not change, and only where it saves half of the width."""
    samples, width = shape
    return _reduced(shape) if 2 * samples <= width else []


def _logistic(strength: float, shape: tuple[int, ...], seed: int) -> Pipeline:
    return make_pipeline(StandardScaler(), *_turned(shape), LogisticRegression(C=strength, max_iter=200, tol=1e-3))


def _support_vectors(strength: float, width: float, shape: tuple[int, ...], seed: int) -> Pipeline:
    # Standardised vectors lie about sqrt(dimensions) apart.
    model = SVC(C=strength, gamma=width / shape[1], decision_function_shape="ovr")
    return make_pipeline(StandardScaler(), *_turned(shape), model)


def _forest(trees: int, least: int, share: float | None, shape: tuple[int, ...], seed: int) -> Pipeline:
    features = "sqrt" if share is None else max(1, min(_MOST_FEATURES, round(share * shape[1])))
    return make_pipeline(
        RandomForestClassifier(trees, min_samples_leaf=least, max_features=features, random_state=seed, n_jobs=1)
    )


def _boosting(shape: tuple[int, ...], seed: int) -> Pipeline:
    model = HistGradientBoostingClassifier(
        max_iter=40, max_depth=3, min_samples_leaf=3, max_bins=32, l2_regularization=1.0, early_stopping=False
    )
    return make_pipeline(StandardScaler(), *_reduced(shape, _BOOSTED_DIMENSIONS), model.set_params(random_state=seed))


def _discriminant(known: Owned, seed: int) -> Scores:
    vectors = known.samples.vectors
    embedding = make_pipeline(StandardScaler(), *_reduced(vectors.shape)).fit(vectors)
    embedded = embedding.transform(vectors)
    # Samples of one person that are all alike have no covariance to divide by.
    embedded += _JITTER * np.random.default_rng(seed).normal(size=embedded.shape)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(embedded, known.owner)
    return partial(_scores, make_pipeline(embedding, model))


def _nearest(scaled: bool, metric: str, known: Owned, seed: int) -> Scores:
    scaler = StandardScaler(with_std=scaled).fit(known.samples.vectors)
    vectors = scaler.transform(known.samples.vectors)
    means = np.array([vectors[known.owner == person].mean(axis=0) for person in range(known.people)])

    def scores(samples: Samples) -> np.ndarray:
        # The angle to a mean of zeros is undefined: such a person is as far as can be.
        return np.nan_to_num(-cdist(scaler.transform(samples.vectors), means, metric), nan=-2.0)

    return scores
