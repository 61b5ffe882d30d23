"""What a run guarantees, in numbers and in plain words."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tff_affect.errors import InputError
from tff_affect.plain_json import plain
from tff_affect.privacy_config import PrivacyConfig

WIDTH = 100
"""Columns of `Guarantee.text`."""
_UNITS = ("subject", "window")
_INFINITE = "inf"
_OF = "is that of "
_AGAIN = "do not edit it; train into a new folder"
_TRUST = {
    "local": "no trust in the server: each client adds noise to its own update; idealised Gaussian noise",
    "distributed": "simulated secure sum: no cryptography; discrete noise, accounted by its total",
}
_MECHANISMS = {
    "fixed": "Gaussian noise, fixed clipping norm",
    "adaptive": "Gaussian noise, clipping norm follows a noised quantile (Andrew et al. 2021)",
    "tree": "noise in trees, DP-FTRL (Kairouz et al. 2021)",
    "local": "Gaussian noise of each client (local)",
    "distributed": "discrete noise of all clients together (distributed)",
}
_OUTSIDE = (
    "per-client tables and predictions",
    "scaling of the features, per subject or over the training clients",
    "early stopping and the choice of a round on development clients",
    "training loss and window counts: withheld, not protected",
)


@dataclass(frozen=True)
class Guarantee:
    """(epsilon, delta)-differential privacy of what a run released.

    Attributes:
        epsilon: Of the least protected subject or window; ``inf`` without noise, 0 where nothing was released.
        delta: Probability with which epsilon may be exceeded.
        unit: What is protected, ``subject`` or ``window``.
        adjacency: What neighbouring data sets differ in.
        sampling: Who takes part, in words.
        mechanism: Where the noise is, in words.
        noise_multiplier: Standard deviation of the noise over the clipping norm.
        clipping_norm: Largest L2 norm of what is protected; with adaptive clipping that of the first round.
        rounds: Rounds that released something.
        accountant: How epsilon was found.
        trust: Who has to be trusted, in words.
        outside: What epsilon does not cover.
        remarks: What else has to be said.
        per_client: Level ``window``: epsilon of each client's windows.
    """

    epsilon: float
    delta: float
    unit: str
    adjacency: str
    sampling: str
    mechanism: str
    noise_multiplier: float
    clipping_norm: float
    rounds: int
    accountant: str
    trust: str
    outside: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    per_client: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Of JSON's types; an infinite number is the text ``inf``, since JSON has none."""
        return plain(asdict(self))

    @classmethod
    def from_json(cls, content: Any, name: str = "guarantee", file: Path | None = None) -> Guarantee:
        """The counterpart of `to_json`.

        Args:
            content: As JSON gives it.
            name: Whose guarantee it is; for errors.
            file: Where it stands; for errors.

        Raises:
            InputError: If it is something else than a guarantee.
        """
        if not isinstance(content, dict) or set(content) != {entry.name for entry in fields(cls)}:
            names = ", ".join(entry.name for entry in fields(cls))
            raise InputError(f"{name}: expected {names}, found {_shown(content)}; {_AGAIN}", file=file)
        values = {}
        for entry in fields(cls):
            wanted, read = _READERS[str(entry.type)]
            values[entry.name] = value = read(content[entry.name])
            if value is None:
                found = _shown(content[entry.name])
                raise InputError(f"{name}, {entry.name}: expected {wanted}, found {found}; {_AGAIN}", file=file)
        guarantee = cls(**values)
        _check(guarantee, name, file)
        return guarantee

    def text(self) -> str:
        """Lines for a terminal of ``WIDTH`` columns."""
        lines = [
            f"epsilon {self.epsilon:.4g} at delta {self.delta:.3g} for one {self.unit} ({self.adjacency})",
            *_entry("noise", f"{self.noise_multiplier:.4g} x clipping norm {self.clipping_norm:g}; {self.mechanism}"),
            *_entry("rounds", f"{self.rounds}; {self.sampling}"),
            *_entry("accounting", self.accountant),
            *_entry("trust", self.trust),
        ]
        for item in self.outside:
            lines += _entry("not covered", item)
        for remark in self.remarks:
            lines += _entry("note", remark)
        return "\n".join(lines)


def _entry(name: str, value: str) -> list[str]:
    return textwrap.wrap(value, WIDTH, initial_indent=f"  {name:<13}", subsequent_indent=" " * 15)


def guarantees_from_json(content: Any, methods: Sequence[str], file: Path | None = None) -> dict[str, Guarantee]:
    """The guarantees that a run wrote, by method.

    Args:
        content: Of the file, as JSON gives it.
        methods: Those that there may be.
        file: For errors.

    Raises:
        InputError: If it holds something else than guarantees of these methods.
    """
    if not isinstance(content, dict) or not set(content) <= set(methods):
        names = ", ".join(methods)
        raise InputError(f"expected guarantees of {names}, found {_shown(content)}; {_AGAIN}", file=file)
    return {method: Guarantee.from_json(entry, method, file) for method, entry in content.items()}


