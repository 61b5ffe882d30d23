"""The headline table: each method per client and pooled, with its interval and, on a SYNTHETIC cohort, its ceiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from tff_affect.atomic import replace_text
from tff_affect.config import METHODS
from tff_affect.report.privacy import INFINITE, UNKNOWN, StudyPrivacy

SYNTHETIC = "SYNTHETIC"
PROTOCOL = "subject-independent: no test client took part in training"
ABSENT = "-"
_EPSILON = "epsilon"
SHOWN_KINDS = ("measured", "post-processed")
_CEILING = " Ceiling: the best causal linear filter that knows the test client's own generative parameters"
_LOCAL_CEILING = " (local-only: those of one training client; a model may exceed that one)"
_POST_PROCESSED = (
    " Post-processed: the same predictions after a chain fitted on the development clients of each run, for each model "
    "by itself; not to be compared with numbers that are not."
)
_CONSTANT_CEILING = " The mean predictor's is 0, that of any constant."


def headline_records(
    summary: pd.DataFrame, synthetic: bool, privacy: StudyPrivacy | None = None
) -> list[dict[str, Any]]:
    """One record per dimension, kind and method, for ``--json`` and ``summary.csv``.

    Measured and post-processed numbers are records of their own. A ceiling stands beside measured numbers alone: it is
    that of a causal predictor, which a filter that looks ahead is not.

    Args:
        summary: As `tff_affect.evaluation.per_client.summarise` gives it.
        synthetic: Whether the cohort is generated; every record says so.
        privacy: As `tff_affect.report.privacy.read_privacy` gives it; without it, the epsilon of a private method is
            unknown.

    Returns:
        Records with ``dimension, kind, method, ccc_mean, ccc_low, ccc_high, ccc_pooled, ccc_mean_sd, ccc_pooled_sd,
        clients, constant_clients, seeds, folds, ceiling_mean, ceiling_pooled, synthetic``, None where a number is not
        defined, and with the keys of `tff_affect.report.privacy.StudyPrivacy.record`.
    """
    records = []
    privacy = privacy or StudyPrivacy()
    for dimension in dict.fromkeys(summary["dimension"]):
        rows = summary[summary["dimension"] == dimension]
        ceilings = rows[rows["kind"] == "attainable"].set_index("method")
        for kind in SHOWN_KINDS:
            found = rows[rows["kind"] == kind].set_index("method")
            known = ceilings if kind == "measured" else ceilings.iloc[:0]
            for method in (name for name in METHODS if name in found.index):
                numbers = found.loc[method].drop(["kind", "dimension"]).to_dict() | _ceiling(known, method)
                values = {name: _plain(value) for name, value in numbers.items()}
                place = {"dimension": dimension, "kind": kind, "method": method}
                records.append(place | values | {"synthetic": synthetic} | privacy.record(method))
    return records


def group_heading(dimension: str, kind: str) -> str:
    """What stands above the rows of one dimension and kind."""
    return dimension if kind == "measured" else f"{dimension}, {kind}"


def _ceiling(ceilings: pd.DataFrame, method: str) -> dict[str, float]:
    """The method's own ceiling; where only one is known, it bounds every method."""
    known = ceilings.loc[[method]] if method in ceilings.index else ceilings
    names = {"ceiling_mean": "ccc_mean", "ceiling_pooled": "ccc_pooled"}
    return {name: float(known[source].iloc[0]) if len(known) == 1 else np.nan for name, source in names.items()}


def _plain(value: Any) -> int | float | None:
    if isinstance(value, int | np.integer):
        return int(value)
    return float(value) if np.isfinite(value) else None


