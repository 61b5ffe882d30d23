"""Tables of a comparison: what they say, and that names do no harm in any format."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sample_compared import write_compared
from sample_study import add_private, guarantee

from tff_affect.errors import InputError
from tff_affect.evaluation.comparability import comparable, open_studies
from tff_affect.evaluation.run_comparison import COLUMNS, compare_studies
from tff_affect.report.comparison import (
    RECORD,
    ShownTable,
    check_comparison_folder,
    comparison_caption,
    comparison_md,
    comparison_records,
    comparison_tables,
    comparison_tex,
    p_text,
    terminal_tables,
    write_comparison,
)
from tff_affect.report.data_text import DataText

NAME = "run_1 & 50% [bold]|*"
DATA = DataText("toy", True)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Of a study with privacy against a copy of another name."""
    first = write_compared(tmp_path_factory.mktemp("first") / "plain")
    for seed, epsilon in enumerate((2.5, 8.4359)):
        add_private(first / f"seed-{seed}", seed, guarantee(epsilon))
    second = Path(shutil.copytree(first, tmp_path_factory.mktemp("second") / NAME))
    studies = comparable(open_studies([first, second]))
    return comparison_records(compare_studies(studies), studies)


def record(**changes: Any) -> dict[str, Any]:
    names = {"dimension": "arousal", "kind": "measured", "reference": "a", "compared": "b"}
    names |= {"reference_method": "federated", "compared_method": "federated", "clients": 20, "seeds": 2}
    values = dict.fromkeys(set(RECORD) - set(names), 0.25)
    return names | values | {"reference_epsilon": None, "compared_epsilon": None, "synthetic": True} | changes


def rendered(tables: list[ShownTable]) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    for table in terminal_tables(tables):
        console.print(table)
    return console.export_text()


def test_records_hold_every_number_and_the_guarantees(records: list[dict[str, Any]]) -> None:
    assert all(tuple(found) == RECORD for found in records)
    assert set(COLUMNS) < set(RECORD)
    private = [found for found in records if found["reference_method"] == "federated + DP"]
    assert {(found["reference_epsilon"], found["compared_unit"]) for found in private} == {(8.4359, "subject")}
    open_ones = [found for found in records if found["reference_method"] == "federated"]
    assert {found["reference_epsilon"] for found in open_ones} == {None}
    assert {found["synthetic"] for found in records} == {True}


def test_an_undefined_number_is_none(tmp_path: Path) -> None:
    studies = comparable(open_studies([write_compared(tmp_path / name, seeds=(0,)) for name in "ab"]))
    found = comparison_records(compare_studies(studies), studies)
    assert {row["reference_crossed_low"] for row in found} == {None}
    assert "95 % clients, seeds" not in comparison_tables(found, DATA)[0].columns


def test_every_table_says_synthetic_and_fits_a_terminal(records: list[dict[str, Any]]) -> None:
    tables = comparison_tables(records, DATA)
    text = rendered(tables)
    assert text.count("SYNTHETIC data - ") == 2
    assert max(map(len, text.splitlines())) <= 100
    for cell in ("plain", "local-only", "8.436 (subject)", "1.00"):
        assert cell in text
    assert "[bold]" in text
    assert comparison_md(tables, "x").count("SYNTHETIC") == comparison_tex(tables, "x").count("SYNTHETIC") == 2
    assert "SYNTHETIC" not in rendered(comparison_tables(records, DataText("toy", False)))


def test_numbers_of_the_tables_are_those_of_the_records(records: list[dict[str, Any]]) -> None:
    levels, differences = comparison_tables(records, DATA)
    assert len(levels.rows) == 2 * 2 * 4
    for found in records:
        heading, method = found["dimension"], found["compared_method"]
        row = next(row for row in levels.rows if row[:3] == (heading, found["compared"], method))
        assert row[3:5] == (
            f"{found['compared_ccc']:.3f}", f"[{found['compared_low']:.3f}, {found['compared_high']:.3f}]",
        )  # fmt: skip
    assert [row[2] for row in differences.rows[:2]] == [f"{NAME}, local-only", f"{NAME}, centralised"]
    assert all(row[3:] == ("0.000", "0.000", "[0.000, 0.000]", "0.000", "1.00", "1.00") for row in differences.rows)


