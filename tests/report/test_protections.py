"""Protections beside each other: every number with its chance, nothing called safe, SYNTHETIC where it is."""

from __future__ import annotations

import io
import json
import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from rich.console import Console

from tff_affect.errors import InputError
from tff_affect.report import protections
from tff_affect.report.protections import (
    Reading,
    claim_verdict,
    is_refuted,
    protection_records,
    protection_sheets,
    protection_tables,
    protections_figure,
    protections_markdown,
    write_protections,
)
from tff_affect.report.svg import BLUE, ORANGE

ATTACKS = ("recognised", "attribute", "rebuilt", "member")
SAFETY = re.compile(r"\b(safe|safely|safety|secure|harmless|protected|no leak|no risk|anonymous)\b", re.IGNORECASE)
DP = "federated + DP"
NAMES = ["none: one trainer has all features", "federated", f"{DP} for subjects, noise 2", f"{DP} for windows, noise 2"]
Found = tuple[float, float, float] | None


def row(name: str, method: str, ccc: float, found: tuple[Found, Found, Found, Found], **claim: Any) -> dict[str, Any]:
    """A row as the comparison makes it: what was not attacked is not there."""
    made: dict[str, Any] = {"protection": name, "method": method, "ccc": ccc, **claim}
    for attack, numbers in zip(ATTACKS, found, strict=True):
        if numbers is not None:
            made |= dict(zip((attack, f"{attack}_chance", f"{attack}_p"), numbers, strict=True))
    return made


def table(*rows: dict[str, Any], synthetic: bool = True, cohort: str = "toy_cohort") -> pd.DataFrame:
    return pd.DataFrame(rows).assign(cohort=cohort, synthetic=synthetic)


ROWS = [
    row(NAMES[0], "centralised", 0.5, ((0.75, 0.04, 0.0002), (0.7, 0.5, 0.01), None, (0.625, 0.5, 0.001))),
    row(NAMES[1], "federated", 0.45, ((0.6, 0.0625, 0.0002), (0.65, 0.5, 0.05), (0.8, 0.02, 0.01), (0.6, 0.5, 0.02))),
    row(
        NAMES[2], DP, 0.15, ((0.55, 0.0625, 0.0002), (0.66, 0.5, 0.0501), (0.81, 0.02, 0.01), (0.49, 0.5, 0.6)),
        epsilon=9.25, epsilon_measured=7.125, refuted=False,
    ),
    row(
        NAMES[3], DP, -0.05, ((0.125, 0.0625, 0.08), (0.55, 0.5, math.nan), (-0.1, 0.02, 0.9), (0.52, 0.5, 0.3)),
        epsilon=6.5, epsilon_measured=8.75, refuted=True,
    ),
]  # fmt: skip
TABLE = table(*ROWS)
REAL = table(*ROWS, synthetic=False, cohort="corpus")


def printed(frame: pd.DataFrame) -> list[str]:
    console = Console(file=io.StringIO(), width=100, record=True)
    for shown, caption in protection_tables(frame):
        console.print(shown)
        console.print(caption, markup=False, highlight=False)
    return console.export_text().splitlines()


def cells(frame: pd.DataFrame, sheet: int) -> list[tuple[str, ...]]:
    return list(list(protection_sheets(frame))[sheet][0].rows)


def caption(frame: pd.DataFrame, sheet: int) -> str:
    return list(protection_sheets(frame))[sheet][1]


def test_each_number_stands_beside_its_chance_and_is_marked_unless_it_beats_it() -> None:
    assert cells(TABLE, 0) == [
        (NAMES[0], "0.750 (0.040)", "0.700 (0.500)", "-", "0.625 (0.500)"),
        (NAMES[1], "0.600 (0.062)", "0.650 (0.500)", "0.800 (0.020)", "0.600 (0.500)"),
        (NAMES[2], "0.550 (0.062)", "†0.660 (0.500)", "0.810 (0.020)", "†0.490 (0.500)"),
        (NAMES[3], "†0.125 (0.062)", "†0.550 (0.500)", "†-0.100 (0.020)", "†0.520 (0.500)"),
    ]
    assert "†: not shown (p above 0.05, or not tested): the strongest of these attackers did not beat" in (
        caption(TABLE, 0)
    )
    assert "-: not attacked, of which nothing is known." in caption(TABLE, 0)
    found = caption(table(ROWS[1]), 0)
    assert "†" not in found
    assert "not attacked" not in found


