"""What a round over workers costs, as a model that is linear in what it consists of, fitted to measured rounds.

    seconds = a + b P + w (c + d P) + k (e + f F + g F P)

for P parameters, w workers, k clients one after the other at the busiest worker, and F frames that a client learns from
(its frames times local epochs). ``a + b P`` is what the driver does once a round, ``c + d P`` what it does for each
worker (Python serialises for one worker after the other), the rest what the busiest worker does. No coefficient is
negative.

Over a line, `over_line` adds what waits for it: calls that follow each other, and the bytes of one worker.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from benchmarks.workers_line import Line
from tff_affect.learning.worker_calls import Traffic

_UNITS = (
    ("a", "s a round"),
    ("b", "s a million parameters"),
    ("c", "s a worker"),
    ("d", "s a worker and million parameters"),
    ("e", "s a client"),
    ("f", "s a client and thousand frames"),
    ("g", "s a client, thousand frames and million parameters"),
)


@dataclass(frozen=True)
class Case:
    """A kind of round.

    Attributes:
        workers: How many share the clients.
        clients: Of the round.
        parameters: Of the model.
        frames: That a client learns from: its frames times local epochs.
        concurrent: Clients that a worker computes at the same time.
    """

    workers: int
    clients: int
    parameters: int
    frames: float
    concurrent: int = 1

    @property
    def in_turn(self) -> int:
        """Clients one after the other at the busiest worker."""
        return math.ceil(math.ceil(self.clients / self.workers) / self.concurrent)

    @property
    def terms(self) -> list[float]:
        """What the coefficients are multiplied with."""
        millions, thousands, turns = self.parameters / 1e6, self.frames / 1e3, self.in_turn
        at_driver = [1.0, millions, float(self.workers), self.workers * millions]
        return [*at_driver, turns, turns * thousands, turns * thousands * millions]


@dataclass(frozen=True)
class Measured:
    """A kind of round as it was measured.

    Attributes:
        case: The round.
        seconds: Of each repeat.
        traffic: Bytes of a round, all workers together.
    """

    case: Case
    seconds: tuple[float, ...]
    traffic: Traffic

    @property
    def fastest(self) -> float:
        """Seconds of the fastest repeat: what others do on the machine only ever adds to it."""
        return min(self.seconds)


@dataclass(frozen=True)
class CostModel:
    """Coefficients ``a`` to ``g``, as in the module's formula."""

    coefficients: tuple[float, ...]

    @classmethod
    def fit(cls, measured: Sequence[Measured]) -> CostModel:
        """Least squares of the relative residuals."""
        weights = np.array([1 / found.fastest for found in measured])
        terms = np.array([found.case.terms for found in measured]) * weights[:, np.newaxis]
        return cls(tuple(float(value) for value in nnls(terms, np.ones(len(measured)))[0]))

    def seconds(self, case: Case) -> float:
        """Of a round on loopback."""
        return float(np.dot(self.coefficients, case.terms))

    def lines(self) -> list[str]:
        """The coefficients, in words."""
        named = zip(_UNITS, self.coefficients, strict=True)
        return [f"{name} = {value:.4g} {unit}" for (name, unit), value in named]


@dataclass(frozen=True)
class TrafficModel:
    """Bytes of a round: ``workers (per_parameter P + fixed) + per_client n``, each way.

    Attributes:
        sent: The three coefficients of what workers get.
        received: Of what they send.
    """

    sent: tuple[float, float, float]
    received: tuple[float, float, float]

    @classmethod
    def fit(cls, measured: Sequence[Measured]) -> TrafficModel:
        """Least squares."""
        cases = [found.case for found in measured]
        terms = np.array([[case.workers * case.parameters, case.workers, case.clients] for case in cases], float)

        def solved(values: Sequence[float]) -> tuple[float, float, float]:
            a, b, c = np.linalg.lstsq(terms, np.array(values, float), rcond=None)[0]
            return float(a), float(b), float(c)

        return cls(
            solved([found.traffic.sent for found in measured]), solved([found.traffic.received for found in measured])
        )

    def predicted(self, case: Case) -> Traffic:
        """Bytes of a round."""
        terms = [case.workers * case.parameters, case.workers, case.clients]
        return Traffic(round(float(np.dot(self.sent, terms))), round(float(np.dot(self.received, terms))))

    def lines(self) -> list[str]:
        """The coefficients, in words."""
        both = (("sent", self.sent), ("received", self.received))
        return [f"{way}: workers x ({p:.3f} P + {fixed:.0f}) + {each:.1f} a client" for way, (p, fixed, each) in both]


def over_line(seconds: float, traffic: Traffic, workers: int, line: Line, turns: float) -> float:
    """Seconds of a round over a line, each worker on a line of its own.

    Args:
        seconds: Of the round on loopback.
        traffic: Its bytes, all workers together.
        workers: How many share them.
        line: Round trip and bandwidth.
        turns: Calls of a round that follow each other.
    """
    per_worker = (traffic.sent + traffic.received) / workers
    return seconds + turns * line.round_trip + (per_worker / line.bytes_per_second if line.bytes_per_second else 0.0)


def table(measured: Sequence[Measured], model: CostModel) -> list[dict[str, float]]:
    """Measured beside fitted, a row for each kind of round; the residual is a share of the fastest repeat."""
    rows = []
    for found in measured:
        case, fitted = found.case, model.seconds(found.case)
        rows.append(
            {
                "workers": case.workers, "clients": case.clients, "parameters": case.parameters, "frames": case.frames,
                "median": round(statistics.median(found.seconds), 4), "fastest": round(found.fastest, 4),
                "fitted": round(fitted, 4), "residual": round(fitted / found.fastest - 1, 3),
                "sent": found.traffic.sent, "received": found.traffic.received,
            }
        )  # fmt: skip
    return rows
