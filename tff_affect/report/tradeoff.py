"""The tables of a privacy trade-off study: CSV, Markdown and terminal, each with what its numbers rest on.

A guarantee has a price, and at some sizes nobody should pay it; `verdict` says so in plain words.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from tff_affect.atomic import replace_text
from tff_affect.evaluation.tradeoff import MEAN, at_epsilon, attributes, group_falls, overall, spread
from tff_affect.report.tables import ABSENT, SYNTHETIC, counted, interval, number

NO_PRIVACY, INFINITE = "none", "inf"
TRADEOFF_CSV, FAIRNESS_CSV, TRADEOFF_MARKDOWN = "tradeoff.csv", "fairness.csv", "tradeoff.md"
KEPT = 0.8
"""From this share of the CCC without privacy on, a guarantee is worth having."""
LOST = 0.5
"""Below this share it is not."""
LEARNT = 0.1
"""Below this CCC without privacy there is too little to compare."""
WEAK = 10.0
"""Above this epsilon a guarantee says little (Ponomareva et al., J. of Artificial Intelligence Research 77, 2023)."""
_REGRESSION = (
    "Rank correlation: Spearman's, of the CCC without privacy and the fall. It is above 0 by chance alone, since who "
    "was lucky without privacy falls by itself (regression to the mean), and near 1 where privacy levels all down. "
    "Middle: of the middle of both CCCs and the fall, which chance hardly favours; read this one."
)


@dataclass(frozen=True)
class TradeoffText:
    """What is said with the numbers of a trade-off study.

    Attributes:
        cohort: Name of the cohort, or of the cohorts of several sizes.
        synthetic: Whether it is generated; every table and figure then says SYNTHETIC.
        adjacency: What neighbouring cohorts differ in, such as ``add-remove``.
        sampling: Who takes part in a round, in words.
        trust: Who has to be trusted, in words.
        remarks: Further sentences for the caption, such as that the noise is reproducible.
    """

    cohort: str
    synthetic: bool
    adjacency: str
    sampling: str
    trust: str
    remarks: tuple[str, ...] = ()

    def heading(self, said: str) -> str:
        """A title with the cohort, SYNTHETIC first where it is generated."""
        return f"{f'{SYNTHETIC} data - ' if self.synthetic else ''}{said}, {self.cohort}"


@dataclass(frozen=True)
class Sheet:
    """A table as text, to be shown on the terminal or as Markdown.

    Attributes:
        title: Says SYNTHETIC where the cohort is generated.
        columns: Headings; the first column has the number of subjects, and each number a section.
        rows: Cells under the headings.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def terminal(self) -> Table:
        """For a terminal of 100 columns."""
        table = Table(
            title=Text(self.title), title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False
        )
        for name, cells in zip(self.columns, self._by_column(), strict=True):
            # Headings break between words, so that numbers need not break at all.
            name = name.replace(" /", "\N{NO-BREAK SPACE}/")
            heading = textwrap.fill(name, max(map(len, (*cells, *name.split(" ")))))
            table.add_column(heading, justify="left" if _is_text(cells) else "right", no_wrap=True)
        for _, rows in groupby(self.rows, key=itemgetter(0)):
            table.add_section()
            for row in rows:
                table.add_row(*map(Text, row))
        return table

    def markdown(self) -> str:
        """A heading and a pipe table."""
        rules = ["---" if _is_text(cells) else "--:" for cells in self._by_column()]
        lines = [_pipes(self.columns), _pipes(rules), *map(_pipes, self.rows)]
        return "\n".join([f"### {self.title}", "", *lines, ""])

    def _by_column(self) -> list[tuple[str, ...]]:
        return [tuple(row[place] for row in self.rows) for place in range(len(self.columns))]


