"""Tables of gaits taken apart: the right means, SYNTHETIC where walkers are drawn, sentences that follow from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sample_gait_results import ACCURACY, LEFT_OUT, TOP1, sample_results

from tff_affect.errors import InputError
from tff_affect.report.gait import (
    GaitResults,
    GaitText,
    gait_caption,
    gait_markdown,
    gait_records,
    gait_sheets,
    summarise,
    verdicts,
    write_gait_tables,
)
from tff_affect.report.tradeoff import Sheet

DRAWN = GaitText("SYNTHETIC walkers", True)
REAL = GaitText("bandai", False, ("Two files were dropped.",))
FOUND = sample_results()
NOTHING = pd.DataFrame()


def changed(table: str, of: str, **values: Any) -> GaitResults:
    """The results with values of all rows of one method."""
    frame = getattr(FOUND, table).copy()
    rows = frame.iloc[:, 0] == of if of else np.full(len(frame), True)
    for name, value in values.items():
        frame.loc[rows, name] = value
    edited: Any = {table: frame}
    return replace(FOUND, **edited)


def said(found: GaitResults, beginning: str) -> str:
    (line,) = [line for line in verdicts(found, REAL) if line.startswith(beginning)]
    return line


def column(sheet: Sheet, name: str) -> list[str]:
    return [row[sheet.columns.index(name)] for row in sheet.rows]


@pytest.mark.parametrize(
    ("table", "key", "measure"),
    [("emotion", "method", "accuracy"), ("identity", "seen", "verification_error"), ("judged", "left_out", "uar")],
)
def test_means_and_spreads_are_those_of_pandas(table: str, key: str, measure: str) -> None:
    grouped = getattr(FOUND, table).astype({measure: float}).groupby(key)[measure]
    found = pd.DataFrame(summarise(FOUND)[table]).set_index(key).sort_index()
    for function, ending in (("mean", ""), ("std", "_sd"), ("min", "_low"), ("max", "_high")):
        np.testing.assert_allclose(found[measure + ending], grouped.agg(function).sort_index(), rtol=1e-12, atol=1e-12)
    assert set(found["seeds"]) == {3}


def test_the_interval_over_people_is_not_taken_for_the_range_of_seeds() -> None:
    row = next(row for row in summarise(FOUND)["emotion"] if row["method"] == "emotion code")
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx((0.82, 0.86))
    assert (row["interval_low"], row["interval_high"]) == pytest.approx((0.78, 0.9))
    assert column(gait_sheets(FOUND, REAL)[0], "95 % interval")[0] == "[0.780, 0.900]"


def test_methods_come_best_first_and_losses_after_all_of_them() -> None:
    sheets = gait_sheets(FOUND, REAL)
    assert column(sheets[0], "method") == sorted(ACCURACY, key=lambda name: -ACCURACY[name])
    assert column(sheets[0], "kind") == ["network", "network", "shallow", "network", "shallow"]
    assert column(sheets[1], "seen") == list(TOP1)
    turned = replace(FOUND, judged=FOUND.judged[::-1])
    assert column(gait_sheets(turned, REAL)[3], "left out") == ["nothing", "game", "noise", *_words(LEFT_OUT[2:0:-1])]


def _words(names: tuple[str, ...]) -> list[str]:
    return [name.replace("_", " ") for name in names]


def test_cells_are_means_with_deviations_and_what_is_not_known_is_a_dash() -> None:
    sheets = gait_sheets(changed("emotion", "", accuracy_low=np.nan), REAL)
    assert column(sheets[0], "accuracy")[0] == "0.84 ± 0.02"
    assert set(column(sheets[0], "95 % interval")) == {"-"}
    # Of seed 1 nothing is known, which is no zero.
    assert set(column(sheets[1], "EER")) == {"0.20 ± 0.00"}
    assert set(column(sheets[1], "luck")) == {"0.090"}
    assert column(sheets[2], "found") == [
        "2.50 ± 0.02", "0.78 ± 0.00", "0.75 ± 0.02", "0.85 ± 0.00", "0.60 ± 0.02", "0.0002",
    ]  # fmt: skip
    assert column(sheets[2], "compare") == ["6.25 ± 0.00", "0.80 ± 0.00", "0.80 ± 0.00", "0.042", "0.042", "-"]
    assert column(sheets[4], "joints")[2:4] == ["0.79 ± 0.01", "0.90 ± 0.00"]
    assert column(sheets[4], "joints and phases")[:4] == ["-", "-", "-", "0.55 ± 0.02"]
    assert "±" not in "".join(map(str, gait_sheets(sample_results(1), REAL)))


def test_tables_fit_a_terminal_and_no_number_is_cut_off() -> None:
    console = Console(width=100, record=True)
    for sheet in gait_sheets(FOUND, DRAWN):
        console.print(sheet.terminal())
    text = console.export_text()
    assert "…" not in text
    assert all(name in text for name in (*ACCURACY, *TOP1, *_words(LEFT_OUT[1:])))


def test_everything_says_synthetic_only_where_walkers_are_drawn(tmp_path: Path) -> None:
    assert all("SYNTHETIC" in sheet.title for sheet in gait_sheets(FOUND, GaitText("mine", True)))
    assert all(line.startswith("SYNTHETIC data: ") for line in verdicts(FOUND, DRAWN))
    assert gait_caption(FOUND, DRAWN).startswith("SYNTHETIC data.")
    assert "SYNTHETIC" not in gait_markdown(FOUND, REAL)
    assert "Two files were dropped." in gait_markdown(FOUND, REAL)
    write_gait_tables(tmp_path, FOUND, DRAWN)
    assert all(pd.read_csv(path)["synthetic"].all() for path in tmp_path.glob("*.csv"))


def test_the_caption_tells_the_protocol() -> None:
    caption = gait_caption(FOUND, REAL)
    for words in (
        "over 3 seeds, each with another division", "leave-one-subject-out among 24 people",
        "Strangers: 24 people on whom nothing was trained", "noise of emotion codes is part of what is released",
        "game: all losses but that of emotions",
    ):  # fmt: skip
        assert words in caption
    alone = replace(FOUND, emotion=NOTHING, explained=NOTHING, judged=FOUND.judged[:1])
    said_less = gait_caption(alone, REAL)
    assert not any(words in said_less for words in ("leave-one-subject-out", "Grad-CAM", "Left out"))
    assert "over 1-3 seeds" in said_less


def test_emotion_codes_are_compared_with_the_best_shallow_learner_and_the_plain_network() -> None:
    assert said(FOUND, "Emotion of people left out, against the best of 2 shallow learners, support").endswith(
        "emotion codes are read right in 0.840 of cycles, the other in 0.780 (guessing: 0.250): above in every seed "
        "(+0.060; by seed +0.060 to +0.060)"
    )
    assert said(FOUND, "Emotion of people left out, against the plain").endswith("(+0.040; by seed +0.020 to +0.060)")


def test_what_is_above_on_average_only_or_not_at_all_is_said_to_be_so() -> None:
    plain = "Emotion of people left out, against the plain"
    assert "above on average, not in every seed" in said(changed("emotion", "plain 1-D CNN", accuracy=0.83), plain)
    assert ": not above (-0.060" in said(changed("emotion", "plain 1-D CNN", accuracy=0.9), plain)
    assert said(sample_results(1), plain).endswith("above (+0.020)")
    other = changed("emotion", "plain 1-D CNN", seed=7)
    assert said(other, plain).endswith("no seed has both, so that they are not compared")


def test_identity_is_judged_by_its_share_of_what_raw_joints_give() -> None:
    line = said(FOUND, "Identity from emotion codes")
    # .18 / .9; .16 / .88 and .2 / .92
    assert "names 18 % of cycles (guessing: 4 %), 0.200 of what raw joints give (90 %; by seed 0.182 to 0.217)" in line
    assert line.endswith("one third or less")
    assert said(changed("identity", "emotion code", top1=0.31), "Identity from").endswith("more than one third")
    assert "no more than luck explains" in said(changed("identity", "emotion code", top1=0.05), "Identity from")
    without = replace(FOUND, identity=FOUND.identity[FOUND.identity["seen"] != "raw joints"])
    assert said(without, "Identity from").endswith("(guessing: 4 %)")


def test_several_cycles_of_one_person_that_name_many_are_warned_of() -> None:
    assert not [line for line in verdicts(FOUND, REAL) if line.startswith("Warning")]
    line = said(changed("identity", "emotion code", together=0.6), "Warning")
    assert "together name 60 % of people from their emotion codes" in line
    assert not [v for v in verdicts(changed("identity", "emotion code", together=None), REAL) if "nan" in v]


def test_biometric_codes_swaps_and_bones_have_their_sentences() -> None:
    line = said(FOUND, "Biometric codes")
    assert "names 88 % of cycles (raw joints: 90 %)" in line
    assert "right in 40 % of them, and in 80 % of real gaits" in line
    assert said(FOUND, "Swapped gaits show").endswith(
        "0.750 of cases (real gaits, to the same judge: 0.800; by seed 0.730 to 0.770): at least 0.7"
    )
    assert said(FOUND, "Swapped gaits are taken").endswith(": below 0.7")
    assert said(FOUND, "Bones keep their lengths").endswith("0.0003 % of its length")
    assert said(changed("judged", "all losses", bone_variation=0.05), "Bones do not keep").endswith("5 % of its length")
    assert "nearer than the mean gait (6.25 cm)" in said(FOUND, "Drawn from")
    assert "no nearer than" in said(changed("judged", "all losses", reconstruction_cm=7.0), "Drawn from")
    # Other trainings have no say in it.
    assert "2.50 cm" in said(changed("judged", "noise", reconstruction_cm=7.0), "Drawn from")


def test_explanations_are_checked_and_random_weights_that_do_as_well_are_told() -> None:
    assert said(FOUND, "Explanations rank joints").endswith("0.790 (by seed 0.780 to 0.800): at least 0.7")
    assert said(FOUND, "Explanations and occlusion agree over joints,").endswith(": at least 0.6")
    assert said(FOUND, "Explanations and occlusion agree over joints and phases").endswith(": below 0.6")
    assert said(FOUND, "With random weights the rank correlation with what").endswith("it is lower in every seed")
    as_good = changed("explained", "", random_planted=0.9)
    assert said(as_good, "With random weights the rank correlation with what").endswith("it is not lower")
    assert said(FOUND, "4 % of cycles have no map")
    real = changed("explained", "", planted_directions=np.nan)
    assert not [line for line in verdicts(real, REAL) if "planted" in line or "rank joints" in line]


def test_what_was_not_done_has_neither_table_nor_sentence() -> None:
    little = GaitResults(NOTHING, FOUND.identity, NOTHING, NOTHING)
    assert [sheet.title for sheet in gait_sheets(little, REAL)] == [
        "What strangers' gaits give away of who walks, bandai"
    ]
    assert len(verdicts(little, REAL)) == 2
    assert verdicts(GaitResults(NOTHING, NOTHING, NOTHING, NOTHING), REAL) == []
    assert gait_markdown(GaitResults(NOTHING, NOTHING, NOTHING, NOTHING), REAL)
    assert len(gait_sheets(replace(FOUND, judged=FOUND.judged[FOUND.judged["left_out"] == "all losses"]), REAL)) == 4


def test_a_column_that_is_missing_is_named() -> None:
    with pytest.raises(InputError, match="identity: expected the column 'luck'"):
        replace(FOUND, identity=FOUND.identity.drop(columns="luck"))


def test_files_can_be_read_back(tmp_path: Path) -> None:
    write_gait_tables(tmp_path, replace(FOUND, explained=NOTHING), REAL)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "emotion.csv").drop(columns="synthetic"), FOUND.emotion)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "judged.csv").drop(columns="synthetic"), FOUND.judged)
    assert list(pd.read_csv(tmp_path / "explained.csv"))[:2] == ["seed", "planted_metres"]
    summary = pd.read_csv(tmp_path / "summary.csv").set_index(["table", "row", "measure"])
    row = summary.loc[("emotion", "emotion code", "accuracy")]
    assert tuple(row[["seeds", "mean", "sd", "low", "high"]]) == pytest.approx((3, 0.84, 0.02, 0.82, 0.86))
    assert "| emotion code | network |" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_records_are_of_json() -> None:
    records = gait_records(sample_results(1))
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    assert records["emotion"][0]["accuracy_sd"] is None
    assert {row["attacker"] for row in gait_records(FOUND)["identity"]} == {"support vectors"}
