"""The table of a grid: variants by ways of training, for one protocol, as CSV, LaTeX and on the terminal.

Numbers of different protocols are made on different gold standards, targets and selections; they never share a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from tff_affect.errors import InputError
from tff_affect.evaluation.grid import fold_spread
from tff_affect.evaluation.per_client import summarise
from tff_affect.report.tables import ABSENT, SYNTHETIC, counted, group_heading, headline_records, interval, number

TABLE_CSV, TABLE_TEX = "table.csv", "table.tex"
COLUMNS = (
    "protocol", "variant", "method", "kind", "dimension", "ccc_mean", "ccc_sd_folds", "ccc_sd_seeds", "ccc_low",
    "ccc_high", "ccc_pooled", "ceiling_mean", "ceiling_pooled", "clients", "constant_clients",
    "seeds", "folds", "synthetic",
)  # fmt: skip
Record = Mapping[str, Any]
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {character: f"\\{character}" for character in "&%$#_{}"}


@dataclass(frozen=True)
class GridText:
    """What is said with a grid's numbers.

    Attributes:
        protocol: Name of the protocol.
        title: What the protocol is.
        cohort: Name of the cohort.
        synthetic: Whether it is generated; every table and figure then says SYNTHETIC.
        notes: Further sentences for the caption.
    """

    protocol: str
    title: str
    cohort: str
    synthetic: bool
    notes: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """Protocol and cohort, with SYNTHETIC first where the cohort is generated."""
        return f"{f'{SYNTHETIC} data - ' if self.synthetic else ''}protocol {self.protocol}, {self.cohort}"


def grid_records(protocol: str, variant: str, results: pd.DataFrame, synthetic: bool) -> list[dict[str, Any]]:
    """One variant's rows of ``table.csv``, by dimension, kind and method.

    Args:
        protocol: Name of the protocol.
        variant: Name of the variant.
        results: Of its study, as `tff_affect.evaluation.per_client.read_study` gives them.
        synthetic: Whether the cohort is generated.

    Returns:
        Records with ``COLUMNS``; None where a number is not defined.
    """
    spread = fold_spread(results)
    records = []
    for found in headline_records(summarise(results, list(dict.fromkeys(results["dimension"]))), synthetic):
        deviation = float(spread[found["method"], found["kind"], found["dimension"]])
        own = {"protocol": protocol, "variant": variant, "ccc_sd_seeds": found["ccc_mean_sd"]}
        own["ccc_sd_folds"] = deviation if np.isfinite(deviation) else None
        values = {**found, **own}
        records.append({column: values[column] for column in COLUMNS})
    return records


def require_one_protocol(records: Sequence[Record]) -> str:
    """The protocol of all records.

    Raises:
        InputError: If there is none, or more than one.
    """
    found = sorted({record["protocol"] for record in records})
    if len(found) != 1:
        raise InputError(
            f"expected numbers of one protocol, found {', '.join(found) or 'none'}: protocols never share a table"
        )
    return str(found[0])


def write_grid_tables(folder: Path, records: Sequence[Record], text: GridText) -> None:
    """Writes ``table.csv`` and ``table.tex``.

    Raises:
        InputError: If the records are not of one protocol, or the folder cannot be written to.
    """
    require_one_protocol(records)
    frame = pd.DataFrame([dict(record) for record in records], columns=list(COLUMNS))
    replace_text(folder / TABLE_CSV, frame.to_csv(index=False, lineterminator="\n"))
    replace_text(folder / TABLE_TEX, grid_tex(records, text))


def table_groups(records: Sequence[Record]) -> Iterator[tuple[str, str, list[Record]]]:
    """Dimension, kind and records of each table: what is measured and what is post-processed are not mixed."""
    order = list(dict.fromkeys((record["dimension"], record["kind"]) for record in records))
    for dimension, kind in order:
        yield dimension, kind, [r for r in records if (r["dimension"], r["kind"]) == (dimension, kind)]


def grid_caption(records: Sequence[Record], text: GridText) -> str:
    """What the numbers rest on, and what each column means."""
    first = records[0]
    folds = counted(first["folds"], "fold") if first["folds"] > 1 else "one split"
    counts = f"{counted(first['clients'], 'test client')}, {folds}, {counted(first['seeds'], 'seed')}"
    caption = (
        f"{text.title}. {counts}; no test client took part in training. CCC: mean over test clients with its 95 % "
        "bootstrap interval over clients; SD: of the mean CCC over folds, and over seeds; pooled: the CCC of all test "
        "clients' values together."
    )
    if any(record["method"] == "local-only" for record in records):
        caption += " Local-only: each training client's own model, applied to every test client, averaged."
    caption += _constants(records)
    if any(record["ceiling_mean"] is not None for record in records):
        caption += (
            " Ceiling: the best causal linear filter that knows the test client's own generative parameters "
            "(local-only: those of one training client), averaged over each window where windows are predicted; it "
            "is causal, so that bidirectional networks may exceed it."
        )
    if first["kind"] == "post-processed":
        caption += " Post-processed: after a chain fitted on development clients; not to be compared with numbers"
        caption += " that are not."
    return " ".join((caption, *text.notes))


def _constants(records: Sequence[Record]) -> str:
    """Which numbers hold zeros of constant series; the mean predictor's do for every variant."""
    flagged = [record for record in records if record["constant_clients"]]
    own = [r["method"] if r["method"] == "mean predictor" else f"{r['variant']} {r['method']}" for r in flagged]
    return f" With some constant series, counted as 0: {', '.join(dict.fromkeys(own))}." if own else ""