def _is_text(cells: tuple[str, ...]) -> bool:
    """Whether some cell is neither a number nor one of the words that stand for one."""
    return any(cell[:1].isalpha() and cell not in (INFINITE, NO_PRIVACY) for cell in cells)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _pipes(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def write_tradeoff_tables(folder: Path, rows: pd.DataFrame, falls: pd.DataFrame, text: TradeoffText) -> None:
    """Writes ``tradeoff.csv``, ``fairness.csv`` and ``tradeoff.md``; a number that is not defined is an empty cell.

    Args:
        folder: Where to.
        rows: Of `tff_affect.evaluation.tradeoff.summary`.
        falls: Of `tff_affect.evaluation.tradeoff.fairness`; ``tradeoff.md`` shows the points that are in ``rows``.
        text: What is said with them.

    Raises:
        InputError: If the folder cannot be written to.
    """
    for name, frame in ((TRADEOFF_CSV, rows), (FAIRNESS_CSV, falls)):
        told = frame.assign(synthetic=text.synthetic)
        replace_text(folder / name, told.to_csv(index=False, lineterminator="\n"))
    shown = falls[falls["point"].isin(rows["point"])]
    replace_text(folder / TRADEOFF_MARKDOWN, f"{tradeoff_markdown(rows, text)}\n{fairness_markdown(shown, text)}")


def tradeoff_markdown(rows: pd.DataFrame, text: TradeoffText) -> str:
    """Tables, caption and verdicts for a page of documentation."""
    said = "".join(f"- {line}\n" for line in verdicts(rows, text))
    return "\n".join(
        [*(sheet.markdown() for sheet in tradeoff_sheets(rows, text)), tradeoff_caption(rows, text), "", said]
    )


def fairness_markdown(falls: pd.DataFrame, text: TradeoffText) -> str:
    """Tables and caption for a page of documentation."""
    return "\n".join([*(sheet.markdown() for sheet in fairness_sheets(falls, text)), fairness_caption(falls), ""])


def tradeoff_sheets(rows: pd.DataFrame, text: TradeoffText) -> Iterator[Sheet]:
    """A table for each dimension; `tradeoff_caption` and `verdicts` go below them.

    Args:
        rows: Of `tff_affect.evaluation.tradeoff.summary`.
        text: What is said with them.
    """
    columns = (
        "subjects", "epsilon", "noise", "clip", "noise / signal", "CCC per client", "range over seeds", "CCC pooled",
        "kept",
    )  # fmt: skip
    shown = [name for name in columns if name != "noise / signal" or rows["noise_to_signal"].notna().any()]
    for dimension, group in rows.groupby("dimension", sort=False):
        cells = [_cells(row) for row in _records(group)]
        title = text.heading(f"Privacy and CCC, {_dimension(dimension)}")
        yield Sheet(title, tuple(shown), tuple(tuple(row[name] for name in shown) for row in cells))


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "subjects": f"{row['subjects']:,}",
        "epsilon": significant(row["epsilon"]) if row["private"] else NO_PRIVACY,
        "noise": significant(row["noise_multiplier"]),
        "clip": significant(row["clipping_norm"]),
        "noise / signal": significant(row["noise_to_signal"], 2),
        "CCC per client": _with_deviation(row["ccc_mean"], row["ccc_mean_sd"]),
        "range over seeds": interval(row["ccc_mean_min"], row["ccc_mean_max"]) if row["seeds"] > 1 else ABSENT,
        "CCC pooled": _with_deviation(row["ccc_pooled"], row["ccc_pooled_sd"]),
        "kept": percent(row["share"]),
    }


def significant(value: float, digits: int = 3) -> str:
    """A number with some significant digits; ``inf`` where it is infinite and ``-`` where it is not defined."""
    if math.isnan(value):
        return ABSENT
    return f"{value:,.0f}" if 10**digits <= value < math.inf else f"{value:.{digits}g}"


def percent(share: float) -> str:
    """A share in percent; ``-`` where it is not defined."""
    return ABSENT if math.isnan(share) else f"{round(100 * share):d} %"


def _with_deviation(mean: float, deviation: float) -> str:
    return number(mean) if math.isnan(deviation) else f"{number(mean)} ± {number(deviation)}"


def _dimension(name: object) -> str:
    return "mean over dimensions" if name == MEAN else str(name)


def tradeoff_caption(rows: pd.DataFrame, text: TradeoffText) -> str:
    """What the numbers rest on: seeds, the guarantee's own terms, and what each column means."""
    seeds = counted("-".join(map(str, sorted(set(rows["seeds"])))), "seed")
    folds = int(rows["folds"].max())
    parts = [
        f"CCC per client: mean over test clients{', averaged over folds' if folds > 1 else ''}, ± standard deviation "
        f"over {seeds}; range: lowest to highest seed. Pooled: the CCC of all test clients' values together. Kept: "
        "share of the CCC per client without privacy at the same number of subjects.",
        f"Epsilon: the largest over seeds, for one {rows.loc[rows['private'], 'unit'].iloc[0]} ({text.adjacency}), at "
        f"{_deltas(rows)}; none: without privacy; inf: clipping alone. Sampling: {text.sampling}. Trust: {text.trust}.",
    ]
    if rows["clips"].max() > 1:
        parts.append(
            "Clip: of each noise multiplier the clipping norm with the best mean CCC on development clients, never on "
            "test clients; epsilon does not cover this choice."
        )
    if rows["noise_to_signal"].notna().any():
        parts.append("Noise / signal: length of the noise in the mean update over the clipping norm.")
    return " ".join([*parts, *map(_sentence, text.remarks)])


def _sentence(remark: str) -> str:
    return f"{remark[:1].upper()}{remark[1:].rstrip('.')}."


def _deltas(rows: pd.DataFrame) -> str:
    """Delta, with the number of subjects where it differs between them."""
    known = rows[rows["private"]].groupby("subjects")["delta"].max()
    if known.nunique() == 1:
        return f"delta {known.iloc[0]:.2g}"
    return "delta " + ", ".join(f"{delta:.2g} ({subjects:,} subjects)" for subjects, delta in known.items())


