"""Run cost: rounds, seconds and bytes, by hand from what a study keeps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_full_study import CONFIG, SHAPES, write_full_study

from tff_affect.errors import InputError
from tff_affect.report.cost_section import cost_section
from tff_affect.report.section import Section
from tff_affect.report.study import open_study

PARAMETERS = sum(int(np.prod(shape)) for shape in SHAPES)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_full_study(tmp_path / "study")


def section_of(study: Path) -> Section:
    section = cost_section(open_study(study))
    assert section is not None
    return section


def rows_of(study: Path) -> pd.DataFrame:
    return section_of(study).tables[0].frame.set_index(["work", "method"])


def test_all_is_counted(study: Path) -> None:
    """Two runs of eleven rounds, 2 clients each; seconds 0.25 (n + 1 + seed) for n = 0 to 10; three are scored."""
    rows = rows_of(study)
    trained = rows.loc[("training", "federated")]
    assert trained["rounds"] == 22
    assert trained["seconds"] == pytest.approx(0.25 * (66 + 77))
    assert trained["seconds_a_round"] == pytest.approx(np.median([0.25 * n for n in (*range(1, 12), *range(2, 13))]))
    assert (trained["bytes_down"], trained["bytes_up"]) == (4 * PARAMETERS, 8 * PARAMETERS + 32)
    assert trained["bytes_all"] == 22 * 2 * (12 * PARAMETERS + 32)
    private = rows.loc[("training", "federated + DP")]
    assert (private["clients"], private["bytes_up"]) == (2, 8 * PARAMETERS)
    scored = rows.loc[("scoring development clients", "federated")]
    assert (scored["rounds"], scored["clients"], scored["bytes_up"]) == (22, 3, 96)


def test_what_is_shown_says_what_is_not_counted(study: Path) -> None:
    section = section_of(study)
    assert "compression, encryption and headers are not counted" in section.texts[0]
    assert "withheld" in section.tables[0].note
    assert "Times were not kept" not in section.tables[0].note


def test_an_older_study_says_that_no_times_were_kept(study: Path) -> None:
    for file in study.rglob("timing.jsonl"):
        file.unlink()
    table = section_of(study).tables[0]
    assert "Times were not kept" in table.note
    assert table.frame["seconds"].isna().all()
    assert [cells[2] for _, rows in table.groups for cells in rows] == ["-"] * 4


def test_rounds_computed_twice_are_said(study: Path) -> None:
    with open(study / "seed-0" / "timing.jsonl", "a", encoding="utf-8") as stream:
        stream.write(json.dumps({"round": 10, "seconds": 1.0}) + "\n")
    assert "computed twice" in section_of(study).tables[0].note


def test_tuned_studies_count_every_candidate(study: Path) -> None:
    for rate in ("0.01", "0.1"):
        for seed in (0, 1):
            folder = study / f"seed-{seed}" / "tuning" / f"federated-{rate}"
            folder.mkdir(parents=True)
            for name in ("rounds.csv", "timing.jsonl"):
                shutil.copy(study / f"seed-{seed}" / name, folder)
    assert rows_of(study).loc[("training", "federated"), "rounds"] == 44
    assert rows_of(study).loc[("training", "federated + DP"), "rounds"] == 22


def test_without_weights_or_in_closed_form_bytes_are_not_known(study: Path) -> None:
    (study / "config.yaml").write_text(CONFIG.replace("lstm", "ridge"), encoding="utf-8")
    table = section_of(study).tables[0]
    assert "Ridge regression" in table.note
    assert table.frame["bytes_down"].isna().all()
    (study / "config.yaml").write_text(CONFIG, encoding="utf-8")
    for file in study.rglob("*.npz"):
        file.unlink()
    assert "Bytes are not known" in section_of(study).tables[0].note


def test_a_study_without_rounds_has_no_such_section(study: Path) -> None:
    for file in study.rglob("rounds.csv"):
        file.unlink()
    assert cost_section(open_study(study)) is None


def test_a_spoilt_file_of_times_is_named(study: Path) -> None:
    file = study / "seed-1" / "timing.jsonl"
    file.write_text("x\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        section_of(study)
    assert caught.value.file == str(file)