@given(st.floats(-1, 1), st.one_of(st.none(), st.just(math.nan), st.floats(0, 1)))
def test_no_mark_takes_a_p_of_at_most_five_percent(value: float, p: float | None) -> None:
    reading = Reading.of({"member": value, "member_chance": 0.5, "member_p": p}, "member")
    assert reading.text.startswith("†") == (p is None or not p <= 0.05)
    assert reading.text.endswith(f"{value:.3f} (0.500)")


def test_the_second_table_says_who_gets_what_and_epsilon_with_its_unit() -> None:
    assert cells(TABLE, 1) == [
        (NAMES[0], "trainer: features", "0.500", "none", "-", "-"),
        (NAMES[1], "server: updates", "0.450", "none", "-", "-"),
        (NAMES[2], "server: updates", "0.150", "9.25 (subject)", "7.125", "not refuted"),
        (NAMES[3], "server: updates", "-0.050", "6.5 (window)", "8.75", "REFUTED"),
    ]
    said = caption(TABLE, 1)
    assert "not refuted: these canaries do not contradict the claim, which does not prove it" in said.lower()
    assert "the two cannot be compared" in said
    assert "no claim:" not in said
    without = caption(table(*ROWS[:2]), 1)
    assert "psilon" not in without
    assert "one seed on one split" in without


@pytest.mark.parametrize(
    ("claim", "shown"),
    [
        ({"epsilon": "inf", "epsilon_measured": 0.0, "refuted": False}, ("inf (subject)", "-", "no claim")),
        ({"epsilon": math.inf, "epsilon_measured": 0.0, "refuted": False}, ("inf (subject)", "-", "no claim")),
        ({"epsilon": "4.5", "epsilon_measured": math.inf, "refuted": True}, ("4.5 (subject)", "inf", "REFUTED")),
        ({"epsilon": math.nan, "refuted": math.nan}, ("-", "-", "-")),
        ({}, ("-", "-", "-")),
        ({"epsilon": None, "epsilon_measured": None, "refuted": None}, ("-", "-", "-")),
    ],
)
def test_claims_as_they_may_come(claim: dict[str, Any], shown: tuple[str, ...]) -> None:
    alone = row(NAMES[2], DP, 0.1, ((0.5, 0.1, 0.2), None, None, None), **claim)
    assert cells(table(alone), 1)[0][3:] == shown
    assert claim_verdict(alone) == shown[-1]
    assert is_refuted(alone) == (shown[-1] == "REFUTED")
    assert ("promises nothing that could be refuted" in caption(table(alone), 1)) == (shown[-1] == "no claim")


def test_updates_that_no_attack_saw_are_not_said_to_be_sent() -> None:
    hidden = row(NAMES[2], DP, 0.1, (None, None, None, (0.5, 0.5, 0.6)), epsilon=4.0, epsilon_measured=1.0)
    assert cells(table(*ROWS[:2], hidden), 1)[2][1] == "-"
    assert "handed over" not in caption(table(hidden), 0)


def test_luck_of_many_numbers_is_counted() -> None:
    p = sorted(r[f"{a}_p"] for r in ROWS for a in ATTACKS if not math.isnan(r.get(f"{a}_p", math.nan)))
    adjusted = np.maximum.accumulate((len(p) - np.arange(len(p))) * np.array(p))
    assert (len(p), int((adjusted <= 0.05).sum())) == (14, 4)
    assert "9 of 14 tests beat chance, 4 also when corrected for all of them (Holm)." in caption(TABLE, 0)
    # The same updates, attacked once; models are each protection's own.
    shared = [row(name, DP, 0.1, ((0.9, 0.1, 0.01), None, None, (0.6, 0.5, 0.02))) for name in NAMES[1:]]
    assert "4 of 4 tests beat chance, 1 also" in caption(table(*shared), 0)
    untested = row("federated", "federated", 0.1, ((0.5, 0.1, math.nan), None, None, None))
    assert caption(table(untested), 0).endswith("Nothing was tested.")


