"""The headline table of a report, and the table of each test client."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from tff_affect.config import METHODS
from tff_affect.evaluation.per_client import seed_averages, summarise
from tff_affect.report import tables
from tff_affect.report.section import Column, DataTable, Section, ends, measure, slug, text
from tff_affect.report.study import Study, overlapping_subjects

_MEASURES = {
    "CCC per client": "ccc_mean",
    "CCC pooled": "ccc_pooled",
    "ceiling per client": "ceiling_mean",
    "ceiling pooled": "ceiling_pooled",
    "SD over seeds": "ccc_mean_sd",
}


def results_section(study: Study, synthetic: bool) -> Section:
    """Each method per client and pooled; the CSV is ``summary.csv``'s content."""
    records = tables.headline_records(summarise(study.results, study.dimensions), synthetic, study.privacy)
    table = DataTable(
        name="headline",
        caption="Concordance (CCC) on test clients, by method",
        frame=pd.DataFrame(records),
        columns=(text("method", "method"), *map(_column, tables.headline_columns(records))),
        group=[tables.group_heading(record["dimension"], record["kind"]) for record in records],
        strong=study.federated,
        note=tables.headline_caption(records, _protocol(study)),
    )
    return Section("results", "Results", tables=(table,))


def _column(heading: str) -> Column:
    if heading.startswith("epsilon"):
        return Column(heading, ("epsilon",), _epsilon)
    if heading == "95 % interval":
        return ends(heading, "ccc_low", "ccc_high")
    return measure(heading, _MEASURES[heading])


def _epsilon(value: Any) -> str:
    """In a table the epsilon of a method without privacy may have become NaN."""
    return tables.epsilon_text(None if isinstance(value, float) and value != value else value)


def _protocol(study: Study) -> str:
    if overlapping_subjects(study):
        return "not subject-independent: some test clients took part in training"
    return tables.PROTOCOL if study.splits else "the split of subjects was not kept"


def clients_section(study: Study) -> Section:
    """Values of each test client: CCC of every method, then PCC and RMSE of the leading federated one.

    Measured and post-processed values stand in tables of their own.
    """
    means = seed_averages(study.results[study.results["kind"].isin(tables.SHOWN_KINDS)])
    methods = [method for method in METHODS if method in set(means["method"])]
    measures = [("ccc", method) for method in methods]
    measures += [(name, study.federated) for name in ("pcc", "rmse") if study.federated in methods]
    found = []
    for dimension, kind in product(study.dimensions, tables.SHOWN_KINDS):
        part = means[(means["dimension"] == dimension) & (means["kind"] == kind)]
        if len(part):
            found.append(_clients_table(part, tables.group_heading(dimension, kind), measures))
    several = " Averaged over seeds." if study.results["seed"].nunique() > 1 else ""
    return Section(
        "test-clients", "Each test client", tables=tuple(found), texts=(f"Measured frame by frame.{several}",)
    )


def _clients_table(part: pd.DataFrame, heading: str, measures: Sequence[tuple[str, str]]) -> DataTable:
    wide = part.pivot(index="client", columns="method", values=["ccc", "pcc", "rmse"])
    columns_of = {f"{name} {method}": (name, method) for name, method in measures}
    found = {title: wide[key].to_numpy() if key in wide else np.nan for title, key in columns_of.items()}
    frame = pd.DataFrame({"client": wide.index, **found})
    columns = (text("client", "client"), *(measure(f"{n.upper()} {m}", f"{n} {m}") for n, m in measures))
    return DataTable(slug("test-clients", heading), f"Test clients, {heading}", frame, columns)
