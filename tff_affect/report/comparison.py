"""Tables of a comparison: on the terminal, as CSV, LaTeX and Markdown.

Two tables: how well each study and method does, and each pair's differences with their tests. ``comparison.csv`` holds
all numbers, one row a pair, method, kind and dimension. Studies are called by their folders' names, never by a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from tff_affect.atomic import replace_text
from tff_affect.errors import InputError
from tff_affect.evaluation.comparability import ComparedStudy
from tff_affect.evaluation.run_comparison import COLUMNS, smallest_p
from tff_affect.evaluation.statistics import WORST_SHARE
from tff_affect.plain_json import plain
from tff_affect.report.data_text import DataText
from tff_affect.report.grid import tex
from tff_affect.report.privacy import read_privacy
from tff_affect.report.tables import ABSENT, counted, epsilon_text, group_heading, interval, number

TABLE_CSV, TABLE_TEX, TABLE_MD = "comparison.csv", "comparison.tex", "comparison.md"
_ROLES = ("reference", "compared")
RECORD = (*COLUMNS, *(f"{role}_{name}" for role in _ROLES for name in ("epsilon", "unit")), "synthetic")
Record = Mapping[str, Any]


@dataclass(frozen=True)
class ShownTable:
    """A table before it is set.

    Attributes:
        title: With SYNTHETIC where the data are generated.
        columns: Headings.
        rows: Cells, a list for each row.
        names: How many of the first columns are names; the others are numbers.
        key: A short word for files and labels.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int
    key: str


def comparison_records(table: pd.DataFrame, studies: Sequence[ComparedStudy]) -> list[dict[str, Any]]:
    """The rows of ``comparison.csv`` and ``--json``, with what each side guarantees of privacy.

    Args:
        table: As `tff_affect.evaluation.run_comparison.compare_studies` gives it.
        studies: Those compared.

    Returns:
        Records with ``RECORD``; None where a number is not defined; epsilon may be the text ``inf`` or ``unknown``.

    Raises:
        InputError: If a study's ``privacy.json`` is no ledger.
    """
    privacy = {}
    for study in studies:
        runs = [(seed, fold, folder) for (seed, fold), folder in study.runs.items()]
        privacy[study.name] = read_privacy(runs, study.results)
    records = []
    for row in table.to_dict("records"):
        record = plain({str(name): value for name, value in row.items()})
        for role in _ROLES:
            stated = privacy[row[role]].record(row[f"{role}_method"])
            record |= {f"{role}_epsilon": stated["epsilon"], f"{role}_unit": stated["unit"]}
        record["synthetic"] = any(study.synthetic for study in studies)
        records.append({name: record[name] for name in RECORD})
    return records


def comparison_caption(records: Sequence[Record], left_out: Sequence[int] = ()) -> str:
    """What the numbers rest on, and what each column means.

    Args:
        records: As `comparison_records` gives them.
        left_out: Seeds that not every study has.
    """
    tests = sum(record["p_value"] is not None for record in records)
    clients = min(record["clients"] for record in records)
    share = f"{100 * WORST_SHARE:g} %"
    text = (
        f"{counted(clients, 'test client')}, {counted(records[0]['seeds'], 'seed')}; CCC of each test client, averaged "
        f"over seeds. Intervals: 95 % over test clients, and over test clients and seeds. Worst {share}: mean of the "
        "clients with the lowest CCC. Difference: compared less reference, by client. r: matched-pairs rank-biserial "
        "correlation, 1 where the compared is better for every client, -1 where it is worse. p: Wilcoxon signed-rank, "
        f"two-sided; Holm: corrected for the {counted(tests, 'test')} of this table."
    )
    if smallest_p(clients) * tests > 0.05:
        text += (
            f" With {counted(clients, 'client')} and {counted(tests, 'test')} the smallest corrected p possible is "
            f"{min(1.0, smallest_p(clients) * tests):.2g}, whatever the difference; compare fewer methods."
        )
    if left_out:
        text += f" Left out, as not every study has them: seeds {', '.join(map(str, left_out))}."
    if any(record["kind"] == "post-processed" for record in records):
        text += " Post-processed: after a chain fitted on development clients; not to be compared with numbers that"
        text += " are not."
    return text


def comparison_tables(records: Sequence[Record], data: DataText) -> list[ShownTable]:
    """Both tables: levels and differences.

    Args:
        records: As `comparison_records` gives them.
        data: The cohort.
    """
    return [_levels(records, data), _differences(records, data)]


def _levels(records: Sequence[Record], data: DataText) -> ShownTable:
    rows: dict[tuple[str, ...], tuple[str, ...]] = {}
    for record in records:
        heading = group_heading(record["dimension"], record["kind"])
        for role in _ROLES:
            part = {name: record[f"{role}_{name}"] for name in _of_role(record, role)}
            place = (heading, record[role], part["method"])
            rows[place] = (
                *place, number(part["ccc"]), interval(part["low"], part["high"]),
                interval(part["crossed_low"], part["crossed_high"]), number(part["worst"]), _epsilon(part),
            )  # fmt: skip
    ordered = sorted(rows.values(), key=lambda row: list(dict.fromkeys(place[0] for place in rows)).index(row[0]))
    columns = (
        "dimension", "study", "method", "CCC", "95 % clients", "95 % clients, seeds", f"worst {100 * WORST_SHARE:g} %",
        "epsilon",
    )  # fmt: skip
    return _without_empty(ShownTable(data.heading("CCC on test clients"), columns, tuple(ordered), 3, "levels"))


def _of_role(record: Record, role: str) -> list[str]:
    return [name.removeprefix(f"{role}_") for name in record if name.startswith(f"{role}_")]


