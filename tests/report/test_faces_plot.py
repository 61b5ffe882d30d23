"""The figures of the face anonymiser: drawn where the numbers say, the same each time, SYNTHETIC in every title."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from sample_faces_results import OBJECTIVES, sample_results

from tff_affect.report import faces_plot
from tff_affect.report.faces import FacesText, summarise
from tff_affect.report.faces_plot import adversary_plot, frontier_plot
from tff_affect.report.tradeoff_plot import Drawing

DRAWN, REAL = FacesText("SYNTHETIC drawn faces", True), FacesText("yale", False)
RESULTS = sample_results()
ROWS = summarise(RESULTS)


def drawn(name: str, text: FacesText) -> Drawing:
    found = frontier_plot(RESULTS, ROWS, text) if name == "frontier" else adversary_plot(ROWS, text)
    assert found is not None
    return found


def texts(svg: str) -> list[str]:
    return [str(element.text) for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def description(svg: str, name: str) -> str:
    root = ElementTree.fromstring(svg)
    return str(next(element.text for element in root.iter() if element.get("id") == f"{name}-description"))


@pytest.mark.parametrize("name", ["frontier", "adversary"])
def test_figures_are_the_same_each_time_and_say_synthetic_only_where_it_is(name: str) -> None:
    svg, png = drawn(name, DRAWN)
    assert drawn(name, DRAWN) == (svg, png)
    assert png.startswith(b"\x89PNG")
    assert "SYNTHETIC data" in texts(svg)
    assert "drawn faces" in texts(svg)
    assert "SYNTHETIC" not in drawn(name, REAL)[0]


def test_the_figures_are_read_out() -> None:
    said = description(drawn("frontier", REAL)[0], "frontier")
    assert "trained (adversary) 4: emotion UAR 0.650, top-1 0.500" in said
    assert "blur 6: emotion UAR 0.300, top-1 0.500" in said
    assert said.endswith("guessing: 0.143 and 0.067.")
    said = description(drawn("adversary", REAL)[0], "adversary")
    assert (
        "trained (reversal), privacy weight 1: the adversary of the training 0.400, strongest fresh attacker, people "
        "it was trained on 0.820, strongest fresh attacker, unseen people 0.780"
    ) in said


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing gives the figure itself, to be measured."""
    monkeypatch.setattr(faces_plot, "_both", lambda figure, *_: figure)


def bars(axes: Any, label: str) -> Any:
    return next(found for found in axes.containers if found.get_label() == label)


@pytest.mark.usefixtures("figures")
def test_the_frontier_has_identity_across_and_emotion_up() -> None:
    figure: Any = frontier_plot(RESULTS, ROWS, REAL)
    (axes,) = figure.axes
    line = bars(axes, "trained (entropy)")[0]
    np.testing.assert_allclose(line.get_xdata(), [0.9, 0.76, 0.34])
    np.testing.assert_allclose(line.get_ydata(), [0.85, 0.8, 0.65])
    kinds = {found.get_label() for found in axes.containers}
    assert kinds == {"blur", *(f"trained ({objective})" for objective in OBJECTIVES)}
    ends = {
        found.get_label(): found.get_offsets()[0]
        for found in axes.collections
        if "ceiling" in str(found.get_label()) or "floor" in str(found.get_label())
    }
    np.testing.assert_allclose(ends["unchanged: ceiling"], [0.95, 0.9])
    np.testing.assert_allclose(ends["constant: floor"], [1 / 15, 1 / 7])
    chances = [line.get_xdata()[0] for line in axes.lines if line.get_label() == "guessing"]
    assert chances == pytest.approx([1 / 15])


@pytest.mark.usefixtures("figures")
def test_light_marks_are_the_seeds_and_bars_reach_their_ends() -> None:
    figure: Any = frontier_plot(RESULTS, ROWS, REAL)
    (axes,) = figure.axes
    seeds = np.concatenate([np.asarray(found.get_offsets()) for found in axes.collections if found.get_alpha() == 0.3])
    compared = RESULTS[~RESULTS["transformation"].isin(["unchanged", "constant"])]
    assert {tuple(row) for row in seeds.round(9)} == {
        tuple(row) for row in compared[["identity_top1", "emotion_uar"]].to_numpy().round(9)
    }
    _, _, (across, up) = bars(axes, "blur")
    np.testing.assert_allclose(across.get_segments()[0][:, 0], [0.79, 0.81])
    np.testing.assert_allclose(up.get_segments()[1][:, 1], [0.29, 0.31])


@pytest.mark.usefixtures("figures")
def test_the_adversary_stands_beside_those_who_were_not_trained_against() -> None:
    figure: Any = adversary_plot(ROWS, REAL)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [f"trained ({name})" for name in sorted(OBJECTIVES)]
    panel = figure.axes[0]
    np.testing.assert_allclose(bars(panel, "the adversary of the training")[0].get_ydata(), [0.4, 0.16])
    np.testing.assert_allclose(bars(panel, "strongest fresh attacker, unseen people")[0].get_ydata(), [0.8, 0.5])
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == ["1", "4"]


def test_without_a_trained_transformation_there_is_no_adversary() -> None:
    simple = sample_results(objectives=())
    assert adversary_plot(summarise(simple), REAL) is None
    assert "blur" in texts(frontier_plot(simple, summarise(simple), REAL)[0])


def test_one_seed_can_be_drawn() -> None:
    one = sample_results(seeds=1)
    svg, _ = frontier_plot(one, summarise(one), DRAWN)
    assert "nan" not in description(svg, "frontier")
