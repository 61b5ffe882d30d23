"""Tables and figure of personalisation: unit, protocol, losers, and who is no better than the cheapest way."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tff_affect.evaluation.personalised import COLUMNS, gains
from tff_affect.report.personalised import caption, gain_cells, markdown, terminal_tables, verdicts
from tff_affect.report.personalised_plot import slopes_plot

SETTINGS: dict[str, Any] = {
    "cohort": "cohort_7", "synthetic": True, "time_unit": "second", "method": "federated", "share": 0.4, "gap": 2.0,
    "scaling": "subject", "left_out": {"P9": "it is too short"},
}  # fmt: skip
LEVEL = {"shift": 0.0, "fine-tune": 0.2, "own-only": -0.3}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for way, level in LEVEL.items():
        for client in range(8):
            for dimension in ("arousal", "valence"):
                gain = level + 0.02 * rng.normal()
                cells = 0, 0, way, f"P{client}", dimension, 0.4, 0.4 + gain, gain, 100.0, client == 3
                rows.append(dict(zip(COLUMNS, cells, strict=True)))
    return pd.DataFrame(rows)


def test_every_table_says_what_was_measured_on_whom(frame: pd.DataFrame) -> None:
    text = caption(frame, SETTINGS)
    for part in (
        "8 test clients, 1 seed, one split", "Unit: the client", "first 40%", "after a gap of 2 seconds",
        'the study\'s "federated" model', "chosen on development clients", "whole recording, without labels",
        "constant in the later part, counted as 0 before and after: 1 client", "Left out: 1 client (it is too short)",
    ):  # fmt: skip
        assert part in text
    assert "folds" in caption(frame.assign(fold=[i % 2 for i in range(len(frame))]), SETTINGS)


def test_the_tables_hold_the_gains(frame: pd.DataFrame) -> None:
    text = markdown(frame, SETTINGS)
    assert text.count("SYNTHETIC data") == 2
    for row in gains(frame).to_dict("records"):
        assert "| " + " | ".join(gain_cells(row)) + " |" in text
    console = Console(width=120, record=True, file=io.StringIO())
    for table in terminal_tables(frame, SETTINGS):
        console.print(table)
    shown = console.export_text()
    assert all(gain_cells(row)[3] in shown for row in gains(frame).to_dict("records"))
    assert "SYNTHETIC" not in markdown(frame, SETTINGS | {"synthetic": False})


def test_says_what_is_better_than_the_cheapest(frame: pd.DataFrame) -> None:
    (better,) = [line for line in verdicts(frame) if line.startswith("valence, fine-tune") and "mean shift" in line]
    assert "better than the mean shift, +0.2" in better
    same = frame.assign(after=frame["before"], gain=0.0)
    assert all("not told apart from" in line for line in verdicts(same))
    worse = frame.assign(after=np.where(frame["way"] == "fine-tune", frame["after"] - 1, frame["after"]))
    assert all("worse than" in line for line in verdicts(worse))


def test_the_figure_tells_who_loses(frame: pd.DataFrame) -> None:
    drawn = slopes_plot(frame, SETTINGS)
    assert drawn is not None
    root = ElementTree.fromstring(drawn)
    description = root.findtext("{http://www.w3.org/2000/svg}desc") or ""
    for row in gains(frame).to_dict("records"):
        text = f"{row['dimension']}, {row['way']}: mean from {row['before_mean']:.3f} to {row['after_mean']:.3f}"
        assert f"{text}, {row['losers']} of 8 clients lose" in description
    assert "SYNTHETIC" in drawn
    assert slopes_plot(frame, SETTINGS) == drawn
    assert slopes_plot(frame.iloc[:0], SETTINGS) is None
