"""What the private methods of a study guarantee: read from its runs, and said in words.

Each run has a guarantee of its own. Where runs differ (folds train on other clients, training stops early), a method is
named with the largest epsilon; a run whose guarantee was not kept makes it unknown, never smaller.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from tff_affect.config import METHODS, PRIVATE_CENTRALISED, PRIVATE_FEDERATED
from tff_affect.errors import InputError
from tff_affect.privacy.guarantee import WIDTH, Guarantee, guarantees_from_json, without_client
from tff_affect.run_folder import PRIVACY, read_json

PRIVATE_METHODS = (PRIVATE_CENTRALISED, PRIVATE_FEDERATED)
UNKNOWN, INFINITE = "unknown", "inf"


@dataclass(frozen=True)
class PrivateMethod:
    """One private method and what its runs guarantee.

    Attributes:
        method: One of ``PRIVATE_METHODS``.
        guarantees: Of each run, the largest epsilon first.
        unstated: Runs with results of the method whose guarantee was not kept.
    """

    method: str
    guarantees: tuple[Guarantee, ...]
    unstated: int = 0

    @property
    def epsilon(self) -> float | None:
        """The largest of all runs; None where that of a run is not known."""
        return None if self.unstated or not self.guarantees else self.guarantees[0].epsilon

    @property
    def unit(self) -> str | None:
        """What is protected, ``subject`` or ``window``; None where no guarantee was kept."""
        return self.guarantees[0].unit if self.guarantees else None

    @property
    def remarks(self) -> list[str]:
        """What has to be said besides, of all runs; what differs in the named client alone is said once."""
        said: dict[str, str] = {}
        for guarantee in self.guarantees:
            for remark in guarantee.remarks:
                said.setdefault(without_client(remark, guarantee.per_client)[0], remark)
        return list(said.values())

    @property
    def headline(self) -> str:
        """Epsilon with delta, unit and adjacency."""
        if self.epsilon is None:
            runs = len(self.guarantees) + self.unstated
            return f"epsilon unknown: {self.unstated} of {runs} runs kept no {PRIVACY}; train into a new folder"
        worst = self.guarantees[0]
        none = ", no guarantee at all," if math.isinf(worst.epsilon) else ""
        return f"epsilon {worst.epsilon:.4g}{none} at delta {worst.delta:.3g} for one {worst.unit} ({worst.adjacency})"

    @property
    def over_runs(self) -> str:
        """How the epsilons of several runs go together; empty for a single run."""
        values = [guarantee.epsilon for guarantee in self.guarantees]
        if len(values) < 2 or self.epsilon is None:
            return ""
        low, high, total = (f"{value:.4g}" for value in (values[-1], values[0], sum(values)))
        spread = f"epsilon {high} in each" if low == high else f"epsilon {low} to {high}, the largest is named"
        return (
            f"{len(values)} runs, {spread}; each run's epsilon is its own, and releasing several composes: epsilons "
            f"and deltas add up, to epsilon {total} at most for all {len(values)} (basic composition)"
        )

    @property
    def per_client(self) -> list[tuple[str, float, float, int]]:
        """Client, its smallest and largest epsilon over the runs that trained on it, and the number of those runs.

        The least protected first; empty where no run names more than one client.
        """
        if all(len(guarantee.per_client) < 2 for guarantee in self.guarantees):
            return []
        found: dict[str, list[float]] = {}
        for guarantee in self.guarantees:
            for client, epsilon in guarantee.per_client.items():
                found.setdefault(client, []).append(epsilon)
        rows = [(client, min(values), max(values), len(values)) for client, values in found.items()]
        return sorted(rows, key=lambda row: (-row[2], row[0]))

    def entries(self) -> list[tuple[str, str]]:
        """What the weakest guarantee rests on: names and values."""
        if not self.guarantees:
            return []
        worst = self.guarantees[0]
        noise = f"{worst.noise_multiplier:.4g} x clipping norm {worst.clipping_norm:g}; {worst.mechanism}"
        stated = {"noise": noise, "rounds": f"{worst.rounds}; {worst.sampling}", "accounting": worst.accountant}
        stated |= {"trust": worst.trust, "runs": self.over_runs}
        return [(name, value) for name, value in stated.items() if value]

    def not_covered(self) -> list[str]:
        """What epsilon leaves out, in any run."""
        return list(dict.fromkeys(item for guarantee in self.guarantees for item in guarantee.outside))

    def text(self) -> str:
        """Lines for a terminal of ``WIDTH`` columns."""
        lines = textwrap.wrap(f"{self.method}: {self.headline}", WIDTH, subsequent_indent="  ")
        notes = [("note", remark) for remark in self.remarks]
        for name, value in [*notes, *self.entries(), *(("not covered", item) for item in self.not_covered())]:
            lines += textwrap.wrap(value, WIDTH, initial_indent=f"  {name:<13}", subsequent_indent=" " * 15)
        return "\n".join(lines)


@dataclass(frozen=True)
class StudyPrivacy:
    """The private methods of a study, and those beside them.

    Attributes:
        methods: By name, in the order of ``METHODS``; empty where nothing is private.
        unprotected: Methods that were trained on the same clients without privacy.
    """

    methods: Mapping[str, PrivateMethod] = field(default_factory=dict)
    unprotected: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """What holds for the study as a whole."""
        found = []
        if len(self.methods) > 1:
            found.append("The private methods were trained on the same clients: released together, they compose too.")
        if self.methods and self.unprotected:
            names = ", ".join(self.unprotected)
            found.append(
                f"Trained without privacy on the same clients: {names}. No epsilon holds once these are released."
            )
        return found

    def record(self, method: str) -> dict[str, Any]:
        """Keys of a record of the headline table: ``epsilon, delta, unit, privacy_remarks``; None without privacy.

        JSON has no infinite number: epsilon is then the text ``inf``; it is ``unknown`` where a run kept none.
        """
        if method not in PRIVATE_METHODS:
            return dict.fromkeys(("epsilon", "delta", "unit", "privacy_remarks"))
        private = self.methods.get(method, PrivateMethod(method, ()))
        epsilon = UNKNOWN if private.epsilon is None else private.epsilon
        return {
            "epsilon": INFINITE if epsilon == math.inf else epsilon,
            "delta": None if private.epsilon is None else private.guarantees[0].delta,
            "unit": private.unit,
            "privacy_remarks": "; ".join(private.remarks) or None,
        }

    def text(self) -> str:
        """Lines for a terminal; empty where nothing is private."""
        parts = [private.text() for private in self.methods.values()]
        return "\n".join([*parts, *(line for warning in self.warnings for line in textwrap.wrap(warning, WIDTH))])


def read_privacy(runs: Iterable[tuple[int, int, Path]], results: pd.DataFrame) -> StudyPrivacy:
    """Reads ``privacy.json`` of each run that has one.

    Args:
        runs: Seed, fold and folder of each run.
        results: Of all runs, with the columns ``method``, ``seed`` and ``fold``.

    Raises:
        InputError: If a file holds something else than guarantees, or runs protect different units.
    """
    stated: dict[str, dict[tuple[int, int], Guarantee]] = {}
    for seed, fold, folder in runs:
        for method, guarantee in _guarantees(folder / PRIVACY).items():
            stated.setdefault(method, {})[seed, fold] = guarantee
            _require_unit(guarantee.unit, stated, folder / PRIVACY)
    measured = set(results[["method", "seed", "fold"]].drop_duplicates().itertuples(index=False, name=None))
    methods = {}
    for method in (name for name in METHODS if name in PRIVATE_METHODS):
        kept = stated.get(method, {})
        missing = sum((seed, fold) not in kept for name, seed, fold in measured if name == method)
        if kept or missing:
            ordered = sorted(kept.values(), key=lambda guarantee: -guarantee.epsilon)
            methods[method] = PrivateMethod(method, tuple(ordered), missing)
    present = {name for name, _, _ in measured}
    return StudyPrivacy(methods, tuple(m for m in METHODS if m in present and m not in PRIVATE_METHODS))


def _require_unit(unit: str, stated: Mapping[str, Mapping[Any, Guarantee]], file: Path) -> None:
    others = {guarantee.unit for kept in stated.values() for guarantee in kept.values()} - {unit}
    if others:
        raise InputError(
            f"expected the unit {others.pop()!r} of the study's other runs, found {unit!r}; keep studies apart",
            file=file,
        )


def _guarantees(file: Path) -> dict[str, Guarantee]:
    return guarantees_from_json(read_json(file), PRIVATE_METHODS, file) if file.is_file() else {}