def named_remark(client: str) -> str:
    """The remark that says which client's epsilon is named, where each has a delta of its own."""
    return f"delta is 1 / (10 n) of each client's own n windows; the one named {_OF}{client}"


def without_client(remark: str, clients: Collection[str]) -> tuple[str, str]:
    """A remark without the client that its last words name (``... is that of P07``), and that client.

    Args:
        remark: Of a guarantee.
        clients: Who may be named.

    Returns:
        The remark up to the name, and the name; the whole remark and an empty text where nobody is named.
    """
    before, words, last = remark.rpartition(_OF)
    return (before + words, last) if words and last in clients else (remark, "")


def default_delta(members: int) -> float:
    """1 / (10 N), N being the subjects, or the windows of a client."""
    return 1 / (10 * members)


def delta_remarks(delta: float, members: int, forced: bool) -> list[str]:
    """What has to be said of a delta.

    Args:
        delta: Probability with which epsilon may be exceeded.
        members: Training subjects, or the windows of a client.
        forced: Whether 1 / N and more is accepted.

    Raises:
        InputError: For 1 / N or more, unless forced: to publish one record whole would then count as private.
    """
    if not 0 < delta < 1:
        raise InputError(f"privacy.delta: expected a number between 0 and 1, found {delta:g}")
    if delta >= 1 / members:
        if not forced:
            raise InputError(
                f"privacy.delta: expected below 1/{members}, since publishing one of {members} records whole satisfies "
                f"that, found {delta:g}; leave it out for {default_delta(members):.3g}, or set privacy.force=true"
            )
        return [f"delta is 1/{members} or more: publishing one record whole satisfies that"]
    if delta > 1 / (1.1 * members):
        return [f"delta above 1/(1.1 N), with N = {members}"]
    return []


def trust_of(privacy: PrivacyConfig) -> str:
    """Who has to be trusted."""
    if privacy.level == "window":
        return "no trust in the server: each client adds noise to its own steps; idealised Gaussian noise"
    return _TRUST.get(privacy.mechanism, "trusted server, idealised Gaussian noise")


def mechanism_of(privacy: PrivacyConfig) -> str:
    """Where the noise is."""
    if privacy.level == "window":
        return "Gaussian noise on each step's clipped gradients (DP-SGD, Abadi et al. 2016)"
    return _MECHANISMS[privacy.mechanism]


def outside_of(privacy: PrivacyConfig) -> tuple[str, ...]:
    """What epsilon does not cover."""
    if privacy.settings_from != "this cohort":
        return _OUTSIDE
    return (*_OUTSIDE, "hyper-parameters: chosen on this cohort")


def noise_remarks(privacy: PrivacyConfig) -> list[str]:
    """What has to be said of the noise."""
    remarks = ["simulation only: the noise is reproducible"] if privacy.reproducible_noise else []
    if not privacy.noise_multiplier:
        remarks.append("no noise: clipping alone protects nobody")
    return remarks


def _check(guarantee: Guarantee, name: str, file: Path | None) -> None:
    if not 0 < guarantee.delta < 1:
        raise InputError(f"{name}, delta: expected above 0 and below 1, found {guarantee.delta:g}; {_AGAIN}", file=file)
    if guarantee.unit not in _UNITS:
        units = " or ".join(_UNITS)
        raise InputError(f"{name}, unit: expected {units}, found {guarantee.unit!r}; {_AGAIN}", file=file)


def _shown(content: Any) -> str:
    shown = ", ".join(map(str, content)) if isinstance(content, dict) else repr(content)
    return textwrap.shorten(shown, WIDTH, placeholder=" ...") or "nothing"


def _number(value: Any) -> float | None:
    if value == _INFINITE:
        return math.inf
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and 0 <= value < math.inf else None


def _whole(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: Any) -> tuple[str, ...] | None:
    return tuple(value) if isinstance(value, list) and all(map(_text, value)) else None


def _numbers(value: Any) -> dict[str, float] | None:
    if not isinstance(value, dict):
        return None
    numbers = {name: _number(number) for name, number in value.items()}
    known = {name: number for name, number in numbers.items() if number is not None}
    return known if len(known) == len(numbers) else None


# By the annotation of the attribute.
_READERS: dict[str, tuple[str, Any]] = {
    "float": ("a number of 0 or more, or 'inf'", _number),
    "int": ("a whole number of 0 or more", _whole),
    "str": ("a text", _text),
    "tuple[str, ...]": ("a list of texts", _texts),
    "Mapping[str, float]": ("numbers by name", _numbers),
}
