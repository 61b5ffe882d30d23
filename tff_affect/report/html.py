"""One HTML file for a study: for a phone, in light or dark, or on paper; no script, nothing from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from tff_affect.atomic import replace_text
from tff_affect.config import METHODS
from tff_affect.evaluation.per_client import seed_averages, summarise
from tff_affect.report import plots, tables
from tff_affect.report.audit import audit_section
from tff_affect.report.page import inline, render
from tff_affect.report.privacy import PRIVATE_METHODS
from tff_affect.report.privacy_section import privacy_section
from tff_affect.report.study import FEDERATED_METHODS, CohortFacts, Study, open_study, overlapping_subjects, traces
from tff_affect.report.svg import BLUE

REPORT = "report.html"
_CAPTIONS = {
    "rounds": (
        "Over rounds",
        "Each thin line is one development client, the thick line their mean, up to the last round that every run "
        "reached. Pooled CCC also rewards knowing which client is which; the mean over clients does not.",
    ),
    "clients": (
        "Per test client",
        "Test clients sorted by their {leading} CCC, with the other methods beside it.",
    ),
    "slopes": (
        "{Leading} against local-only",
        "Each line is one test client. The Wilcoxon signed-rank test pairs the two methods by client; it is not "
        "corrected for testing several dimensions.",
    ),
    "traces": (
        "Over time",
        "The best, median and worst test client of the first seed, by {leading} CCC. Long recordings are drawn as "
        "means of neighbouring frames; gaps are missing frames.",
    ),
}


def write_report(study_folder: str | Path, facts: CohortFacts) -> Path:
    """Writes ``report.html`` into a study's folder; all of it, or nothing.

    Args:
        study_folder: A folder of runs ``seed-0``, ``seed-0_fold-1``, ..., or one run. Only ``results.csv`` must be
            there; sections whose files are missing are left out.
        facts: What to say of the cohort.

    Returns:
        The file written.

    Raises:
        InputError: If there is no run with results, a file is unreadable, or the folder cannot be written to.
    """
    path = Path(study_folder) / REPORT
    replace_text(path, render_report(open_study(study_folder), facts, audit_section(study_folder)))
    return path


def render_report(study: Study, facts: CohortFacts, audit: Mapping[str, Any] | None = None) -> str:
    """The report of a study as one HTML document.

    Args:
        study: The study.
        facts: What to say of the cohort.
        audit: As `tff_affect.report.audit.audit_section` gives it; None where the study was not audited.

    Raises:
        InputError: If a table of predictions is unreadable.
    """
    records = tables.headline_records(summarise(study.results, study.dimensions), facts.synthetic, study.privacy)
    return render(
        "report.html.jinja",
        facts=facts,
        dimensions=study.dimensions,
        headline=_headline(records, _protocol(study)),
        privacy=privacy_section(study),
        audit=audit,
        limits=_limits(study),
        figures=_figures(study, facts),
        clients=_client_table(study),
        runs=len(study.runs),
        config=study.config,
        environment=_flat(study.environment),
    )


def _protocol(study: Study) -> str:
    if overlapping_subjects(study):
        return "not subject-independent: some test clients took part in training"
    return tables.PROTOCOL if study.splits else "the split of subjects was not kept"


def _headline(records: list[dict[str, Any]], protocol: str) -> dict[str, Any]:
    columns = tables.headline_columns(records)
    groups: dict[str, list[tuple[str, list[str]]]] = {}
    for record in records:
        rows = groups.setdefault(tables.group_heading(record["dimension"], record["kind"]), [])
        rows.append((record["method"], tables.headline_cells(record, columns)))
    return {"columns": columns, "groups": groups, "caption": tables.headline_caption(records, protocol)}


def _limits(study: Study) -> dict[str, Any]:
    return {
        "splits": bool(study.splits),
        "overlap": overlapping_subjects(study),
        "local_only": "local-only" in set(study.results["method"]),
        "seeds": study.results["seed"].nunique(),
        "test_clients": study.results["client"].nunique(),
        "subject_scaling": _configured(study, "scaling", "subject"),
        "ccc_loss": _configured(study, "loss", "ccc"),
        "post_processed": "post-processed" in set(study.results["kind"]),
    }


def _configured(study: Study, setting: str, value: str) -> bool:
    return re.search(rf"^\s*{setting}: {value}\s*$", study.config, flags=re.MULTILINE) is not None


def _figures(study: Study, facts: CohortFacts) -> list[dict[str, Any]]:
    drawn: dict[str, list[Markup]] = {plot: [] for plot in _CAPTIONS}
    for dimension in study.dimensions:
        shown = {
            "rounds": [
                plots.rounds_plot(study.per_client, study.rounds, dimension, facts.synthetic, method)
                for method in FEDERATED_METHODS
            ],
            "clients": [plots.clients_plot(study.results, dimension, facts.synthetic)],
            "slopes": [plots.slopes_plot(study.results, dimension, facts.synthetic)],
            "traces": [plots.traces_plot(traces(study, dimension), dimension, facts.time_unit, facts.synthetic)],
        }
        for plot, images in shown.items():
            drawn[plot] += [_inline(image) for image in images if image is not None]
    return [
        {"heading": _worded(heading, study), "caption": _caption(plot, caption, study), "images": drawn[plot]}
        for plot, (heading, caption) in _CAPTIONS.items()
        if drawn[plot]
    ]


def _caption(plot: str, caption: str, study: Study) -> str:
    """The caption, with the epsilon of each private method that the plot shows."""
    shown = {"rounds": FEDERATED_METHODS, "clients": PRIVATE_METHODS}.get(plot, (study.federated,))
    private = [study.privacy.methods[method] for method in shown if method in study.privacy.methods]
    return " ".join([_worded(caption, study), *(f"{method.method}: {method.headline}." for method in private)])


def _worded(text: str, study: Study) -> str:
    leading = study.federated
    return text.format(leading=leading, Leading=leading[:1].upper() + leading[1:])


def _inline(image: str) -> Markup:
    """The plot as a part of the page, whose blue it takes."""
    return inline(image.replace(BLUE.lower(), "var(--blue)"))


def _client_table(study: Study) -> dict[str, Any]:
    """Values of each test client: CCC of every method, then PCC and RMSE of the leading federated one.

    Measured and post-processed values stand in tables of their own.
    """
    means = seed_averages(study.results[study.results["kind"].isin(tables.SHOWN_KINDS)])
    methods = [method for method in METHODS if method in set(means["method"])]
    columns = [("ccc", method) for method in methods]
    columns += [(measure, study.federated) for measure in ("pcc", "rmse") if study.federated in methods]
    rows: dict[str, list[tuple[str, list[str]]]] = {}
    for dimension, kind in product(study.dimensions, tables.SHOWN_KINDS):
        part = means[(means["dimension"] == dimension) & (means["kind"] == kind)]
        wide = part.pivot(index="client", columns="method", values=["ccc", "pcc", "rmse"])
        if len(wide):
            cells = [(str(client), _cells(row, columns)) for client, row in wide.iterrows()]
            rows[tables.group_heading(dimension, kind)] = cells
    return {"columns": [f"{measure.upper()} {method}" for measure, method in columns], "groups": rows}


def _cells(row: pd.Series, columns: list[tuple[str, str]]) -> list[str]:
    return [tables.number(float(row.get(column, np.nan))) for column in columns]


def _flat(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested entries as dotted names with their values as text."""
    flat: list[tuple[str, str]] = []
    for name, value in content.items():
        if isinstance(value, Mapping):
            flat += _flat(value, f"{prefix}{name}.")
        else:
            flat.append((f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)))
    return flat
