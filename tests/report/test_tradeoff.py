"""The tables of a trade-off study: they say what they rest on, and what a guarantee is worth."""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sample_tradeoff import sample_clients, sample_runs

from tff_affect.errors import InputError
from tff_affect.evaluation.tradeoff import fairness, summary
from tff_affect.report.tradeoff import (
    Sheet,
    TradeoffText,
    fairness_caption,
    fairness_sheets,
    percent,
    significant,
    tradeoff_caption,
    tradeoff_markdown,
    tradeoff_sheets,
    verdict,
    verdicts,
    write_tradeoff_tables,
)

REMARK = "simulation only: the noise is reproducible"
TEXT = TradeoffText("cohort|7", True, "add-remove", "Poisson, q = 0.5", "trusted server", (REMARK,))
REAL = TradeoffText("corpus", False, "add-remove", "Poisson, q = 0.5", "trusted server")
ROWS = summary(sample_runs(), parameters=1506)
FALLS = fairness(sample_clients())
SHOWN = FALLS[FALLS["point"].isin(ROWS["point"])]


def printed(sheet: Sheet) -> list[str]:
    console = Console(file=io.StringIO(), width=100, record=True)
    console.print(sheet.terminal())
    return console.export_text().splitlines()


def sheets(text: TradeoffText) -> list[Sheet]:
    return [*tradeoff_sheets(ROWS, text), *fairness_sheets(SHOWN, text)]


def test_the_terminal_has_each_number_on_one_line_of_a_hundred_columns() -> None:
    first = printed(next(tradeoff_sheets(ROWS, TEXT)))
    found = [line.split() for line in first if line.split()[:1] in (["27"], ["1,000"])]
    assert len(found) == 8
    assert " ".join(found[0]) == "27 none - - - 0.700 ± 0.010 [0.690, 0.710] 0.750 ± 0.010 100 %"
    assert " ".join(found[3]) == "27 3.6 4 0.1 8.6 0.021 ± 0.010 [0.011, 0.031] 0.071 ± 0.010 3 %"
    assert found[1][1] == "inf"
    negative = ROWS.assign(ccc_mean=-ROWS["ccc_mean"], ccc_mean_min=-0.1, ccc_mean_max=-0.05, ccc_pooled=-0.05)
    for sheet in (*sheets(TEXT), *tradeoff_sheets(negative, TEXT)):
        lines = printed(sheet)
        assert max(map(len, lines)) <= 100
        assert sum(line.split()[:1] in (["27"], ["1,000"]) for line in lines) == len(sheet.rows)
        for line, row in zip([x for x in lines if x.split()[:1] in (["27"], ["1,000"])], sheet.rows, strict=True):
            assert all(cell in line for cell in row)


def test_every_table_and_verdict_says_synthetic_only_where_it_is() -> None:
    assert all(sheet.title.startswith("SYNTHETIC data - ") for sheet in sheets(TEXT))
    assert all(line.startswith("SYNTHETIC data: at ") for line in verdicts(ROWS, TEXT))
    plain = "".join([*(sheet.title for sheet in sheets(REAL)), *verdicts(ROWS, REAL), tradeoff_markdown(ROWS, REAL)])
    assert "SYNTHETIC" not in plain


def test_the_caption_names_unit_delta_sampling_trust_and_what_is_not_covered() -> None:
    said = tradeoff_caption(ROWS, TEXT)
    for part in (
        "standard deviation over 3 seeds", "for one subject (add-remove), at delta 0.0037 (27 subjects), 0.0001 (1,000",
        "Sampling: Poisson, q = 0.5.", "Trust: trusted server.", "development clients, never on test clients",
        "epsilon does not cover this choice", "Noise / signal:", "Simulation only: the noise is reproducible.",
    ):  # fmt: skip
        assert part in said
    assert "averaged over folds" not in said
    runs = sample_runs((27,), [0])
    alone = summary(runs[~runs["private"] | (runs["clipping_norm"] == 1.0)])
    said = tradeoff_caption(alone, REAL)
    assert "over 1 seed;" in said
    assert "at delta 0.0037;" in said
    assert "Clip:" not in said
    assert "Noise / signal" not in said
    assert "noise / signal" not in next(tradeoff_sheets(alone, REAL)).columns
    assert {row[5] for row in next(tradeoff_sheets(alone, REAL)).rows} == {"-"}
    two = pd.concat([runs, runs.assign(fold=1)])
    assert "averaged over folds" in tradeoff_caption(summary(two), REAL)


def test_files_hold_the_numbers(tmp_path: Path) -> None:
    write_tradeoff_tables(tmp_path, ROWS, FALLS, TEXT)
    found = list(csv.DictReader(io.StringIO((tmp_path / "tradeoff.csv").read_text(encoding="utf-8"))))
    assert [float(row["ccc_mean"]) for row in found] == ROWS["ccc_mean"].tolist()
    assert {row["synthetic"] for row in found} == {"True"}
    assert (found[0]["epsilon"], found[1]["epsilon"]) == ("", "inf")
    falls = list(csv.DictReader(io.StringIO((tmp_path / "fairness.csv").read_text(encoding="utf-8"))))
    assert [float(row["fall"]) for row in falls] == FALLS["fall"].tolist()
    assert {row["synthetic"] for row in falls} == {"True"}
    page = (tmp_path / "tradeoff.md").read_text(encoding="utf-8")
    assert page.count("### SYNTHETIC data - ") == 3 + 3 + 2
    assert "- SYNTHETIC data: at 27 subjects, epsilon 3.6 per subject keeps 3 %" in page
    with pytest.raises(InputError, match="cannot write here"):
        write_tradeoff_tables(tmp_path / "absent", ROWS, FALLS, TEXT)


