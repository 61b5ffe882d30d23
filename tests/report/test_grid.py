"""The table of a grid: CSV, LaTeX, terminal and figure; protocols never share one."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from rich.console import Console
from sample_study import rows

from tff_affect.errors import InputError
from tff_affect.report.grid import COLUMNS, GridText, grid_captions, grid_records, grid_table, tex, write_grid_tables
from tff_affect.report.grid_plot import grid_figure, write_grid_figure

TEXT = GridText("mase2021", "Windows & folds", "cohort_7", True, ("A note.",))


@pytest.fixture(scope="module")
def records() -> list[dict]:
    """Two variants: one with ceilings, two seeds in two folds; values of the second are the first's."""
    clients = [f"P{i}" for i in range(16, 23)]
    parts = []
    for seed in (0, 1):
        frame = pd.DataFrame(rows(seed, ceilings=True)).assign(seed=seed)
        parts.append(frame.assign(fold=[int(client in clients[3:]) for client in frame["client"]]))
    results = pd.concat(parts, ignore_index=True)
    return [record for variant in ("lstm", "cnn_gru") for record in grid_records("mase2021", variant, results, True)]


def test_a_row_for_each_variant_method_and_dimension(records: list[dict]) -> None:
    assert all(tuple(record) == COLUMNS for record in records)
    assert len(records) == 2 * 2 * 4
    first = next(record for record in records if record["method"] == "federated")
    assert (first["clients"], first["seeds"], first["folds"], first["synthetic"]) == (7, 2, 2, True)
    assert first["ccc_low"] < first["ccc_mean"] < first["ccc_high"]
    assert first["ccc_mean"] < first["ceiling_mean"]
    assert first["ccc_sd_folds"] > 0
    assert first["ccc_sd_seeds"] > 0


def test_csv_and_latex_hold_the_same_numbers(records: list[dict], tmp_path: Path) -> None:
    write_grid_tables(tmp_path, records, TEXT)
    found = list(csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text(encoding="utf-8"))))
    assert [float(row["ccc_mean"]) for row in found] == [record["ccc_mean"] for record in records]
    latex = (tmp_path / "table.tex").read_text(encoding="utf-8")
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") == 2
    assert latex.count(r"\caption{SYNTHETIC") == 2
    assert r"cohort\_7" in latex
    assert r"Windows \& folds" in latex
    assert "A note." in latex
    assert all(latex.count(rule) == 2 for rule in (r"\toprule", r"\bottomrule"))
    columns = {len(re.findall(r"(?<!\\)&", line)) for line in latex.splitlines() if line.endswith(r"\\")}
    assert len(columns) == 1
    for record in records:
        assert tex(f"{record['ccc_mean']:.3f}") in latex


def test_latex_escapes() -> None:
    assert tex("a_b & 5 % -0.5 [-1, 2] x-1") == r"a\_b \& 5 \% $-$0.5 [$-$1, 2] x-1"
    assert tex("\\{~") == r"\textbackslash{}\{\textasciitilde{}"


def test_the_terminal_says_synthetic_and_explains(records: list[dict]) -> None:
    console = Console(file=io.StringIO(), width=100, record=True)
    for table in grid_table(records, TEXT):
        console.print(table)
    said = console.export_text()
    assert said.count("SYNTHETIC data - protocol mase2021") == 2
    assert "cnn_gru" in said
    captions = grid_captions(records, TEXT)
    assert len(captions) == 1
    assert "bidirectional networks may exceed it" in captions[0]
    assert "7 test clients, 2 folds, 2 seeds;" in captions[0]
    assert "Local-only: each training client's own model" in captions[0]
    assert "With some constant series, counted as 0: mean predictor." in captions[0]
    single = [record | {"folds": 1, "seeds": 1} for record in records]
    assert "7 test clients, one split, 1 seed;" in grid_captions(single, TEXT)[0]
    flat = [record | {"constant_clients": int(record["method"] == "federated")} for record in records]
    assert "counted as 0: lstm federated, cnn_gru federated." in grid_captions(flat, TEXT)[0]
    real = [record | {"ceiling_mean": None, "ceiling_pooled": None} for record in records]
    assert "Ceiling" not in grid_captions(real, TEXT)[0]


def test_measured_and_post_processed_stand_apart(records: list[dict]) -> None:
    both = [*records, *(record | {"kind": "post-processed"} for record in records)]
    titles = [str(table.title) for table in grid_table(both, TEXT)]
    assert [title.split(": ")[1] for title in titles] == [
        "arousal", "valence", "arousal, post-processed", "valence, post-processed",
    ]  # fmt: skip
    assert len(grid_captions(both, TEXT)) == 2


def test_protocols_never_share_a_table(records: list[dict], tmp_path: Path) -> None:
    mixed = [records[0], records[1] | {"protocol": "avec"}]
    for write in (write_grid_tables, write_grid_figure):
        with pytest.raises(InputError, match="avec, mase2021: protocols never share a table"):
            write(tmp_path, mixed, TEXT)
    with pytest.raises(InputError, match="found none"):
        write_grid_tables(tmp_path, [], TEXT)
    assert list(tmp_path.iterdir()) == []


def test_the_figure_is_deterministic_described_and_synthetic(records: list[dict], tmp_path: Path) -> None:
    write_grid_figure(tmp_path, records, TEXT)
    svg = (tmp_path / "table.svg").read_text(encoding="utf-8")
    assert grid_figure(records, TEXT) == (svg.rstrip("\n"), (tmp_path / "table.png").read_bytes())
    root = ElementTree.fromstring(svg)
    description = next(e.text for e in root.iter() if e.get("id") == "grid-description")
    for record in records:
        if record["method"] != "mean predictor":
            assert f"{record['variant']}, {record['method']}, {record['dimension']}" in str(description)
    assert svg.count("SYNTHETIC") >= 4
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")
    real = GridText("mase2021", "Windows", "cohort", False)
    assert "SYNTHETIC" not in grid_figure([record | {"synthetic": False} for record in records], real)[0]


def test_the_figure_does_without_methods_intervals_and_ceilings(records: list[dict]) -> None:
    absent = {"ceiling_mean": None, "ceiling_pooled": None, "ccc_low": None, "ccc_high": None}
    alone = [record | absent for record in records if record["method"] == "federated"]
    svg, _ = grid_figure(alone, TEXT)
    assert "federated" in svg
    assert "local-only" not in svg
    assert "ceiling (causal" not in svg
    only = [record for record in records if record["method"] == "mean predictor"]
    assert "SYNTHETIC" in grid_figure(only, TEXT)[0]