def _epsilon(part: Record) -> str:
    text = epsilon_text(part["epsilon"])
    return text if part["unit"] is None else f"{text} ({part['unit']})"


def _without_empty(table: ShownTable) -> ShownTable:
    """The table without columns that say nothing: of one seed, or of no private method."""
    kept = [i for i in range(len(table.columns)) if i < table.names or any(row[i] != ABSENT for row in table.rows)]
    rows = tuple(tuple(row[i] for i in kept) for row in table.rows)
    return ShownTable(table.title, tuple(table.columns[i] for i in kept), rows, table.names, table.key)


def _differences(records: Sequence[Record], data: DataText) -> ShownTable:
    columns = ("dimension", "reference", "compared", "median", "mean", "95 % of mean", "r", "p", "p Holm")
    rows = tuple(
        (
            group_heading(record["dimension"], record["kind"]), *_pair(record), _signed(record["difference_median"]),
            _signed(record["difference_mean"]), interval(record["difference_low"], record["difference_high"]),
            _signed(record["rank_biserial"]), p_text(record["p_value"]), p_text(record["p_holm"]),
        )
        for record in records
    )  # fmt: skip
    return ShownTable(data.heading("Difference in CCC, compared less reference"), columns, rows, 3, "differences")


def _pair(record: Record) -> tuple[str, str]:
    """The two sides: of one study its methods; of studies their names, the method with the second."""
    methods = record["reference_method"], record["compared_method"]
    if record["reference"] == record["compared"]:
        return methods
    return record["reference"], f"{record['compared']}, {methods[1]}"


def _signed(value: float | None) -> str:
    return ABSENT if value is None else f"{value:+.3f}" if value else number(value)


def p_text(value: float | None) -> str:
    """A p-value with two digits, those below 0.001 as that."""
    if value is None:
        return ABSENT
    return "<0.001" if value < 0.001 else f"{value:.2g}" if value < 0.0995 else f"{value:.2f}"


def terminal_tables(tables: Sequence[ShownTable]) -> Iterator[Table]:
    """The tables for the terminal; names are never read as markup."""
    for table in tables:
        shown = Table(
            title=Text(table.title), box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True
        )
        for place, column in enumerate(table.columns[1:], start=1):
            is_name = place < table.names
            shown.add_column(Text(column), justify="left" if is_name else "right", no_wrap=not is_name, overflow="fold")
        for heading in dict.fromkeys(row[0] for row in table.rows):
            shown.add_section()
            shown.add_row(Text(heading, style="bold"))
            for row in table.rows:
                if row[0] == heading:
                    shown.add_row(*(Text(cell) for cell in row[1:]))
        yield shown


def comparison_tex(tables: Sequence[ShownTable], caption: str) -> str:
    r"""One ``table`` environment for each; the preamble needs ``\usepackage{booktabs}``."""
    return "\n".join(_tex_table(table, caption) for table in tables)


def _tex_table(table: ShownTable, caption: str) -> str:
    numbers = len(table.columns) - table.names
    lines = [
        r"\begin{table}", r"\centering", rf"\caption{{{_tex(table.title)}. {_tex(caption)}}}",
        rf"\label{{tab:comparison-{table.key}}}", rf"\begin{{tabular}}{{{'l' * table.names}{'r' * numbers}}}",
        r"\toprule", _tex_row(table.columns),
    ]  # fmt: skip
    above = None
    for row in table.rows:
        # A dimension is named once, above it a line.
        lines += [r"\midrule"] if row[0] != above else []
        lines.append(_tex_row((row[0] if row[0] != above else "", *row[1:])))
        above = row[0]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _tex_row(cells: Sequence[str]) -> str:
    # A bracket that opens a line would be read as an option of the line's end before it.
    return " & ".join(f"{{{found}}}" if found.startswith("[") else found for found in map(_tex, cells)) + r" \\"


def _tex(plain_text: str) -> str:
    return re.sub(r"[<>]", lambda found: f"${found[0]}$", tex(plain_text))


def comparison_md(tables: Sequence[ShownTable], caption: str) -> str:
    """The tables in Markdown, with the caption below."""
    parts = []
    for table in tables:
        rules = ["---"] * table.names + ["---:"] * (len(table.columns) - table.names)
        rows = [table.columns, tuple(rules), *(tuple(map(_md, row)) for row in table.rows)]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        parts.append("\n".join([f"**{_md(table.title)}**", "", *lines]))
    return "\n\n".join([*parts, _md(caption)]) + "\n"


def _md(plain_text: str) -> str:
    return re.sub(r"([\\`*_<>|#])", r"\\\1", plain_text)


def write_comparison(folder: Path, records: Sequence[Record], tables: Sequence[ShownTable], caption: str) -> None:
    """Writes ``comparison.csv``, ``comparison.tex`` and ``comparison.md``; those of an earlier comparison are replaced.

    Raises:
        InputError: If the folder holds something else, or cannot be written to.
    """
    check_comparison_folder(folder)
    frame = pd.DataFrame([dict(record) for record in records], columns=list(RECORD))
    texts = {
        TABLE_CSV: frame.to_csv(index=False, lineterminator="\n"),
        TABLE_TEX: comparison_tex(tables, caption),
        TABLE_MD: comparison_md(tables, caption),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror}", file=folder) from error
    for name, text in texts.items():
        replace_text(folder / name, text)


def check_comparison_folder(folder: Path) -> None:
    """Refuses a folder that holds something else.

    Raises:
        InputError: If it is a file, or is not empty and holds no comparison.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("expected a folder, found a file", file=folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / TABLE_CSV).is_file():
        raise InputError("the folder is not empty and holds no comparison; name a new one", file=folder)
