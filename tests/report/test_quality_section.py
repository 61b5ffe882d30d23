"""The heat map of what was missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tff_affect.errors import InputError
from tff_affect.report import quality_section as module
from tff_affect.report.pseudonyms import with_pseudonyms
from tff_affect.report.quality_section import quality_map, quality_section, read_quality
from tff_affect.report.study import open_study

ROWS = [("P16", "AU01", 10, 0.0), ("P16", "valid", 10, 0.2), ("P1", "AU01", 4, 1.0), ("P1", "valid", 4, 0.5)]


def write(study: Path, rows: list = ROWS) -> Path:
    pd.DataFrame(rows, columns=["client", "feature", "frames", "missing"]).to_csv(study / "quality.csv", index=False)
    return study


def test_numbers_are_those_of_the_file(make_study: Callable[..., Path]) -> None:
    section = quality_section(open_study(write(make_study())), synthetic=True)
    assert section is not None
    assert section.figures[0].frame.to_dict("list") == {
        "client": ["P1", "P16"],
        "AU01": [1.0, 0.0],
        "valid": [0.5, 0.2],
    }
    assert section.tables[0].frame.to_dict("list") == {
        "client": ["P1", "P16"],
        "frames": [4, 10],
        "not_valid": [0.5, 0.2],
    }
    assert [rows for _, rows in section.tables[0].groups] == [[["P1", "4", "50.0 %"], ["P16", "10", "20.0 %"]]]


def test_clients_outside_every_split_have_another_name_too(make_study: Callable[..., Path]) -> None:
    study = with_pseudonyms(open_study(write(make_study(), [*ROWS, ("stranger", "valid", 3, 0.1)])))
    section = quality_section(study, synthetic=False)
    assert section is not None
    assert section.tables[0].frame["client"].str.startswith("client ").all()
    assert "stranger" not in section.figures[0].svg + section.figures[0].csv(True)


def test_the_map_is_drawn_in_classes() -> None:
    wide = pd.DataFrame({"AU01": [0.0, 0.05, 0.3], "valid": [0.7, 1.0, 0.0]}, index=["a", "b", "c"])
    image = quality_map(wide, synthetic=True)
    for _, colour, _ in module._CLASSES:
        # In the legend and in at least one cell.
        assert image.count(f"fill: {colour}") >= 2
    assert "SYNTHETIC" in image
    assert "3 clients by 2 columns; 34.2 % missing on average." in image
    assert "SYNTHETIC" not in quality_map(wide, synthetic=False)


def test_of_many_clients_the_worst_are_drawn(make_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CLIENTS", 2)
    rows = [(f"Q{i}", "valid", 5, i / 10) for i in range(5)]
    section = quality_section(open_study(write(make_study(), rows)), synthetic=True)
    assert section is not None
    assert "The 2 clients with most missing, of 5." in section.caption
    assert [name for name in ("Q0", "Q2", "Q3", "Q4") if f">{name}<" in section.figures[0].svg] == ["Q3", "Q4"]
    assert len(section.figures[0].frame) == 5


@pytest.mark.parametrize(
    "text",
    ["a,b\n1,2\n", "client,feature,frames,missing\nP1,valid,4,2.0\n", "client,feature,frames,missing\nP1,valid,x,0\n"],
)
def test_a_spoilt_table_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "quality.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="expected") as caught:
        read_quality(tmp_path / "quality.csv")
    assert caught.value.file == str(tmp_path / "quality.csv")


def test_nothing_known_is_no_section(make_study: Callable[..., Path]) -> None:
    study = make_study()
    assert quality_section(open_study(study), synthetic=True) is None
    assert quality_section(open_study(write(study, [])), synthetic=True) is None
    assert read_quality(write(study, [("P1", "valid", 0, float("nan"))]) / "quality.csv") is not None