def test_latex_escapes_names_and_has_booktabs(records: list[dict[str, Any]]) -> None:
    text = comparison_tex(comparison_tables(records, DATA), comparison_caption(records))
    assert r"run\_1 \& 50\% [bold]|*" in text
    for rule in ("toprule", "midrule", "bottomrule", "begin{table}", "end{table}"):
        assert text.count(f"\\{rule}") >= 2
    for line in text.splitlines():
        if line.endswith(r"\\"):
            assert line.replace(r"\&", "").count("&") in (7, 8)
            assert not line.removesuffix(r"\\").replace(r"\%", "").count("%")
    table = ShownTable("x < y", ("dimension", "p"), (("a", "<0.001"), ("", "[-1.000, 2.000]")), 1, "k")
    assert r"a & $<$0.001 \\" in comparison_tex([table], "c")
    assert r" & {[$-$1.000, 2.000]} \\" in comparison_tex([table], "c")
    assert r"x $<$ y" in comparison_tex([table], "c")


def test_markdown_keeps_its_columns(records: list[dict[str, Any]]) -> None:
    text = comparison_md(comparison_tables(records, DATA), comparison_caption(records))
    assert r"run\_1 & 50% [bold]\|\*" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    counts = {line.replace(r"\|", "").count("|") for line in lines}
    assert counts == {9, 10}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0004, "<0.001"),
        (0.001, "0.001"),
        (0.0156, "0.016"),
        (0.0996, "0.10"),
        (0.5, "0.50"),
        (1.0, "1.00"),
    ],
)
def test_p_values(value: float | None, text: str) -> None:
    assert p_text(value) == text


def test_the_caption_names_the_family_and_what_cannot_be_shown() -> None:
    said = comparison_caption([record()] * 6, left_out=[3, 4])
    assert "20 test clients, 2 seeds" in said
    assert "corrected for the 6 tests of this table" in said
    assert "smallest" not in said
    assert "seeds 3, 4" in said
    few = comparison_caption([record(clients=7)] * 8)
    assert "With 7 clients and 8 tests the smallest corrected p possible is 0.12" in few
    assert "Post-processed" in comparison_caption([record(kind="post-processed")])


def test_methods_of_one_study_are_named_alone() -> None:
    own = record(compared="a", reference_method="local-only")
    assert comparison_tables([own], DATA)[1].rows[0][1:3] == ("local-only", "federated")
    assert comparison_tables([record()], DATA)[1].rows[0][1:3] == ("a", "b, federated")


def test_files_hold_all_numbers_and_no_path(records: list[dict[str, Any]], tmp_path: Path) -> None:
    folder = tmp_path / "new" / "tables"
    for _ in range(2):  # those of an earlier comparison are replaced
        write_comparison(folder, records, comparison_tables(records, DATA), comparison_caption(records))
    assert sorted(file.name for file in folder.iterdir()) == ["comparison.csv", "comparison.md", "comparison.tex"]
    table = pd.read_csv(folder / "comparison.csv", keep_default_na=False, na_values=[""])
    assert tuple(table.columns) == RECORD
    for name in ("reference_ccc", "p_holm", "difference_high", "compared_epsilon"):
        expected = np.array([np.nan if row[name] is None else row[name] for row in records])
        assert table[name].to_numpy(float) == pytest.approx(expected, nan_ok=True)
    for file in folder.iterdir():
        assert "/" not in file.read_text(encoding="utf-8").replace("1/2", "")


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept", encoding="utf-8")
    with pytest.raises(InputError, match="holds no comparison"):
        check_comparison_folder(tmp_path)
    with pytest.raises(InputError, match="found a file"):
        check_comparison_folder(tmp_path / "mine.txt")
    with pytest.raises(InputError, match="cannot write here"):
        write_comparison(tmp_path / "mine.txt" / "x", [record()], comparison_tables([record()], DATA), "")
