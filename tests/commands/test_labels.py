"""``tff-affect labels``: gold standards, agreement and delay from the command line; one line for bad input."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_prep.labels.gold_standard import fuse_ewe, smooth
from data_prep.labels.label_folder import LabelFolder
from data_prep.labels.rater_agreement import agreement_table
from data_prep.layouts.recola_writer import write_recola_layout
from data_prep.recola_layout import ANNOTATION
from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from tff_affect.cohort import Cohort


@pytest.fixture
def call(command_line):
    return partial(command_line, "labels")


@pytest.fixture(scope="module")
def ratings(tmp_path_factory) -> Path:
    config = SyntheticConfig(subjects=3, seconds=8.0, seed=8, bad_trackers=())
    return write_recola_layout(tmp_path_factory.mktemp("recola") / "recola", config) / ANNOTATION


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    config = SyntheticConfig(
        subjects=9,
        seconds=200,
        frame_rate=5,
        seed=4,
        rater_lag_seconds=(2.4, 2.4),
        max_expression_lag=0.0,
        bad_trackers=(),
    )
    return write_synthetic_cohort(tmp_path_factory.mktemp("delay") / "cohort", config).path


def strictly(text: str):
    """Parses JSON; NaN and Infinity, which are not JSON, are refused."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def is_refused(said, *words):
    code, out, err = said
    assert (code, out) == (2, ""), said
    assert err.startswith("tff-affect: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


@pytest.mark.parametrize("command", ["fuse", "delay"])
def test_help_has_an_example(call, command):
    code, out, _ = call(command, "--help")
    assert code == 0
    assert f"Example: tff-affect labels {command}" in " ".join(out.split())


def test_fuse_writes_gold_standards_and_agreement(call, ratings, tmp_path):
    code, out, err = call("fuse", ratings, tmp_path / "gold", "--rule", "ewe", "--smooth", "0.6", "--quiet")
    assert (code, err) == (0, "")
    assert "SYNTHETIC" in out
    assert (tmp_path / "gold" / "SYNTHETIC.txt").read_text().startswith("SYNTHETIC")
    assert "\nRaters: FM1, FM2, FM3, FF1, FF2, FF3\n" in out
    assert json.loads((tmp_path / "gold" / "fusion.json").read_text())["rule"] == "ewe"
    raters, gold = LabelFolder(ratings), LabelFolder(tmp_path / "gold")
    assert (gold.subjects, gold.dimensions) == (raters.subjects, raters.dimensions)
    time, names, said = raters.ratings("P102", "valence")
    read_time, columns, values = gold.ratings("P102", "valence")
    assert columns == ("value",)
    np.testing.assert_array_equal(read_time, time)
    np.testing.assert_array_equal(values[:, 0], smooth(fuse_ewe(said), 25.0, 0.6))
    table = pd.read_csv(tmp_path / "gold" / "agreement.csv").set_index(["subject", "dimension"])
    assert len(table) == 6
    expected = agreement_table(said, names)
    assert table.loc[("P102", "valence"), list(expected)].to_dict() == pytest.approx(expected, abs=1e-12)


def test_fuse_as_json(call, ratings, tmp_path):
    code, out, _ = call("fuse", ratings, tmp_path / "gold", "--json", "--quiet")
    said = strictly(out)
    assert code == 0
    assert (said["synthetic"], said["rule"]) == (True, "mean")
    table = pd.read_csv(tmp_path / "gold" / "agreement.csv")
    for row in said["agreement"]:
        part = table[table["dimension"] == row["dimension"]]
        assert row["recordings"] == len(part) == 3
        assert row["ccc"] == pytest.approx(part["ccc"].mean())
        assert row["ccc_deviation"] == pytest.approx(part["ccc"].std())
        assert row["ccc_of_rater"]["FF3"] == pytest.approx(part["ccc FF3"].mean())


def test_fuse_takes_subjects_along_and_one_recording_has_no_deviation(call, tmp_path):
    (tmp_path / "raters" / "joy").mkdir(parents=True)
    (tmp_path / "raters" / "joy" / "A.csv").write_text("time,x,y\n0,0.1,0.2\n1,0.4,0.5\n2,0.2,0.2\n")
    (tmp_path / "raters" / "subjects.csv").write_text("subject,partition\nA,train\n")
    code, out, _ = call("fuse", tmp_path / "raters", tmp_path / "gold", "--json", "--quiet")
    said = strictly(out)
    assert code == 0
    assert not said["synthetic"]
    assert said["agreement"][0]["ccc_deviation"] is None
    assert (tmp_path / "gold" / "subjects.csv").read_text() == "subject,partition\nA,train\n"
    assert not (tmp_path / "gold" / "SYNTHETIC.txt").exists()


def test_fuse_refuses_bad_input_and_leaves_nothing(call, ratings, tmp_path):
    out = tmp_path / "gold"
    is_refused(call("fuse", ratings, out, "--rule", "median"), "fusion among mean, ewe, ccc_centred, dba")
    is_refused(call("fuse", ratings, out, "--smooth", "-1"), "smooth over 0 seconds or more")
    is_refused(call("fuse", ratings, out, "--smooth", "1e18", "--quiet"), "no more than the recording", "P101")
    is_refused(call("fuse", ratings, out, "--smooth", "1e300", "--quiet"), "no more than the recording", "P101")
    is_refused(call("fuse", tmp_path / "nowhere", out), "nowhere")
    is_refused(call("fuse", ratings, ratings / "gold"), "lies in the folder of ratings")
    bad = tmp_path / "raters"
    (bad / "joy").mkdir(parents=True)
    (bad / "joy" / "A.csv").write_text("time,x,y\n0,0.1,0.2\n1,0.4,0.5\n")
    (bad / "joy" / "B.csv").write_text("time,x,y\n0,0.1,0.2\n1,oops,0.5\n")
    is_refused(call("fuse", bad, out, "--quiet"), "B.csv, line 3", "oops")
    (bad / "joy" / "B.csv").write_text("time,value\n0,0.1\n1,0.5\n")
    is_refused(call("fuse", bad, out, "--quiet"), "B.csv", "two raters")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raters"]


def test_delay_finds_the_planted_lag_and_says_what_to_set(call, cohort):
    code, out, err = call("delay", cohort, "--quiet")
    assert (code, err) == (0, "")
    assert out.startswith("SYNTHETIC cohort, 5 subjects fitted, 1 scored")
    assert any(f"data.target_delay={delay}\n" in out for delay in ("2", "2.4", "2.8"))
    assert "Few subjects were scored (1)" in out
    assert out.count(" *") == 2
    assert "missing in many frames" not in out
    assert "fold" not in out


def test_delay_as_json_names_the_subjects_and_never_the_tested(call, cohort):
    code, out, _ = call("delay", cohort, "-o", "split.scheme=k-fold", "-o", "split.folds=3", "--json", "--quiet")
    said = strictly(out)
    assert code == 0
    assert (said["synthetic"], said["fold"], said["folds"]) == (True, 0, 3)
    assert said["same_frames"]
    assert len(said["delays"]) == 25
    assert said["joint"] == pytest.approx(2.4, abs=0.41)
    assert set(said["best"]) == {"arousal", "valence"}
    best = max(said["delays"], key=lambda row: row["arousal"])
    assert best["delay"] == said["best"]["arousal"]
    assert len({*said["train"], *said["development"]}) == 6
    text = call("delay", cohort, "-o", "split.scheme=k-fold", "-o", "split.folds=3", "--quiet")[1]
    assert "fold 0 of 3 alone" in text


def test_delay_reads_no_test_subject(call, cohort, monkeypatch):
    read = []
    load = Cohort.load
    monkeypatch.setattr(Cohort, "load", lambda self, subject: read.append(subject) or load(self, subject))
    said = strictly(call("delay", cohort, "--json", "--quiet")[1])
    assert sorted(read) == sorted([*said["train"], *said["development"]])
    assert len(read) == 6


def test_delay_refuses_bad_input(call, cohort, tmp_path):
    is_refused(call("delay", tmp_path), "cohort.json")
    is_refused(call("delay", cohort, "-o", "split.scheme=fixed"), "partitions")
    is_refused(call("delay", cohort, "-o", "split.nothing=1"), "nothing")
    short = write_synthetic_cohort(tmp_path / "short", SyntheticConfig(subjects=5, seconds=10, frame_rate=5)).path
    is_refused(call("delay", short, "--quiet"), "too short")
    content = json.loads((short / "cohort.json").read_text())
    (short / "cohort.json").write_text(json.dumps(content | {"time_unit": "step"}))
    is_refused(call("delay", short, "--quiet"), "in steps")


def test_fuse_names_whoever_it_took_for_a_rater_and_the_clock(call, tmp_path):
    (tmp_path / "raters" / "joy").mkdir(parents=True)
    file = tmp_path / "raters" / "joy" / "A.csv"
    file.write_text("timestamp,joy,confidence,segment_id\n0,0.1,0.2,1\n250,0.4,0.5,1\n500,0.2,0.2,1\n")
    code, out, _ = call("fuse", tmp_path / "raters", tmp_path / "gold", "--quiet")
    assert code == 0
    assert "\nRaters: joy, confidence\n" in out
    assert "Note: the labels' times, column 'timestamp', are taken for milliseconds\n" in out