def test_the_terminal_has_a_hundred_columns_and_breaks_no_number() -> None:
    long = row(
        f"{DP} for subjects, noise 0.123456", DP, -0.123, ((-0.125, -0.0625, 0.9),) * 4,
        epsilon=123456.0, epsilon_measured=1e-05, refuted=False,
    )  # fmt: skip
    for frame in (TABLE, table(*ROWS, long)):
        lines = printed(frame)
        assert max(map(len, lines)) <= 100
        assert "…" not in "".join(lines)
        for sheet in (0, 1):
            for _, *numbers in cells(frame, sheet):
                assert any(all(number in line for number in numbers) for line in lines)
    said = " ".join(" ".join(printed(table(*ROWS, long))).split())
    assert "noise 0.123456" in said


def test_names_are_no_markup() -> None:
    hostile = table(row("[bold]federated[/bold]", "federated", 0.5, ((0.5, 0.1, 0.01),) * 4))
    assert any("[bold]federated[/bold]" in line for line in printed(hostile))


def test_synthetic_is_said_only_where_it_is() -> None:
    for sheet, said in protection_sheets(TABLE):
        assert sheet.title.startswith("SYNTHETIC data - ")
        assert sheet.title.endswith(", toy_cohort")
        assert said.startswith("SYNTHETIC data. ")
    assert protections_markdown(TABLE).count("### SYNTHETIC data - ") == 2
    assert all(record["synthetic"] is True for record in protection_records(TABLE))
    svg, _ = protections_figure(TABLE)
    # The title as seen and as read out, and a watermark on each of five panels.
    assert svg.count("SYNTHETIC") == 7
    everything = "".join([*printed(REAL), protections_markdown(REAL), protections_figure(REAL)[0]])
    assert "SYNTHETIC" not in everything
    assert "corpus" in everything


def nothing_found() -> pd.DataFrame:
    return table(*(row(name, DP, 0.1, ((0.1, 0.1, 0.9),) * 4, epsilon=1.0, refuted=False) for name in NAMES[2:]))


@pytest.mark.parametrize("frame", [TABLE, REAL, nothing_found(), TABLE.iloc[:0]])
def test_nothing_is_called_safe(frame: pd.DataFrame) -> None:
    said = " ".join([*printed(frame), protections_markdown(frame)])
    if len(frame):
        said += protections_figure(frame)[0]
    assert not SAFETY.search(said)


def test_the_page_holds_both_tables() -> None:
    page = protections_markdown(TABLE)
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert len(lines) == 2 * (2 + len(ROWS))
    assert f"| {NAMES[1]} | 0.600 (0.062) | 0.650 (0.500) | 0.800 (0.020) | 0.600 (0.500) |" in lines
    assert f"| {NAMES[3]} | server: updates | -0.050 | 6.5 (window) | 8.75 | REFUTED |" in lines
    assert all(said in page for _, said in protection_sheets(TABLE))


@pytest.mark.parametrize("epsilon", [9.25, "inf"])
def test_a_table_read_again_from_its_file_says_the_same(epsilon: float | str) -> None:
    frame = table(*ROWS[:2], ROWS[2] | {"epsilon": epsilon}, ROWS[3])
    again = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    assert protections_markdown(again) == protections_markdown(frame)
    assert [is_refuted(r) for r in protection_records(again)] == [False, False, False, True]


