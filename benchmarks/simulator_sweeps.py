"""How time and memory of a round grow with units, window, clients and frames, and layers beside stock Keras ones.

Everything runs on SYNTHETIC data, each case in a process of its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.simulator_machine import run_for_json, wait_until_idle
from benchmarks.simulator_peers import ROOT
from benchmarks.simulator_table import NOISE_LIMIT
from benchmarks.simulator_work import Work
from tff_affect.errors import InputError

LAYERS = ("simple_rnn", "lstm", "gru", "bilstm")
VALUES: dict[str, tuple[int, ...]] = {
    "units": (16, 32, 64, 128, 256),
    "window": (50, 100, 200, 400, 600),
    "clients": (27, 100, 1000, 10000),
    "frames": (75, 150, 300),
    "layers": (64,),
}
LINEAR = (1.8, 2.2)
_CLIENTS_A_ROUND = 50
_SMALL_CLIENTS = Work(windows=10, batch=10)
_NUMBERS = ("s_per_round", "startup_s", "first_round_s", "peak_mb", "foreign_cpu")


@dataclass(frozen=True)
class Sweep:
    """What is varied, and how long each case runs.

    Attributes:
        what: ``units``, ``window`` (frames per window), ``clients`` (registered; at most 50 a round), ``frames``
            (windows per client, so that steps grow with frames) or ``layers`` (each also as stock TFF with Keras).
        values: The numbers tried: units for ``layers``.
        layers: Keys of the registry of models.
        size: The work where it is not varied.
        rounds: Of each case; the first is kept apart.
        repeats: How often each case runs; medians are taken.
        patience: Seconds to wait for an idle machine before each case.
        limit: Seconds after which a case is given up.
    """

    what: str
    values: Sequence[int]
    layers: Sequence[str]
    size: Work = field(default_factory=Work)
    rounds: int = 5
    repeats: int = 1
    patience: float = 120.0
    limit: float = 900.0


@dataclass(frozen=True)
class Case:
    """One engine on one size of work."""

    engine: str
    work: Work


def _varied(what: str, size: Work, value: int) -> Work:
    if what == "clients":
        return replace(size, clients=value, sample=min(value, _CLIENTS_A_ROUND))
    changed: dict[str, Any] = {_column(what): value}
    return replace(size, **changed)


def cases(sweep: Sweep) -> list[Case]:
    """The cases of a sweep, in the order in which they run.

    Raises:
        InputError: For an unknown sweep, or a sample larger than the number of clients.
    """
    if sweep.what not in VALUES:
        raise InputError(f"--what: expected one of {', '.join(VALUES)}, found {sweep.what!r}")
    if sweep.size.sample > sweep.size.clients:
        raise InputError(f"--sample: expected at most the {sweep.size.clients} clients, found {sweep.size.sample}")
    engines = ("ours", "stock") if sweep.what == "layers" else ("ours",)
    return [
        Case(engine, replace(_varied(sweep.what, sweep.size, value), layer=layer))
        for layer in sweep.layers
        for value in sweep.values
        for engine in engines
    ]


def default_size(what: str) -> Work:
    """The work of a sweep where it is not varied: that of the task of 27 clients; small clients if they are many."""
    return _SMALL_CLIENTS if what == "clients" else Work()


def run_sweep(sweep: Sweep, say: Callable[[str], None] = print) -> pd.DataFrame:
    """Runs all cases, and returns a row per case: the work, medians over the repeats, ratios.

    Raises:
        InputError: For a wrong sweep.
    """
    chosen = cases(sweep)
    with tempfile.TemporaryDirectory() as place:
        rows = [_run_case(case, repeat, sweep, Path(place), say) for repeat in range(sweep.repeats) for case in chosen]
        return with_ratios(sweep.what, pd.DataFrame([_median(case, rows) for case in chosen]))


def _run_case(
    case: Case, repeat: int, sweep: Sweep, place: Path, say: Callable[[str], None]
) -> tuple[Case, dict[str, Any]]:
    wait_until_idle(sweep.patience)
    weights = place / "weights.npz"
    command = [sys.executable, "-m", "benchmarks.simulator", "case", json.dumps(asdict(case.work))]
    command += ["--engine", case.engine, "--rounds", str(sweep.rounds), "--weights", str(weights)]
    errors = place / "errors.txt"
    result = run_for_json(command, ROOT, errors, sweep.limit)
    head = f"{case.engine} {case.work.layer} {sweep.what} {getattr(case.work, _column(sweep.what))}"
    if "failed" in result:
        complaint = errors.read_text(encoding="utf-8").strip().splitlines()[-1:]
        say(f"{head}: FAILED (exit code {result['failed']}) {' '.join(complaint)}")
    else:
        say(f"{head}: {result['s_per_round']:.3f} s a round")
        result["final"] = [array for _, array in sorted(np.load(weights).items())]
    return case, result


def _column(what: str) -> str:
    return {"frames": "windows", "layers": "units"}.get(what, what)


def _median(case: Case, rows: list[tuple[Case, dict[str, Any]]]) -> dict[str, Any]:
    runs = [result for ran, result in rows if ran == case and "failed" not in result]
    found: dict[str, Any] = {"engine": case.engine, **asdict(case.work), "runs": len(runs)}
    found |= {name: float(np.median([run[name] for run in runs])) if runs else np.nan for name in _NUMBERS}
    found["frames_per_s"] = case.work.frames_per_round / found["s_per_round"]
    found["noisy"] = "NOISY" if any(run["foreign_cpu"] > NOISE_LIMIT for run in runs) else ""
    found["final"] = runs[0]["final"] if runs else None
    return found


def with_ratios(what: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Adds ratios to the rows of a sweep, and drops the weights.

    ``layers``: ``ours/stock`` in time, and ``weights_apart``, the largest difference between the two engines' weights
    after the last round. Others: ``doubled``, the ratio to the row before, where that has half the value.
    """
    if what == "layers":
        return _beside_stock(rows).drop(columns="final")
    column = _column(what)
    before = rows.groupby("layer", sort=False)[[column, "s_per_round"]].shift()
    ratio = rows["s_per_round"] / before["s_per_round"]
    return rows.assign(doubled=ratio.where(rows[column] == 2 * before[column])).drop(columns="final")


def _beside_stock(rows: pd.DataFrame) -> pd.DataFrame:
    stock = rows[rows["engine"] == "stock"].set_index(["layer", "units"])
    ours = rows[rows["engine"] == "ours"]
    others = stock.loc[list(zip(ours["layer"], ours["units"], strict=True))]
    apart = [_apart(a, b) for a, b in zip(ours["final"], others["final"], strict=True)]
    ratio = ours["s_per_round"].to_numpy() / others["s_per_round"].to_numpy()
    return rows.join(pd.DataFrame({"ours/stock": ratio, "weights_apart": apart}, index=ours.index))


def _apart(a: list[np.ndarray] | None, b: list[np.ndarray] | None) -> float:
    if a is None or b is None:
        return np.nan
    return max(float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True))


def judge_linearity(rows: pd.DataFrame) -> str:
    """Whether twice the frames took 1.8 to 2.2 times the time: ``met``, ``missed``, or ``undecided`` if disturbed."""
    doubled = rows["doubled"].dropna()
    if doubled.empty or (rows["noisy"] != "").any():
        return "undecided"
    return "met" if doubled.between(*LINEAR).all() else "missed"
