"""From lines of results to medians, ratios and bounds."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.simulator_peers import OURS
from tff_affect.errors import InputError

NOISE_LIMIT = 0.05
MEASURES = ("s_per_round", "to_first_round_s", "peak_pss_mb")
_READ = (
    "rounds", "s_per_round", "startup_s", "first_round_s", "peak_pss_mb", "foreign_cpu", "final_train_loss"
)  # fmt: skip
_SAME_LOSS = 1e-5
_MEMORY_BOUND_BYTES = 1.5e9
_PAIR = ["task", "repeat", "beside"]


@dataclass(frozen=True)
class Bound:
    """A ratio ours / peer that is promised.

    Attributes:
        peer: How the labels of the rows begin for which it holds.
        measure: One of ``MEASURES``.
        ratio: The largest that meets it.
    """

    peer: str
    measure: str
    ratio: float


BOUNDS = (
    Bound("flower", "s_per_round", 1.0),
    Bound("pfl", "s_per_round", 1.0),
    Bound("fedjax", "s_per_round", 1.0),
    Bound("stock_tff", "s_per_round", 0.2),
    Bound("flower", "to_first_round_s", 1.0),
)


@dataclass(frozen=True)
class Verdict:
    """How a bound came out.

    Attributes:
        text: The bound and what was found.
        outcome: ``met``, ``missed``, or ``undecided`` where no run was both finished and undisturbed.
    """

    text: str
    outcome: str


def load_results(file: Path) -> pd.DataFrame:
    """Reads ``results.jsonl``: a row per run, with ``to_first_round_s``, ``ok`` (it finished) and ``noisy``.

    A run is noisy where others used more than 5 % of the machine.

    Raises:
        InputError: If a line is no result, or there is none.
    """
    lines = []
    try:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            lines.append(json.loads(line))
            if not {"label", *_PAIR} <= lines[-1].keys():
                raise InputError("expected label, task, repeat and beside", file=file, line=number)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, AttributeError) as error:
        raise InputError("expected a file of results, one JSON object per line", file=file) from error
    if not lines:
        raise InputError("holds no result", file=file)
    return with_derived(pd.DataFrame(lines))


def with_derived(results: pd.DataFrame) -> pd.DataFrame:
    """Adds ``to_first_round_s`` (from the start to the end of the first round), ``ok`` and ``noisy``."""
    numbers = {name: pd.to_numeric(results.get(name, pd.Series(math.nan, results.index))) for name in _READ}
    found = results.assign(**numbers)
    return found.assign(
        to_first_round_s=found["startup_s"] + found["first_round_s"],
        ok=found["s_per_round"].notna(),
        noisy=found["foreign_cpu"] > NOISE_LIMIT,
    )


def paired_ratios(results: pd.DataFrame) -> pd.DataFrame:
    """Ratios ours / peer of every pair of runs: columns ``task``, ``label``, ``noisy`` and one per measure."""
    ours = results[(results["label"] == OURS) & results["ok"]]
    peers = results[(results["label"] != OURS) & results["ok"]]
    pairs = peers.merge(ours, on=_PAIR, suffixes=("", "_ours"))
    ratios = {name: pairs[f"{name}_ours"] / pairs[name] for name in MEASURES}
    return pd.DataFrame({"task": pairs["task"], "label": pairs["label"]} | ratios).assign(
        noisy=pairs["noisy"] | pairs["noisy_ours"]
    )


def clean_median(rows: pd.DataFrame, measure: str) -> float:
    """Median over undisturbed rows; over all of them where there are none, NaN without any."""
    clean = rows[~rows["noisy"]]
    return float((clean if len(clean) else rows)[measure].median())


def summarise(results: pd.DataFrame) -> pd.DataFrame:
    """A row per task and label: medians, ratios ours / peer, numbers of runs and remarks."""
    ratios = paired_ratios(results)
    rows = []
    for (task, label), runs in results.groupby(["task", "label"], sort=False):
        pairs = ratios[(ratios["task"] == task) & (ratios["label"] == label)]
        row = {"task": task, "simulator": label}
        row |= {name: clean_median(runs[runs["ok"]], name) for name in MEASURES}
        row |= {f"ours/it {name}": clean_median(pairs, name) for name in MEASURES}
        row |= {"runs": f"{int((runs['ok'] & ~runs['noisy']).sum())}/{len(runs)}", "remark": _remark(runs)}
        rows.append(row)
    return pd.DataFrame(rows)


def _remark(runs: pd.DataFrame) -> str:
    said = []
    if not runs["ok"].all():
        said.append("FAILED" if not runs["ok"].any() else "some FAILED")
    if runs["noisy"].any():
        said.append(f"NOISY ({runs['foreign_cpu'].max():.0%} foreign CPU)")
    return ", ".join(said)


def loss_spreads(results: pd.DataFrame) -> dict[str, float]:
    """For each task, by how much the final losses of its federated simulators differ after the same rounds."""
    federated = results[results["ok"] & (results["label"] != "keras_central")]
    by_rounds = federated.groupby(["task", "rounds"], sort=False)["final_train_loss"]
    spreads = (by_rounds.max() - by_rounds.min()).groupby("task", sort=False).max()
    return {str(task): float(spread) for task, spread in spreads.items()}


def judge(results: pd.DataFrame) -> list[Verdict]:
    """Every bound for every task and row that was run."""
    ratios = paired_ratios(results)
    verdicts = []
    for task, runs in results.groupby("task", sort=False):
        for bound in BOUNDS:
            for label in (name for name in runs["label"].unique() if name.startswith(bound.peer)):
                pairs = ratios[(ratios["task"] == task) & (ratios["label"] == label)]
                verdicts.append(_judge_ratio(bound, f"{task} {bound.measure} ours/{label}", pairs))
        verdicts.append(_judge_memory(str(task), runs[runs["label"] == OURS]))
    return [*verdicts, *(_judge_work(task, spread) for task, spread in loss_spreads(results).items())]


def _judge_ratio(bound: Bound, name: str, pairs: pd.DataFrame) -> Verdict:
    ratio = clean_median(pairs, bound.measure)
    text = f"{name}: {ratio:.2f} (at most {bound.ratio:g})"
    return Verdict(text, _outcome(ratio <= bound.ratio, bool((~pairs["noisy"]).any())))


def _judge_memory(task: str, ours: pd.DataFrame) -> Verdict:
    peak = float(ours["peak_pss_mb"].max()) * 2**20
    text = f"{task} peak memory of ours: {peak / 1e6:.0f} MB (at most {_MEMORY_BOUND_BYTES / 1e6:.0f})"
    return Verdict(text, _outcome(peak <= _MEMORY_BOUND_BYTES, not math.isnan(peak)))


def _judge_work(task: str, spread: float) -> Verdict:
    text = f"{task} final losses of all simulators within {spread:.1e} (the same work: below {_SAME_LOSS:g})"
    return Verdict(text, _outcome(spread < _SAME_LOSS, not math.isnan(spread)))


def _outcome(met: bool, decided: bool) -> str:
    if not decided:
        return "undecided"
    return "met" if met else "missed"


def show(results: pd.DataFrame) -> bool:
    """Prints the table and the bounds; returns whether all of them are met."""
    verdicts = judge(results)
    for _, rows in summarise(results).groupby("task", sort=False):
        print(rows.to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.3g}"), end="\n\n")
    for verdict in verdicts:
        print(f"{verdict.outcome:10}{verdict.text}")
    return all(verdict.outcome == "met" for verdict in verdicts)
