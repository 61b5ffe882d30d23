"""One page over several studies, each study's report below it, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from html_page import Tables, section
from sample_compared import alter, write_compared
from sample_study import add_private, guarantee

from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import read_study
from tff_affect.report import html, several
from tff_affect.report.report_files import ReportOptions
from tff_affect.report.several import write_several
from tff_affect.report.study import CohortFacts

FACTS = CohortFacts("toy cohort", True, 12, 25.0)


@pytest.fixture
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two studies, the second with privacy too and in another order of magnitude; without figures, which take long."""
    monkeypatch.setattr(html, "figure_sections", lambda study, facts: iter(()))
    monkeypatch.setattr(html, "curve_figures", lambda data, synthetic: ())
    folders = [write_compared(tmp_path / name, seeds=(0,)) for name in ("somebodys-first", "somebodys-second")]
    add_private(folders[1] / "seed-0", 7, guarantee(4.25))
    for folder, rounds in zip(folders, (10, 20), strict=True):
        text = f"data:\n  cohort: /home/x/c\ntraining:\n  rounds: {rounds}\n  loss: ccc\n"
        (folder / "config.yaml").write_text(text, encoding="utf-8")
    return folders


def test_the_page_compares_and_leads_to_each_study(studies: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    page = write_several(studies, FACTS, out, ReportOptions())
    text = page.read_text(encoding="utf-8")
    assert page == out / "report.html"
    assert re.findall(r'href="([^#].*?)"', text) == ["study-1/report.html", "study-2/report.html"]
    assert all((out / f"study-{place}" / "report.html").is_file() for place in (1, 2))
    assert "somebody" not in text
    assert "/home" not in text
    tables = {Path(table.csv).stem: table for table in Tables(text).found}
    assert tables["settings"].rows == [["training.rounds", "10", "20"]]
    assert {row[0] for row in tables["comparison"].rows} == {"local-only", "centralised", "federated"}
    # The runs are copies, so that nothing differs.
    frame = pd.read_csv(out / "figures" / "comparison.csv")
    assert (frame["difference_mean"] == 0).all()
    assert (frame["p_value"] == 1).all()
    assert set(tables["comparison"].heads) == {f"{d}: study 1 and study 2" for d in ("arousal", "valence")}
    assert "4.25" in section(text, "Privacy")
    assert text.count("<svg") == 2


def test_clients_have_the_same_names_in_all_reports(studies: list[Path], tmp_path: Path) -> None:
    write_several(studies, FACTS, tmp_path / "out", ReportOptions())
    frames = [
        pd.read_csv(tmp_path / "out" / f"study-{place}" / "figures" / "test-clients-arousal.csv") for place in (1, 2)
    ]
    federated = [frame.set_index("client")["ccc federated"] for frame in frames]
    pd.testing.assert_series_equal(*federated)
    assert not set(frames[0]["client"]) & set(read_study(studies[0])["client"])


def test_own_names_are_shown_when_asked_for(studies: list[Path], tmp_path: Path) -> None:
    text = write_several(studies, FACTS, tmp_path / "out", ReportOptions(own_names=True)).read_text(encoding="utf-8")
    assert "arousal: somebodys-first and somebodys-second" in text
    own = (tmp_path / "out" / "study-1" / "report.html").read_text(encoding="utf-8")
    assert '<th scope="row">P16</th>' in own


def test_what_compare_refuses_is_refused_and_nothing_is_written(studies: list[Path], tmp_path: Path) -> None:
    alter(studies[1] / "seed-0" / "split.json", lambda split: split["train"].remove("P2"))
    with pytest.raises(InputError, match="different splits"):
        write_several(studies, FACTS, tmp_path / "out", ReportOptions())
    assert not (tmp_path / "out").exists()


def test_studies_without_a_method_in_common_have_no_pairs(studies: list[Path], tmp_path: Path) -> None:
    for folder, kept in zip(studies, ("centralised", "federated + DP"), strict=True):
        file = folder / "seed-0" / "results.csv"
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        wanted = [line for line in lines[1:] if line.startswith((f"{kept},", "mean predictor,"))]
        file.write_text("".join([lines[0], *wanted]), encoding="utf-8")
    text = write_several(studies, FACTS, tmp_path / "out", ReportOptions()).read_text(encoding="utf-8")
    assert "nothing to pair by client" in section(text, "Comparison")
    assert ">centralised, without privacy</text>" in text


@pytest.mark.parametrize("kind", ["file", "occupied"])
def test_a_folder_of_something_else_is_left_alone(studies: list[Path], tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("kept", encoding="utf-8")
    else:
        out.mkdir()
        (out / "mine").write_text("kept", encoding="utf-8")
    with pytest.raises(InputError, match=r"name a new one|found a file"):
        several.write_several(studies, FACTS, out, ReportOptions())
    assert (out if kind == "file" else out / "mine").read_text(encoding="utf-8") == "kept"