def verdict(row: Mapping[str, Any]) -> str:
    """Whether a guarantee is worth its price, in plain words.

    Kept at least ``KEPT`` of the CCC without privacy: worth having, unless epsilon is above ``WEAK``; less than
    ``LOST``: not worth having; between the two it is for the reader to weigh. Shares are rounded to the percent that is
    shown.

    Args:
        row: A private row of `tff_affect.evaluation.tradeoff.summary`.
    """
    head, seeds = f"at {row['subjects']:,} subjects", " (one seed only)" if row["seeds"] == 1 else ""
    if not row["ccc_without"] >= LEARNT:
        return f"{head} little is learnt even without privacy (CCC {number(row['ccc_without'])}): nothing to compare"
    share = max(round(row["share"], 2), 0.0)
    kept = f"keeps {percent(share) if share else 'nothing'} of the CCC without privacy{seeds}"
    if math.isinf(row["epsilon"]):
        return f"{head}, clipping without noise {kept}: epsilon is infinite, nobody is protected"
    return f"{head}, epsilon {significant(row['epsilon'])} per {row['unit']} {kept}: {_worth(share, row['epsilon'])}"


def _worth(share: float, epsilon: float) -> str:
    if share < LOST:
        return "it is not worth having at this size"
    if epsilon > WEAK:
        return f"but an epsilon above {WEAK:g} promises little"
    return "worth having" if share >= KEPT else "a clear loss, to be weighed against what the guarantee is needed for"


def verdicts(rows: pd.DataFrame, text: TradeoffText, epsilon: float | None = None) -> list[str]:
    """A `verdict` for each private point, on the mean over dimensions.

    Args:
        rows: Of `tff_affect.evaluation.tradeoff.summary`.
        text: Whether the cohort is generated, which each line then says.
        epsilon: Only the points with about this epsilon, one for each number of subjects.

    Raises:
        InputError: If there is no such point.
    """
    chosen = overall(rows if epsilon is None else at_epsilon(rows, epsilon))
    head = f"{SYNTHETIC} data: " if text.synthetic else ""
    return [head + verdict(row) for row in _records(chosen[chosen["private"]])]


def fairness_sheets(falls: pd.DataFrame, text: TradeoffText, most: int = 3) -> Iterator[Sheet]:
    """How far clients lie apart without and with privacy, who falls most, and each group's fall.

    Args:
        falls: Of `tff_affect.evaluation.tradeoff.fairness`, of the points to show.
        text: What is said with them.
        most: Clients to name for each point.
    """
    for dimension, group in spread(falls).groupby("dimension", sort=False):
        title = text.heading(f"Spread over clients, without → with privacy, {_dimension(dimension)}")
        yield Sheet(title, tuple(_spread_cells(_records(group)[0])), _texts(group, _spread_cells))
    worst = overall(falls)
    worst = worst[(worst["rank"] <= most) & (worst["fall"] > 0)]
    title = text.heading(f"Who falls most, {_dimension(overall(falls)['dimension'].iloc[0])}")
    names = attributes(falls)
    yield Sheet(title, tuple(_client_cells(_records(falls)[0], names)), _texts(worst, _client_cells, names))
    groups = group_falls(falls)
    if len(groups):
        title = text.heading(f"Mean fall by group, {_dimension(overall(groups)['dimension'].iloc[0])}")
        yield Sheet(title, tuple(_group_cells(_records(groups)[0])), _texts(overall(groups), _group_cells))


def _texts(frame: pd.DataFrame, cells: Callable[..., dict[str, str]], *more: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(cells(row, *more).values()) for row in _records(frame))


def _place(row: Mapping[str, Any]) -> dict[str, str]:
    return {"subjects": f"{row['subjects']:,}", "epsilon": significant(row["epsilon"])}


def _spread_cells(row: Mapping[str, Any]) -> dict[str, str]:
    names = {"CCC": "ccc", "SD": "sd", "10th percentile": "low"}
    both = {name: f"{row[f'{of}_without']:.2f} → {row[f'{of}_with']:.2f}" for name, of in names.items()}
    correlations = {"rank correlation": "rank_correlation", "middle": "rank_correlation_middle"}
    last = {name: ABSENT if math.isnan(row[of]) else f"{row[of]:.2f}" for name, of in correlations.items()}
    return _place(row) | {"clients": str(row["clients"])} | both | {"fall": number(row["fall"])} | last


def _client_cells(row: Mapping[str, Any], names: list[str]) -> dict[str, str]:
    numbers = {"without": number(row["ccc_without"]), "with": number(row["ccc_with"]), "fall": number(row["fall"])}
    return _place(row) | {"client": str(row["client"])} | {name: str(row[name]) for name in names} | numbers


def _group_cells(row: Mapping[str, Any]) -> dict[str, str]:
    numbers = {"without": number(row["ccc_without"]), "with": number(row["ccc_with"])}
    group = {"attribute": str(row["attribute"]), "group": str(row["group"]), "clients": str(row["clients"])}
    return _place(row) | group | numbers | {"fall": _with_deviation(row["fall"], row["fall_sd"])}


def fairness_caption(falls: pd.DataFrame) -> str:
    """What the numbers mean, and what they do not show."""
    said = (
        "CCC of each test client, averaged over seeds. Fall: CCC without privacy minus CCC with it. SD, 10th "
        f"percentile: over test clients. {_REGRESSION}"
    )
    if attributes(falls):
        said += " Groups: mean fall ± standard deviation over clients; groups of a few clients show little."
    return f"{said} These tables name test clients and are outside epsilon."
