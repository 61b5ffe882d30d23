"""Genuine and impostor trials of a verification attack, and how well a score separates them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tff_affect.privacy.audit.samples import Owned


@dataclass(frozen=True)
class Trials:
    """Comparisons of a probe sample with an enrolled person; each person's probe samples weigh 1 together.

    Attributes:
        level: ``[trials]`` the place of the trial's score among all distinct ones, the lowest first.
        prober: ``[trials]`` whose sample it is, by number.
        enrolled: ``[trials]`` whom it is compared with.
        weight: ``[trials]``.
        people: How many.
    """

    level: np.ndarray
    prober: np.ndarray
    enrolled: np.ndarray
    weight: np.ndarray
    people: int

    @classmethod
    def of(cls, scores: np.ndarray, probe: Owned) -> Trials:
        """From ``[samples, people]``, NaN where a pair is no trial."""
        row, enrolled = np.nonzero(np.isfinite(scores))
        level = np.unique(scores[row, enrolled], return_inverse=True)[1]
        prober = probe.owner[row]
        return cls(level, prober, enrolled, 1 / np.bincount(probe.owner)[prober], scores.shape[1])

    def curve(self, drawn: np.ndarray | None = None) -> tuple[float, float]:
        """Area under the ROC curve and equal error rate; NaN without genuine or without impostor trials.

        Args:
            drawn: Numbers of people, with repetitions, who are drawn with their trials; all people by default. A person
                who is drawn twice is no impostor of themselves.
        """
        times = np.bincount(np.arange(self.people) if drawn is None else drawn, minlength=self.people)
        own = self.prober == self.enrolled
        weight = self.weight * times[self.prober]
        genuine = np.bincount(self.level, np.where(own, weight, 0.0))
        impostor = np.bincount(self.level, np.where(own, 0.0, weight * times[self.enrolled]))
        if not genuine.sum() or not impostor.sum():
            return float("nan"), float("nan")
        genuine, impostor = genuine / genuine.sum(), impostor / impostor.sum()
        auc = float(genuine @ (np.cumsum(impostor) - impostor / 2))
        return auc, _equal_error_rate(genuine, impostor)

    def table(self) -> np.ndarray:
        """``[prober, enrolled]`` whose mean diagonal is the AUC, and stays it under any change of owners.

        The AUC is a sum of ranks among all trials (Mann and Whitney 1947). Under a permutation, other trials are
        genuine and all trials stay.
        """
        total = np.bincount(self.level, self.weight)
        rank = (np.cumsum(total) - total / 2)[self.level]
        ranks = np.zeros((self.people, self.people))
        np.add.at(ranks, (self.prober, self.enrolled), self.weight * rank)
        impostors = self.weight.sum() - self.people
        return np.asarray((ranks - self.people / 2) / impostors)


def _equal_error_rate(genuine: np.ndarray, impostor: np.ndarray) -> float:
    """Where the two error rates cross, from shares at each level; between two thresholds they change linearly."""
    refused = np.concatenate([[0.0], np.cumsum(genuine)])
    accepted = 1 - np.concatenate([[0.0], np.cumsum(impostor)])
    after = int(np.argmax(refused >= accepted))
    before = after - 1
    step = (refused[after] - refused[before]) + (accepted[before] - accepted[after])
    share = (accepted[before] - refused[before]) / step
    return float(refused[before] + share * (refused[after] - refused[before]))
