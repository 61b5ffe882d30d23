"""The table and the figure of a plan."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from tff_affect.errors import InputError
from tff_affect.privacy.planner import Plan, Question, make_plan
from tff_affect.report.privacy_plan import plan_figure, plan_table, write_plan_figure, zone


def a_plan(parameters: int | None = 1506) -> Plan:
    return make_plan(Question(27, 20, 4.0, parameters=parameters))


def test_the_table_has_a_row_for_each_number_of_subjects() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(plan_table(a_plan()))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 100
    rows = {line.split()[0]: line for line in lines if line.strip()[:1].isdigit()}
    assert list(rows) == ["27", "100", "300", "1,000", "3,000", "10,000"]
    assert rows["27"].split()[:5] == ["27", "27", "0.004", "3.3", "4.7"]
    assert rows["27"].rstrip().endswith("clear loss")
    assert rows["10,000"].rstrip().endswith("small loss")


def test_a_table_without_weights_judges_nothing() -> None:
    table = plan_table(a_plan(None))
    assert list(table.columns[4].cells) == list(table.columns[5].cells) == ["-"] * 6


@pytest.mark.parametrize(
    ("ratio", "name"), [(10.0, "learns next to nothing"), (9.9, "clear loss"), (0.99, "small loss")]
)
def test_zones(ratio: float, name: str) -> None:
    assert zone(ratio) == name


def test_the_figure_is_read_out_and_the_same_each_time() -> None:
    svg, png = plan_figure(a_plan())
    assert (svg, png) == plan_figure(a_plan())
    root = ElementTree.fromstring(svg)
    spoken = root.find("{http://www.w3.org/2000/svg}desc")
    assert spoken is not None
    assert "27 subjects: 4.7, clear loss" in str(spoken.text)
    assert "$" not in svg
    for text in ("1,000", "clear loss", "training subjects", "this plan"):
        assert f">{text}<" in svg


def test_the_figure_is_written_by_its_ending(tmp_path: Path) -> None:
    plan = a_plan()
    for name, head in (("plan.svg", b"<svg"), ("plan.PNG", b"\x89PNG")):
        write_plan_figure(tmp_path / name, plan)
        assert (tmp_path / name).read_bytes().startswith(head)
    with pytest.raises(InputError, match=r"plan\.pdf: expected a figure that ends in \.png or \.svg"):
        write_plan_figure(tmp_path / "plan.pdf", plan)
    with pytest.raises(InputError, match="expected a number of weights"):
        write_plan_figure(tmp_path / "other.svg", a_plan(None))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.PNG", "plan.svg"]