def test_records_are_json_with_words_for_what_it_lacks() -> None:
    frame = table(ROWS[1], ROWS[2] | {"epsilon": "inf", "epsilon_measured": math.inf})
    records = protection_records(frame)
    kept = json.loads(json.dumps(records), parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert kept == records
    assert (kept[0]["epsilon"], kept[0]["refuted"]) == (None, None)
    assert (kept[1]["epsilon"], kept[1]["epsilon_measured"], kept[1]["recognised"]) == ("inf", "inf", 0.55)


def test_an_attack_that_was_never_made_has_no_panel() -> None:
    rows = [row(NAMES[0], "centralised", 0.5, ((0.75, 0.04, 0.0002), None, None, None)), ROWS[1]]
    few = table(*({k: v for k, v in r.items() if not k.startswith(("attribute", "rebuilt"))} for r in rows))
    assert cells(few, 0)[1] == (NAMES[1], "0.600 (0.062)", "-", "-", "0.600 (0.500)")
    assert "balanced accuracy" not in caption(few, 0)
    svg, _ = protections_figure(few)
    assert "Recognised: top-1" in texts(svg)
    assert "Attribute: balanced accuracy" not in texts(svg)
    assert texts(svg).count("not attacked") == 1


def texts(svg: str) -> list[str]:
    return [str(element.text) for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The panels of the figure, to be measured."""
    kept: list[Any] = []

    def keep(figure: Any, *_: Any) -> str:
        kept.extend(figure.axes)
        return ""

    monkeypatch.setattr(protections, "to_svg", keep)
    protections_figure(TABLE)
    return kept


def dots(axes: Any) -> dict[float, tuple[float, bool]]:
    """Row -> value of its dot, and whether it is filled."""
    return {
        float(y): (float(x), len(each.get_facecolors()) > 0)
        for each in axes.collections
        if len(each.get_offsets()) == 1 and to_hex(each.get_edgecolors()[0]) == ORANGE.lower()
        for x, y in each.get_offsets()
    }


def test_dots_lines_and_costs_are_the_numbers(panels: list[Any]) -> None:
    assert [axes.get_title(loc="left") for axes in panels] == [
        "Recognised: top-1", "Attribute: balanced accuracy", "Rebuilt: correlation", "Member: AUC",
        "What it costs: CCC per client",
    ]  # fmt: skip
    assert dots(panels[0]) == {0: (0.75, True), 1: (0.6, True), 2: (0.55, True), 3: (0.125, False)}
    assert dots(panels[1]) == {0: (0.7, True), 1: (0.65, True), 2: (0.66, False), 3: (0.55, False)}
    assert dots(panels[2]) == {1: (0.8, True), 2: (0.81, True), 3: (-0.1, False)}
    assert dots(panels[3]) == {0: (0.625, True), 1: (0.6, True), 2: (0.49, False), 3: (0.52, False)}
    (cost,) = [each for each in panels[4].collections if len(each.get_offsets()) == len(ROWS)]
    assert np.asarray(cost.get_offsets()) == pytest.approx(np.array([[0.5, 0], [0.45, 1], [0.15, 2], [-0.05, 3]]))
    assert to_hex(cost.get_facecolors()[0]) == BLUE.lower()


def test_chance_is_a_line_in_each_attacked_row(panels: list[Any]) -> None:
    for axes, expected in zip(panels, ([0.04, 0.0625, 0.0625, 0.0625], [0.5] * 4, [0.02] * 3, [0.5] * 4), strict=False):
        upright = [
            segment
            for each in axes.collections
            if hasattr(each, "get_segments")
            for segment in each.get_segments()
            if len({x for x, _ in segment}) == 1
        ]
        assert [float(segment[0, 0]) for segment in upright] == expected
        assert [round(float(segment[:, 1].mean())) for segment in upright] == list(range(4 - len(expected), 4))


def test_rows_are_named_from_the_top_and_all_is_in_sight(panels: list[Any]) -> None:
    for axes in panels:
        assert [label.get_text() for label in axes.get_yticklabels()] == NAMES
        bottom, top = axes.get_ylim()
        assert bottom > 3 > 0 > top
        left, right = axes.get_xlim()
        assert left < -0.1 < 1 < right


def test_the_figure_is_read_out_and_the_same_each_time() -> None:
    svg, png = protections_figure(TABLE)
    assert (svg, png) == protections_figure(TABLE)
    assert png.startswith(b"\x89PNG")
    assert "$" not in svg
    assert {"beats chance", "chance", "toy_cohort", "SYNTHETIC data", "0.750"} <= set(texts(svg))
    root = ElementTree.fromstring(svg)
    said = next(str(e.text) for e in root.iter() if e.get("id") == "protections-description")
    assert f"{NAMES[0]}: recognised 0.750, chance 0.040; attribute 0.700, chance 0.500; rebuilt not attacked;" in said
    assert f"{NAMES[3]}: recognised 0.125, chance 0.062, not shown;" in said
    assert said.endswith("member 0.520, chance 0.500, not shown; CCC -0.050.")


@pytest.mark.filterwarnings("error")
def test_a_single_protection_is_drawn() -> None:
    assert "federated" in texts(protections_figure(table(ROWS[1]))[0])


def test_page_and_figure_are_written(tmp_path: Path) -> None:
    write_protections(tmp_path, TABLE)
    assert {file.name for file in tmp_path.iterdir()} == {"protections.md", "protections.svg", "protections.png"}
    assert (tmp_path / "protections.md").read_text(encoding="utf-8") == protections_markdown(TABLE)
    assert (tmp_path / "protections.svg").read_text(encoding="utf-8") == protections_figure(TABLE)[0] + "\n"
    with pytest.raises(InputError, match="cannot write here"):
        write_protections(tmp_path / "absent", TABLE)