def grid_captions(records: Sequence[Record], text: GridText) -> list[str]:
    """The captions of all tables, each once."""
    return list(dict.fromkeys(grid_caption(group, text) for _, _, group in table_groups(records)))


def grid_cells(record: Record) -> list[str]:
    """A record's numbers as text, under `grid_columns`."""
    return [
        number(record["ccc_mean"]), interval(record["ccc_low"], record["ccc_high"]), number(record["ccc_sd_folds"]),
        number(record["ccc_sd_seeds"]), number(record["ccc_pooled"]), number(record["ceiling_mean"]),
        number(record["ceiling_pooled"]),
    ]  # fmt: skip


def grid_columns() -> list[str]:
    """Headings of `grid_cells`."""
    return ["CCC", "95 % interval", "SD folds", "SD seeds", "pooled", "ceiling", "pooled ceiling"]


def shown_columns(records: Sequence[Record]) -> list[int]:
    """Places of the columns in which some record has a number."""
    cells = [grid_cells(record) for record in records]
    return [i for i in range(len(grid_columns())) if any(row[i] != ABSENT for row in cells)]


def grid_table(records: Sequence[Record], text: GridText) -> Iterator[Table]:
    """A table for the terminal for each dimension and kind; `grid_captions` go below them.

    Raises:
        InputError: If the records are not of one protocol.
    """
    require_one_protocol(records)
    for dimension, kind, group in table_groups(records):
        shown = shown_columns(group)
        title = Text(f"{text.heading}: {group_heading(dimension, kind)}")
        table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("variant, method", no_wrap=True)
        for i in shown:
            table.add_column(grid_columns()[i], justify="right", no_wrap=i == 1, min_width=6)
        for variant, rows in groupby(group, key=itemgetter("variant")):
            table.add_section()
            table.add_row(Text(variant, style="bold"))
            for record in rows:
                table.add_row(f"  {record['method']}", *(grid_cells(record)[i] for i in shown))
        yield table


def grid_tex(records: Sequence[Record], text: GridText) -> str:
    r"""One ``table`` environment for each dimension and kind; the preamble needs ``\usepackage{booktabs}``.

    Raises:
        InputError: If the records are not of one protocol.
    """
    require_one_protocol(records)
    return "\n".join(_tex_table(dimension, kind, group, text) for dimension, kind, group in table_groups(records))


def _tex_table(dimension: str, kind: str, records: Sequence[Record], text: GridText) -> str:
    shown = shown_columns(records)
    heading = f"{text.heading}: {group_heading(dimension, kind)}"
    label = re.sub(r"[^A-Za-z0-9]+", "-", f"{text.protocol}-{dimension}-{kind}")
    lines = [
        r"\begin{table}", r"\centering", rf"\caption{{{tex(heading)}. {tex(grid_caption(records, text))}}}",
        rf"\label{{tab:{label}}}", rf"\begin{{tabular}}{{ll{'r' * len(shown)}}}", r"\toprule",
        _tex_row(["variant", "method", *(grid_columns()[i] for i in shown)]),
    ]  # fmt: skip
    for variant, rows in groupby(records, key=itemgetter("variant")):
        lines.append(r"\midrule")
        for place, record in enumerate(rows):
            cells = grid_cells(record)
            lines.append(_tex_row([variant if place == 0 else "", record["method"], *(cells[i] for i in shown)]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(tex(cell) for cell in cells) + r" \\"


def tex(plain: str) -> str:
    """Text with LaTeX's own characters escaped, and minus signs before numbers set as such."""
    escaped = "".join(_LATEX.get(character, character) for character in plain)
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", escaped)
