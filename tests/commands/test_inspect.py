"""``tff-affect data inspect``: table, heat map and probe from the command line; one line for bad input."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from data_prep.layouts.registry import write_layout
from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from tff_affect.cohort import CohortManifest, SubjectEntry, SubjectTable, write_cohort

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(command_line: Call) -> Call:
    return partial(command_line, "data", "inspect")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SYNTHETIC, 4 subjects x 100 s, sound. Read only."""
    config = SyntheticConfig(subjects=4, seconds=100, frame_rate=5, bad_trackers=())
    return write_synthetic_cohort(tmp_path_factory.mktemp("inspect") / "cohort", config).path


@pytest.fixture
def poor(tmp_path: Path) -> Path:
    """A cohort of one subject, whose reader repaired timestamps and saw another face."""
    features = np.random.default_rng(0).uniform(0, 5, (50, 1)).astype(np.float32)
    labels = np.zeros((50, 1), np.float32)
    table = SubjectTable(np.arange(50) / 5, features, labels, np.ones(50, bool))
    entry = SubjectEntry(
        "P1", quality={"rows": 80, "rows_of_other_faces": 30, "source_sha256": "00", "failed_frames": 0}
    )
    manifest = CohortManifest("mine", ("AU01",), "0-5", 5.0, ("valence",), synthetic=False)
    return write_cohort(tmp_path / "poor", manifest, [(entry, table)]).path


def strictly(text: str) -> dict:
    """Parses JSON; NaN and Infinity, which are not JSON, are refused."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_every_column_is_shown_whole(cohort: Path, call: Call) -> None:
    code, out, _ = call(cohort)
    assert code == 0
    assert out.startswith("SYNTHETIC cohort, 17 features")
    for word in ("subject", "frames", "rate", "tracked %", "valid %", "missing %", "gaps", "longest", "arousal span"):
        assert word in out
    assert "…" not in out
    assert out.rstrip().endswith("nothing wrong")


def test_a_source_without_labels_is_said_to_be_for_predicting(tmp_path: Path, command_line: Call, call: Call) -> None:
    source = write_layout("openface-2", tmp_path / "source", SyntheticConfig(subjects=2, seconds=20, frame_rate=5))
    assert "no labels:" not in call(source)[1]
    shutil.rmtree(source / "labels")
    said = "no labels: can be predicted from, not trained on; --labels FOLDER adds them\n"
    assert said in call(source)[1]
    code, out, _ = command_line("data", "convert", source, tmp_path / "cohort", "--quiet")
    assert (code, out.endswith(said)) == (0, True)
    assert "converting the source again with --labels FOLDER adds them" in call(tmp_path / "cohort")[1]


def test_problems_and_counts_are_printed(poor: Path, call: Call) -> None:
    code, out, _ = call(poor)
    assert code == 0
    assert not out.startswith("SYNTHETIC")
    assert "P1: rows of other faces 30" in out
    assert "subject P1: valence never changes" in out
    assert "38 % of the rows are of other faces" in out
    code, out, _ = call(poor, "--strict", "--json")
    assert code == 1
    found = strictly(out)
    assert len(found["problems"]) == 2
    assert found["subjects"][0]["quality"]["rows_of_other_faces"] == 30
    assert len(found["subjects"][0]["strip"]) == 60


def test_the_heat_map_goes_by_its_suffix(cohort: Path, call: Call, tmp_path: Path) -> None:
    assert call(cohort, "--heat-map", tmp_path / "q.png")[0] == 0
    assert (tmp_path / "q.png").read_bytes().startswith(b"\x89PNG")
    assert call(cohort, "--heat-map", tmp_path / "q.html", "--json")[0] == 0
    page = (tmp_path / "q.html").read_text()
    assert "SYNTHETIC" in page
    assert "lag hint (s)" in page
    assert str(cohort) not in page
    code, out, err = call(cohort, "--heat-map", tmp_path / "q.pdf")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "expected a heat map's name to end in .png or .html, found '.pdf'" in err
    (tmp_path / "table.csv").write_text("who,AU01\na,1\n")
    assert call(tmp_path / "table.csv", "--heat-map", tmp_path / "none.png")[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["q.html", "q.png", "table.csv"]


def test_the_page_does_not_say_where_the_source_is(call: Call, tmp_path: Path) -> None:
    config = SyntheticConfig(subjects=3, seconds=20, frame_rate=5)
    path = write_synthetic_cohort(tmp_path / "cohort", config).path
    (path / "subjects" / "P102.parquet").unlink()
    assert call(path, "--heat-map", tmp_path / "q.html")[0] == 0
    page = (tmp_path / "q.html").read_text()
    assert "cohort/subjects/P102.parquet" in page
    assert str(tmp_path) not in page


def test_the_probe_prints_chance_and_one_sentence(cohort: Path, call: Call) -> None:
    before = sorted(path.stat().st_mtime_ns for path in cohort.rglob("*"))
    code, out, _ = call(cohort, "--identity")
    assert code == 0
    assert out.startswith("SYNTHETIC cohort, 4 subjects: 24 training and 12 test windows")
    assert "chance" in out
    assert "0.250" in out
    last = out.rstrip().splitlines()[-1]
    assert last.startswith("too few subjects for a verdict: ")
    found = strictly(call(cohort, "--identity", "--json")[1])
    assert found["synthetic"]
    assert found["chance"] == 0.25
    assert found["verdict"] == last
    assert len(found["scores"]) == 4
    assert sorted(path.stat().st_mtime_ns for path in cohort.rglob("*")) == before


def test_the_probe_names_what_it_could_not_read(call: Call, tmp_path: Path) -> None:
    config = SyntheticConfig(subjects=4, seconds=100, frame_rate=5)
    path = write_synthetic_cohort(tmp_path / "cohort", config).path
    (path / "subjects" / "P102.parquet").unlink()
    code, out, _ = call(path, "--identity", "--strict")
    assert code == 1
    assert "3 subjects:" in out
    assert "P102" in out


def test_the_probe_needs_two_subjects(poor: Path, call: Call) -> None:
    code, out, err = call(poor, "--identity")
    assert (code, out) == (2, "")
    assert "expected at least two subjects" in err
    assert err.count("\n") == 1
