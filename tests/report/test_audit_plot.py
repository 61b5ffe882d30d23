"""The figures of an audit: described, the same each time, and with the findings' numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_hex
from sample_audit import FACTS, FINDINGS, NOTHING, REFUTED, RESULT, ROC, epsilon, membership, recognition

from tff_affect.report import audit_plot
from tff_affect.report.audit_plot import MOST_ROWS, epsilon_plot, findings_plot, reidentification_plot, roc_plot
from tff_affect.runs.audit.result import AuditResult

PLOTS: dict[str, Callable[[AuditResult], str | None]] = {
    "findings": findings_plot,
    "epsilon": epsilon_plot,
    "reidentification": reidentification_plot,
    "roc": roc_plot,
}
REAL = replace(RESULT, facts=replace(FACTS, synthetic=False))


def drawn(name: str, result: AuditResult = RESULT) -> str:
    svg = PLOTS[name](result)
    assert svg is not None
    return svg


def description(svg: str, name: str) -> str:
    root = ElementTree.fromstring(svg)
    return str(next(element.text for element in root.iter() if element.get("id") == f"{name}-description"))


def texts(svg: str) -> list[str]:
    return [str(element.text) for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("name", PLOTS)
def test_figures_are_the_same_each_time_and_say_synthetic_only_where_it_is(name: str) -> None:
    svg = drawn(name)
    assert drawn(name) == svg
    assert "SYNTHETIC data" in texts(svg)
    assert svg.count("SYNTHETIC") >= 3
    assert "SYNTHETIC" not in drawn(name, REAL)


@pytest.mark.parametrize("name", PLOTS)
def test_without_findings_there_is_no_figure(name: str) -> None:
    assert PLOTS[name](replace(RESULT, findings=())) is None


@pytest.mark.parametrize("name", PLOTS)
def test_hostile_names_are_text(name: str) -> None:
    bad = "<script>$x_1^2$</script> & _y"
    findings = tuple(
        replace(finding, target=f"{finding.target} {bad}", method=f"{finding.method} {bad}") for finding in FINDINGS
    )
    svg = drawn(name, replace(RESULT, findings=findings))
    root = ElementTree.fromstring(svg)
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert bad in description(svg, name)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing gives the figure itself, to be measured."""
    monkeypatch.setattr(audit_plot, "to_svg", lambda figure, *_: figure)


def segments(axes: Any) -> list[list[float]]:
    """``[place, left, right]`` of each interval; row lines, which have the axes' width, are left out."""
    lines = [c for c in axes.collections if hasattr(c, "get_segments") and c.get_transform() == axes.transData]
    return [[s[0, 1], s[0, 0], s[1, 0]] for line in lines for s in line.get_segments()]


@pytest.mark.usefixtures("figures")
def test_findings_stand_between_chance_and_perfect() -> None:
    figure: Any = findings_plot(RESULT)
    axes = figure.axes[0]
    marks = [c for c in axes.collections if c.get_offsets().shape == (1, 2) and not hasattr(c, "get_segments")]
    found = [tuple(mark.get_offsets()[0]) for mark in marks]
    expected = [(v - 1 / 27) / (26 / 27) for v in (0.8125, 0.6875)] + [0.5625, (0.125 - 1 / 27) / (26 / 27), 0.0625]
    assert [x for x, _ in found] == pytest.approx(expected)
    assert [y for _, y in found] == [0, 1, 2, 3, 4]
    # The last was not shown: hollow.
    assert [len(mark.get_facecolors()) for mark in marks] == [1, 1, 1, 1, 0]
    edges = [to_hex(mark.get_edgecolors()[0]) for mark in marks]
    assert len(set(edges)) == 4
    assert edges[2] == edges[4]
    ends = segments(axes)
    assert ends[0] == pytest.approx([0, (0.75 - 1 / 27) / (26 / 27), (0.875 - 1 / 27) / (26 / 27)])
    # From 0.40625 on: below chance is drawn at chance.
    assert ends[4] == pytest.approx([4, 0.0, 0.3125])
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_findings_are_read_out() -> None:
    said = description(drawn("findings"), "findings")
    assert said.startswith("re-identification: action units: top-1 0.812, chance 0.037, found; ")
    assert said.endswith('membership: models of "federated + DP": AUC 0.531, chance 0.500, not shown.')
    assert "epsilon" not in said
    many = tuple(recognition(f"surface {i}", "", "data", 0.5 + i / 200, 0.001) for i in range(MOST_ROWS + 3))
    svg = drawn("findings", replace(RESULT, findings=many))
    assert f"(the {MOST_ROWS} worst of {MOST_ROWS + 3})" in svg
    assert f"surface {MOST_ROWS + 2}:" in svg
    assert "surface 2:" not in svg


