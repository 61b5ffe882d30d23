"""Tables of the face anonymiser: the right means, SYNTHETIC where faces are drawn, and honest sentences."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sample_faces_results import OBJECTIVES, sample_results

from tff_affect.report.faces import (
    FacesText,
    dominates,
    faces_caption,
    faces_markdown,
    faces_records,
    faces_sheets,
    is_learned,
    learned_name,
    summarise,
    verdicts,
    write_faces_tables,
)

DRAWN = FacesText("SYNTHETIC drawn faces", True)
REAL = FacesText("yale", False, ("Two images were dropped.",))
RESULTS = sample_results()
ROWS = summarise(RESULTS)


def test_means_and_spreads_are_those_of_pandas() -> None:
    grouped = RESULTS.groupby(["transformation", "strength"])
    for measure in ("emotion_uar", "identity_top1", "adversary_accuracy"):
        for function, ending in (("mean", ""), ("std", "_sd"), ("min", "_low"), ("max", "_high")):
            expected = grouped[measure].agg(function)
            found = ROWS.set_index(["transformation", "strength"])[measure + ending]
            np.testing.assert_allclose(found.sort_index(), expected.sort_index(), rtol=1e-12, atol=1e-12)
    assert set(ROWS["seeds"]) == {3}


def test_a_missing_seed_is_left_out_of_a_mean_and_not_taken_for_zero() -> None:
    results = RESULTS.copy()
    blurred = (results["transformation"] == "blur") & (results["strength"] == 2)
    results.loc[blurred & (results["seed"] == 2), "verification_eer"] = np.nan
    results.loc[blurred & (results["seed"] == 0), "verification_eer"] = 0.35
    row = summarise(results).set_index(["transformation", "strength"]).loc[("blur", 2.0)]
    assert row["verification_eer"] == pytest.approx(0.3)
    one = summarise(results[results["seed"] == 1])
    assert one["emotion_uar_sd"].isna().all()
    assert "±" not in faces_markdown(one, DRAWN).split("SYNTHETIC data. Mean")[0]


def test_columns_that_nothing_fills_may_be_missing() -> None:
    few = RESULTS.drop(columns=["reconstruction_error", "adversary_accuracy", "identity_attacker", "verification_eer"])
    rows = summarise(few)
    assert rows["reconstruction_error"].isna().all()
    assert len(faces_sheets(rows, DRAWN)) == 2
    assert len(faces_sheets(ROWS, DRAWN)) == 3


def test_people_who_were_attacked_together_have_a_column_with_their_own_chance() -> None:
    together = summarise(RESULTS.assign(everyone_top1=0.5, everyone_chance=1 / 40))
    first = faces_sheets(together, REAL)[0]
    assert {row[first.columns.index("all people top-1 (chance)")] for row in first.rows} == {"0.50 ± 0.00 (0.025)"}
    assert not any("all people" in name for name in faces_sheets(ROWS, REAL)[0].columns)


def test_the_caption_tells_what_the_strongest_of_several_reaches_by_luck() -> None:
    luck = RESULTS.assign(identity_luck=np.where(RESULTS["strength"] == 0, 0.5, 0.1234))
    assert "would stay below 0.123 in 99 % of cases" in faces_caption(summarise(luck), REAL)
    assert "stay below" not in faces_caption(summarise(RESULTS.drop(columns="identity_luck")), REAL)


def test_the_ceiling_comes_first_the_floor_last_and_strengths_rise() -> None:
    names = list(ROWS["transformation"])
    assert (names[0], names[-1]) == ("unchanged", "constant")
    assert names[1:-1] == [*sorted(names[1:-3]), "blur", "blur"]
    for _, group in ROWS.groupby("transformation"):
        assert list(group["strength"]) == sorted(group["strength"])


def test_learned_names_are_told_apart() -> None:
    assert all(is_learned(learned_name(objective)) for objective in OBJECTIVES)
    assert not any(map(is_learned, ("blur", "unchanged", "constant", "pixelate", "noise")))


def test_the_strongest_attacker_is_the_one_that_won_most_often() -> None:
    # Seeds 0 and 2 of 3 have support vectors.
    assert set(ROWS["identity_attacker"]) == {"support vectors 2/3, linear discriminant 1/3"}
    left = faces_sheets(ROWS, DRAWN)[0]
    assert {row[left.columns.index("strongest attacker")] for row in left.rows} == {"support vectors"}


def test_tables_fit_a_terminal_and_no_number_is_cut_off() -> None:
    results = RESULTS.assign(identity_attacker="logistic regression on gradients")
    console = Console(width=100, record=True)
    for sheet in faces_sheets(summarise(results), DRAWN):
        console.print(sheet.terminal())
    text = console.export_text()
    assert "…" not in text
    assert "logistic on gradients" in text


def test_every_table_says_synthetic_only_where_faces_are_drawn() -> None:
    assert all("SYNTHETIC" in sheet.title for sheet in faces_sheets(ROWS, DRAWN))
    assert all("SYNTHETIC" in sheet.title for sheet in faces_sheets(ROWS, FacesText("mine", True)))
    assert all(line.startswith("SYNTHETIC data: ") for line in verdicts(ROWS, DRAWN))
    assert faces_caption(ROWS, DRAWN).startswith("SYNTHETIC data.")
    assert "SYNTHETIC" not in faces_markdown(ROWS, REAL)
    assert "Two images were dropped." in faces_markdown(ROWS, REAL)


def test_what_is_kept_is_a_share_of_what_unchanged_images_show_above_chance() -> None:
    said = next(line for line in verdicts(ROWS, REAL) if line.startswith("trained (adversary), weight 4"))
    # (0.65 - 1/7) / (0.9 - 1/7)
    assert "67 % of what emotion unchanged images show" in said
    assert "names 50 % of unseen people's images (guessing: 7 %)" in said
    assert "as good or better" not in said


def test_a_simple_transformation_that_does_as_well_is_named() -> None:
    results = RESULTS.copy()
    results.loc[(results["transformation"] == "blur") & (results["strength"] == 6), "emotion_uar"] = 0.8
    lines = verdicts(summarise(results), REAL)
    beaten = [line for line in lines if "as good or better on both counts: blur 6" in line]
    assert any(line.startswith("trained (adversary), weight 4") for line in beaten)
    # At weight 0 more emotion is kept than by the blur, which hides more: neither is better.
    assert not any("weight 0" in line for line in beaten)


def test_neither_ceiling_nor_floor_ever_dominates() -> None:
    trained = {"transformation": "trained (entropy)", "emotion_uar": 0.1, "identity_top1": 0.99}
    same = {"emotion_uar": 0.2, "identity_top1": 0.5}
    assert dominates({"transformation": "blur", **same}, trained)
    assert not dominates({"transformation": "blur", **same, "identity_top1": 0.999}, trained)
    assert not dominates({"transformation": "blur", **same, "emotion_uar": 0.05}, trained)
    assert not dominates({"transformation": "constant", **same}, trained)
    assert not dominates({"transformation": "unchanged", **same}, trained)


def test_without_emotion_in_unchanged_images_no_share_of_it_is_told() -> None:
    rows = ROWS.copy()
    rows.loc[rows["transformation"] == "unchanged", "emotion_uar"] = 1 / 7
    assert not any("is kept" in line for line in verdicts(rows, REAL))


def test_files_can_be_read_back(tmp_path: Path) -> None:
    rows = write_faces_tables(tmp_path, RESULTS, DRAWN)
    read = pd.read_csv(tmp_path / "results.csv")
    pd.testing.assert_frame_equal(read, RESULTS)
    assert len(pd.read_csv(tmp_path / "summary.csv")) == len(rows) == len(ROWS)
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert text.count("| trained (entropy) | 4 |") == 3
    records = faces_records(rows)
    assert all(
        value is None or not isinstance(value, float) or math.isfinite(value) for r in records for value in r.values()
    )
    assert records[0]["adversary_accuracy"] is None