def write_summary(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Writes ``summary.csv`` atomically; a number that is not defined is an empty cell.

    Raises:
        InputError: If it cannot be written there.
    """
    replace_text(path, pd.DataFrame(list(records)).to_csv(index=False, lineterminator="\n"))


def number(value: float | None) -> str:
    """A measure with three decimals; ``-`` where it is not defined."""
    return ABSENT if value is None or not np.isfinite(value) else f"{value:.3f}"


def interval(low: float | None, high: float | None) -> str:
    """An interval in brackets; ``-`` where it is not defined."""
    ends = number(low), number(high)
    return ABSENT if ABSENT in ends else f"[{ends[0]}, {ends[1]}]"


def headline_columns(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Headings that the records fill.

    Epsilon, with what it protects, only where a method is private; ceilings only where one is known; spread over seeds
    only with several.
    """
    units = {record["unit"] for record in records if record["unit"] is not None}
    columns = [" for one ".join([_EPSILON, *units])] if any(map(_is_private, records)) else []
    columns += ["CCC per client", "95 % interval", "CCC pooled"]
    if any(record["ceiling_mean"] is not None for record in records):
        columns += ["ceiling per client", "ceiling pooled"]
    if any(record["seeds"] > 1 for record in records):
        columns += ["SD over seeds"]
    return columns


def headline_cells(record: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    """A record's numbers as text, one per heading of `headline_columns`."""
    cells = {
        "CCC per client": number(record["ccc_mean"]),
        "95 % interval": interval(record["ccc_low"], record["ccc_high"]),
        "CCC pooled": number(record["ccc_pooled"]),
        "ceiling per client": number(record["ceiling_mean"]),
        "ceiling pooled": number(record["ceiling_pooled"]),
        "SD over seeds": number(record["ccc_mean_sd"]),
    }
    epsilon = epsilon_text(record["epsilon"])
    return [epsilon if column.startswith(_EPSILON) else cells[column] for column in columns]


def _is_private(record: Mapping[str, Any]) -> bool:
    return record["epsilon"] is not None


def epsilon_text(value: float | str | None) -> str:
    """An epsilon with four digits, ``inf`` and ``unknown`` as they are; ``-`` without privacy."""
    if value is None:
        return ABSENT
    return value if isinstance(value, str) else f"{value:.4g}"


def headline_caption(records: Sequence[Mapping[str, Any]], protocol: str = PROTOCOL) -> str:
    """What the numbers rest on: test clients, seeds, folds, protocol, and what each column means."""
    clients = sorted({int(record["clients"]) for record in records})
    counts = [
        counted("-".join(map(str, dict.fromkeys((clients[0], clients[-1])))), "test client"),
        counted(max(record["seeds"] for record in records), "seed"),
    ]
    folds = max(record["folds"] for record in records)
    counts.append(counted(folds, "fold") if folds > 1 else "one split")
    intervals = [interval(record["ccc_low"], record["ccc_high"]) for record in records]
    text = (
        f"{', '.join(counts)}; {protocol}. Per client: mean over test clients, with a 95 % bootstrap interval over "
        f"clients{f' ({ABSENT}: too few clients)' if ABSENT in intervals else ''}. "
        "Pooled: all frames of all test clients together."
    )
    local = any(record["method"] == "local-only" for record in records)
    if local:
        text += " Local-only: each training client's own model, applied to every test client, averaged."
    text += _privacy_caption([record for record in records if _is_private(record)])
    flagged = [record for record in records if record["constant_clients"]]
    if flagged:
        methods = ", ".join(dict.fromkeys(group_heading(record["method"], record["kind"]) for record in flagged))
        text += f" With some constant series, counted as 0: {methods}."
    if any(record["kind"] == "post-processed" for record in records):
        text += _POST_PROCESSED
    ceilings = {record["method"]: record["ceiling_mean"] for record in records if record["ceiling_mean"] is not None}
    if ceilings:
        text += _CEILING + (_LOCAL_CEILING if local else "") + "."
        text += _CONSTANT_CEILING if ceilings.get("mean predictor") == 0 else ""
    return text


def _privacy_caption(records: Sequence[Mapping[str, Any]]) -> str:
    """What epsilon means in the table, its delta, and the remarks of each private method."""
    if not records:
        return ""
    deltas = {record["method"]: f"{record['delta']:.3g}" for record in records if record["delta"] is not None}
    said = ", ".join(f"{method} at delta {delta}" for method, delta in deltas.items())
    text = (
        f" Epsilon: differential privacy of training, of the weakest run{f' ({said})' if said else ''}; {ABSENT}: none."
    )
    if any(record["epsilon"] == INFINITE for record in records):
        text += " Epsilon inf is no guarantee at all."
    if any(record["epsilon"] == UNKNOWN for record in records):
        text += " Epsilon unknown: a run did not keep its guarantee."
    remarks = {record["method"]: record["privacy_remarks"] for record in records if record["privacy_remarks"]}
    return text + "".join(f" {method}: {remark}." for method, remark in remarks.items())


def counted(number_of: int | str, noun: str) -> str:
    """A number with its noun, in the plural unless it is 1."""
    return f"{number_of} {noun}" if str(number_of) == "1" else f"{number_of} {noun}s"


def headline_table(
    summary: pd.DataFrame,
    synthetic: bool,
    name: str = "",
    protocol: str = PROTOCOL,
    privacy: StudyPrivacy | None = None,
) -> Table:
    """The headline table for the terminal; it fits 100 columns and reads well without colour.

    Args:
        summary: As `tff_affect.evaluation.per_client.summarise` gives it.
        synthetic: Whether the cohort is generated; the title then starts with SYNTHETIC.
        name: The cohort's name, for the title.
        protocol: How clients were split, for the caption.
        privacy: As for `headline_records`.
    """
    records = headline_records(summary, synthetic, privacy)
    columns, private = headline_columns(records), any(map(_is_private, records))
    title = "Concordance (CCC) on test clients" + (f", {name}" if name else "")
    table = Table(
        title=Text(f"{SYNTHETIC} data - {title}" if synthetic else title),
        caption=Text(headline_caption(records, protocol) if records else "no results"),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        # One column more has to fit 80 characters too.
        padding=(0, 0 if private else 1),
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("method", no_wrap=True)
    for column in columns:
        # What is too wide for a terminal is cut off, and of an epsilon no digit may be.
        shown = [epsilon_text(record["epsilon"]) for record in records if column.startswith(_EPSILON)]
        width = max(len(_EPSILON), *map(len, shown)) if shown else 6
        single = column == "95 % interval"
        table.add_column(column, justify="right", no_wrap=single, min_width=width, overflow="fold")
    for (dimension, kind), group in groupby(records, key=itemgetter("dimension", "kind")):
        table.add_section()
        table.add_row(Text(group_heading(dimension, kind), style="bold"))
        for record in group:
            table.add_row(f"  {record['method']}", *headline_cells(record, columns))
    return table