def test_markdown_is_a_table_whose_rows_are_of_one_length() -> None:
    page = next(tradeoff_sheets(ROWS, TEXT)).markdown()
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {10}
    assert set(lines[1]) == set("| -:")
    odd = Sheet("t", ("subjects", "group"), (("27", "a|b"),)).markdown()
    assert odd == "### t\n\n| subjects | group |\n| --: | --- |\n| 27 | a\\|b |\n"


def private_row(**changes: Any) -> dict[str, Any]:
    row = {"subjects": 27, "epsilon": 4.0, "unit": "subject", "seeds": 3, "ccc_without": 0.6, "share": 0.5}
    return row | changes


@pytest.mark.parametrize(
    ("share", "epsilon", "end"),
    [
        (0.93, 4.0, "epsilon 4 per subject keeps 93 % of the CCC without privacy: worth having"),
        (0.7951, 4.0, "keeps 80 % of the CCC without privacy: worth having"),
        (0.79, 4.0, "a clear loss, to be weighed against what the guarantee is needed for"),
        (0.5, 4.0, "a clear loss, to be weighed against what the guarantee is needed for"),
        (0.49, 4.0, "keeps 49 % of the CCC without privacy: it is not worth having at this size"),
        (0.03, 4.0, "keeps 3 % of the CCC without privacy: it is not worth having at this size"),
        (-0.2, 4.0, "keeps nothing of the CCC without privacy: it is not worth having at this size"),
        (0.93, 10.0, "worth having"),
        (0.93, 10.1, "but an epsilon above 10 promises little"),
        (0.03, 23.0, "it is not worth having at this size"),
        (0.93, math.inf, "epsilon is infinite, nobody is protected"),
    ],
)
def test_verdicts_by_share_and_epsilon(share: float, epsilon: float, end: str) -> None:
    said = verdict(private_row(share=share, epsilon=epsilon))
    assert said.startswith("at 27 subjects, ")
    assert said.endswith(end)


def test_verdicts_on_one_seed_or_where_nothing_is_learnt() -> None:
    assert "without privacy (one seed only): a clear loss" in verdict(private_row(seeds=1))
    for without in (0.099, -0.1):
        said = verdict(private_row(ccc_without=without, share=0.95))
        assert said == f"at 27 subjects little is learnt even without privacy (CCC {without:.3f}): nothing to compare"


def test_verdicts_are_on_the_mean_over_dimensions() -> None:
    said = verdicts(ROWS, REAL, epsilon=4.0)
    assert [line.split(":")[1] for line in said] == [" it is not worth having at this size", " worth having"]
    assert len(verdicts(ROWS, REAL)) == 6
    rows = summary(sample_runs((27,)).assign(ccc_mean=lambda r: np.where(r["dimension"] == "arousal", 0.9, 0.3)))
    assert "keeps 100 %" in verdicts(rows, REAL)[0]
    with pytest.raises(InputError, match=r"epsilon about 0\.5"):
        verdicts(ROWS, REAL, epsilon=0.5)


def test_who_falls_most_and_which_group() -> None:
    *spreads, worst, groups = fairness_sheets(SHOWN, TEXT)
    assert [sheet.title.split(", ")[2] for sheet in spreads] == ["arousal", "valence", "mean over dimensions"]
    assert spreads[0].rows[2] == (
        "27", "3.6", "9", "0.70 → 0.43", "0.05 → 0.06", "0.64 → 0.36", "0.267", "0.82", "-0.14",
    )  # fmt: skip
    # Nobody falls without noise, so nobody is named.
    assert {row[1] for row in worst.rows} == {"23", "3.6"}
    assert [row[2] for row in worst.rows if row[1] == "3.6"] == ["P06", "P07", "P08"]
    assert worst.rows[-1] == ("27", "3.6", "P08", "French", "0.680", "0.280", "0.400")
    assert ("27", "3.6", "language", "French", "3", "0.660", "0.260", "0.400 ± 0.000") in groups.rows
    alone = fairness(sample_clients(groups=False))
    assert len(list(fairness_sheets(alone, TEXT))) == 4
    assert "Groups" not in fairness_caption(alone)
    for part in ("regression to the mean", "outside epsilon", "Groups: mean fall"):
        assert part in fairness_caption(SHOWN)


@pytest.mark.parametrize(
    ("value", "text"), [(math.nan, "-"), (math.inf, "inf"), (3.614, "3.61"), (23.0, "23"), (1234.5, "1,234"), (0, "0")]
)
def test_numbers_as_text(value: float, text: str) -> None:
    assert significant(value) == text


def test_shares_as_text() -> None:
    assert [percent(share) for share in (math.nan, 0.026, 1.0, -0.1)] == ["-", "3 %", "100 %", "-10 %"]
