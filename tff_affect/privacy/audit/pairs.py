"""Attackers that say of two samples whether they are of one person, and that learned it from other people.

Each compares a sample with the mean of what somebody was enrolled with. What they know of faces, such as which
directions tell people apart and which change from minute to minute, comes from background people alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tff_affect.privacy.audit.samples import Owned, Samples

COSINE, DISCRIMINANT, PAIRWISE = "cosine", "discriminant embedding", "classifier of pairs"
_PAIR_DIMENSIONS = 16
_IMPOSTORS = 15
_JITTER = 1e-3


@dataclass(frozen=True)
class Group:
    """Some of the people.

    Attributes:
        enrolment: Of each, samples known to be theirs.
        probe: Of each, samples to be compared with everybody's enrolment.
    """

    enrolment: Sequence[Samples]
    probe: Sequence[Samples]

    @property
    def owned(self) -> Owned:
        """All samples of each."""
        return Owned.of([Samples.joined(both) for both in zip(self.enrolment, self.probe, strict=True)])

    @property
    def probes(self) -> Owned:
        """All probe samples."""
        return Owned.of(self.probe)


Likeness = Callable[[Group], np.ndarray]
"""From people to ``[probe samples, people]``, larger the more a sample is like a person's enrolment."""
Embedding = Callable[[np.ndarray], np.ndarray]
"""From ``[samples, statistics]`` to ``[samples, dimensions]``."""


class PairLearner(Protocol):
    """An attacker with its settings."""

    def __call__(self, background: Group, seed: int) -> Likeness:
        """Learns from background people."""


@dataclass(frozen=True)
class PairFamily:
    """Attackers of one kind, with several settings."""

    name: str
    candidates: tuple[PairLearner, ...]


def pair_families() -> list[PairFamily]:
    """All that are tried."""
    shrunken = [(shrinkage, dimensions) for shrinkage in (0.1, 0.5) for dimensions in (8, 32)]
    classifiers = [_logistic(0.01), _logistic(1.0), _boosting]
    return [
        PairFamily(COSINE, tuple(partial(_cosine, dimensions) for dimensions in (None, 8, 32))),
        PairFamily(DISCRIMINANT, tuple(partial(_discriminant, *settings) for settings in shrunken)),
        PairFamily(PAIRWISE, tuple(partial(_pairwise, classifier) for classifier in classifiers)),
    ]


def _enrolled(embed: Embedding, people: Group) -> np.ndarray:
    """``[people, dimensions]``."""
    return np.array([embed(samples.vectors).mean(axis=0) for samples in people.enrolment])


def _angles(embed: Embedding, people: Group) -> np.ndarray:
    distances = cdist(embed(people.probes.samples.vectors), _enrolled(embed, people), "cosine")
    # The angle to a vector of zeros is undefined, and says nothing for or against.
    return np.nan_to_num(1 - distances, nan=0.0)


def _components(shape: tuple[int, ...], most: int) -> int:
    return max(1, min(most, shape[1], shape[0] - 1))


def _cosine(dimensions: int | None, background: Group, seed: int) -> Likeness:
    """Standardised vectors, or whitened principal components of them."""
    vectors = background.owned.samples.vectors
    steps: list[Any] = [StandardScaler()]
    if dimensions is not None:
        steps.append(PCA(_components(vectors.shape, dimensions), whiten=True, svd_solver="full"))
    return partial(_angles, make_pipeline(*steps).fit(vectors).transform)


def _discriminant(shrinkage: float, dimensions: int, background: Group, seed: int) -> Likeness:
    """Directions that vary between people and not within them (Fisher 1936)."""
    known = background.owned
    vectors = known.samples.vectors
    # Half as many directions as samples: within people there is less to learn from than between all.
    reduction = PCA(_components(vectors.shape, max(2, len(vectors) // 2)), svd_solver="full")
    most = min(dimensions, known.people - 1, reduction.n_components)
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage, n_components=most)
    embedding = make_pipeline(StandardScaler(), reduction).fit(vectors)
    embedded = embedding.transform(vectors)
    # Samples of one person that are all alike have no covariance to divide by.
    embedded += _JITTER * np.random.default_rng(seed).normal(size=embedded.shape)
    return partial(_angles, make_pipeline(embedding, model.fit(embedded, known.owner)).transform)


Classifier = Callable[[int], Any]
"""From a seed to an estimator with ``decision_function``."""


def _logistic(strength: float) -> Classifier:
    return lambda seed: make_pipeline(
        StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=200, tol=1e-3)
    )


def _boosting(seed: int) -> Any:
    return HistGradientBoostingClassifier(
        max_iter=40, max_depth=3, class_weight="balanced", early_stopping=False, random_state=seed
    )


def _pairwise(make: Classifier, background: Group, seed: int) -> Likeness:
    """A classifier of what two vectors have in common, on pairs of background people."""
    vectors = background.owned.samples.vectors
    components = _components(vectors.shape, _PAIR_DIMENSIONS)
    embedding = make_pipeline(StandardScaler(), PCA(components, whiten=True, svd_solver="full")).fit(vectors)
    pairs = _pairs(embedding, background)
    owner = background.probes.owner
    rows, people = _chosen(owner, pairs.shape[1], seed)
    model = make(seed).fit(pairs[rows, people], owner[rows] == people)
    return lambda group: _judged(model, _pairs(embedding, group))


def _pairs(embedding: Pipeline, people: Group) -> np.ndarray:
    """``[probe samples, people, 2 dimensions]``: how far apart two vectors are, and where they agree in sign."""
    one = embedding.transform(people.probes.samples.vectors)[:, np.newaxis]
    other = _enrolled(embedding.transform, people)[np.newaxis]
    return np.concatenate([np.abs(one - other), one * other], axis=-1)


def _chosen(owner: np.ndarray, people: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and people of the pairs learned from: of each sample the genuine one and some impostors."""
    rank = np.random.default_rng(seed).random((len(owner), people))
    rank[np.arange(len(owner)), owner] = -1.0
    chosen = np.argsort(rank, axis=1)[:, : 1 + _IMPOSTORS]
    return np.repeat(np.arange(len(owner)), chosen.shape[1]), chosen.ravel()


def _judged(model: Any, pairs: np.ndarray) -> np.ndarray:
    return np.asarray(model.decision_function(pairs.reshape(-1, pairs.shape[-1]))).reshape(pairs.shape[:2])