def marks_of(figure: Any) -> dict[float, list[float]]:
    """Row -> where its marks stand."""
    found: dict[float, list[float]] = {}
    for line in figure.axes[0].lines:
        found.setdefault(line.get_ydata()[0], []).append(line.get_xdata()[0])
    return found


@pytest.mark.usefixtures("figures")
def test_epsilons_claimed_and_measured_stand_in_a_row() -> None:
    figure: Any = epsilon_plot(RESULT)
    assert marks_of(figure) == {0: [4.0, 4.0, 9.5, 4.75], 1: [8.0, 8.0, 2.25, 1.125]}
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["0", "1", "10", "inf"]


@pytest.mark.usefixtures("figures")
def test_an_infinite_epsilon_has_a_place_and_an_unknown_one_none() -> None:
    endless = epsilon("federated + DP", math.inf, 3.0, False, accounted="inf", one_run_epsilon=None)
    bare = replace(REFUTED, details={}, value=math.inf)
    figure: Any = epsilon_plot(replace(RESULT, findings=(endless, bare)))
    edge = figure.axes[0].get_xticks()[-1]
    assert edge > 3.0
    assert marks_of(figure) == {0: [edge], 1: [edge, edge, 3.0]}


def test_epsilons_are_read_out() -> None:
    said = description(drawn("epsilon"), "epsilon")
    assert (
        'mechanism, "federated + DP": claimed 4, accounted 4, at least (99 %) 9.5, at least (one run) 4.75, REF' in said
    )
    older = replace(REFUTED, details={"claimed": "inf", "one_run": 2.5})
    said = description(drawn("epsilon", replace(RESULT, findings=(older,))), "epsilon")
    assert "claimed inf, at least (99 %) 9.5, at least (one run) 2.5, REFUTED" in said
    assert "claimed inf, at least 9.5: REFUTED" in texts(drawn("epsilon", replace(RESULT, findings=(older,))))


@pytest.mark.usefixtures("figures")
@pytest.mark.parametrize("kept", [ROC, {"fpr": [p[0] for p in ROC], "tpr": [p[1] for p in ROC]}])
def test_curves_have_the_attacks_points(kept: Any) -> None:
    finding = replace(membership("federated", 0.75, 0.001), details={"roc": kept})
    figure: Any = roc_plot(replace(RESULT, findings=(finding,)))
    axes = figure.axes[0]
    chance, curve = axes.lines
    least = chance.get_xdata()[0]
    assert 0 < least <= 0.001
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert list(chance.get_ydata()) == list(chance.get_xdata()) == [least, 1]
    assert np.array(curve.get_xydata()) == pytest.approx(np.maximum(ROC, least))
    assert curve.get_drawstyle() == "steps-post"
    assert curve.get_label() == 'models of "federated": AUC 0.750'


@pytest.mark.parametrize("kept", [None, [], {}, {"fpr": []}, "no curve", [[0.0, math.nan]], [0.5], [["a", "b"]], 3])
def test_what_is_no_curve_is_not_drawn(kept: Any) -> None:
    finding = replace(membership("federated", 0.75, 0.001), details={"roc": kept})
    assert roc_plot(replace(RESULT, findings=(finding,))) is None


@pytest.mark.usefixtures("figures")
def test_bars_stand_beside_chance_and_the_features() -> None:
    figure: Any = reidentification_plot(RESULT)
    axes = figure.axes[0]
    assert [patch.get_width() for patch in axes.patches] == [0.8125, 0.6875, 0.125]
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in dashed] == [0.8125]
    assert [left for _, left, _ in segments(axes)] == pytest.approx([1 / 27] * 3)
    alone: Any = reidentification_plot(replace(RESULT, findings=(FINDINGS[4],)))
    assert not alone.axes[0].lines
    labels = [text.get_text() for text in alone.legends[0].get_texts()]
    assert labels == ["the server", "chance"]


def test_plots_of_nothing_say_so() -> None:
    said = description(drawn("findings", NOTHING), "findings")
    assert said.count("not shown") == 2
    assert "found" not in said
