"""A run's folder that somebody edited: one message that names the file, and nothing written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import Said
from hypothesis import given
from hypothesis import strategies as st
from sample_compared import alter, write_compared
from sample_full_study import write_full_study

from tff_affect.errors import InputError
from tff_affect.report import html
from tff_affect.report.study import CohortFacts, open_study
from tff_affect.runs.expected import missing_runs
from tff_affect.splits import Split, read_partitions

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
FACTS: dict[str, Any] = {
    "name": "toy", "synthetic": True, "subjects": 13, "frame_rate": 25.0, "time_unit": "second",
    "features": ["AU01"], "feature_scale": "0-5", "labels": ["valence"],
}  # fmt: skip
RUN = "seed-0"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only."""
    return write_full_study(tmp_path_factory.mktemp("full") / "study", seeds=1)


@pytest.fixture
def study(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that may be edited; its report has few figures, since drawing takes seconds."""
    monkeypatch.setattr(html, "figure_sections", lambda study, facts: iter(()))
    monkeypatch.setattr(html, "curve_figures", lambda data, synthetic: ())
    return Path(shutil.copytree(original, tmp_path / "study"))


def put(file: Path, column: str, row: int, value: str) -> None:
    """Another value in a cell of a table."""
    lines = [line.split(",") for line in file.read_text(encoding="utf-8").splitlines()]
    lines[row - 1][lines[0].index(column)] = value
    file.write_text("\n".join(map(",".join, lines)) + "\n", encoding="utf-8")


def read_or_refused(read: Callable[[], Any], file: Path) -> Any:
    """What was read; None where it was refused, by the file's name."""
    try:
        return read()
    except InputError as error:
        if error.file != str(file):
            raise
        return None


def refused(said: Said, told: str) -> None:
    assert (said.code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    assert told in said.err


CELLS = [
    ("per_client.csv", "round", 3, "x"),
    ("per_client.csv", "round", 2, ""),
    ("per_client.csv", "round", 2, "1.5"),
    ("per_client.csv", "client", 5, ""),
    ("per_client.csv", "ccc", 4, "high"),
    ("rounds.csv", "clients", 2, "x"),
    ("rounds.csv", "development_ccc_arousal_pooled", 7, "x"),
    ("rounds.csv", "development_ccc_arousal_pooled", 7, "inf"),
    ("federated-dp/rounds.csv", "round", 2, "-1"),
]


@pytest.mark.parametrize(("file", "column", "row", "value"), CELLS)
def test_a_cell_that_does_not_belong_there(
    file: str, column: str, row: int, value: str, study: Path, command_line: Callable[..., Said]
) -> None:
    put(study / RUN / file, column, row, value)
    refused(command_line("report", study), f"{file}, line {row}: expected a ")
    assert not (study / "report.html").exists()


def test_candidates_of_a_tuned_rate_are_read_with_the_same_care(study: Path, command_line: Callable) -> None:
    candidate = study / RUN / "tuning" / "federated-0.1"
    candidate.mkdir(parents=True)
    shutil.copy(study / RUN / "rounds.csv", candidate)
    put(candidate / "rounds.csv", "clients", 4, "x")
    refused(
        command_line("report", study), "federated-0.1/rounds.csv, line 4: expected a number or nothing in 'clients'"
    )


@pytest.mark.parametrize("cell", ["", "nan"])
def test_a_score_may_be_missing_and_a_name_may_be_any(study: Path, cell: str) -> None:
    put(study / RUN / "rounds.csv", "development_ccc_arousal_pooled", 7, cell)
    put(study / RUN / "per_client.csv", "client", 2, "nan")
    found = open_study(study)
    rounds = found.rounds[found.rounds["method"] == "federated"]
    assert rounds["development_ccc_arousal_pooled"].isna().to_list() == [False] * 5 + [True] + [False] * 5
    assert found.per_client["client"].iloc[0] == "nan"


SPLITS = ['{"a": [1]}', '{"train": null, "development": [], "test": []}', "{}", "[]", "[" * 100_000]


@pytest.mark.parametrize("content", SPLITS)
def test_a_split_of_something_else(content: str, study: Path, command_line: Callable[..., Said]) -> None:
    (study / RUN / "split.json").write_text(content, encoding="utf-8")
    refused(command_line("report", study), "split.json: ")
    assert not (study / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frame_rate", None), ("frame_rate", 0), ("frame_rate", 10**400), ("features", -1), ("features", ["a", "a"]),
        ("synthetic", "no"), ("subjects", True), ("name", "\ud800"), ("time_unit", []), ("feature_scale", {}),
        ("labels", [""]), ("frame_rate", float("nan")),
    ],
)  # fmt: skip
def test_facts_of_a_cohort_that_cannot_be(
    name: str, value: object, study: Path, command_line: Callable[..., Said]
) -> None:
    alter(study / "cohort_facts.json", lambda facts: facts.update(FACTS | {name: value}))
    refused(command_line("report", study), f"cohort_facts.json: {name}: expected ")
    assert not (study / "report.html").exists()


@pytest.mark.parametrize("value", [-1, None, "median", [1], {}])
def test_post_processing_that_cannot_be(value: object, tmp_path: Path, command_line: Callable[..., Said]) -> None:
    pair = [write_compared(tmp_path / name) for name in ("lstm", "gru")]
    alter(pair[1] / "study.json", lambda settings: settings.update(postprocess=value))
    refused(command_line("compare", *pair), "study.json: postprocess: expected a list of names")


@given(st.sampled_from(sorted(FACTS)), JSON)
def test_facts_are_refused_or_hold_what_they_say(tmp_path: Path, name: str, value: Any) -> None:
    file = tmp_path / "cohort_facts.json"
    file.write_text(json.dumps(FACTS | {name: value}), encoding="utf-8")
    found = read_or_refused(lambda: CohortFacts.read(file), file)
    if found is not None:
        assert vars(found) == FACTS | {name: value}
        assert f"{found.frame_rate:g} {found.subjects + 1}"
        assert " ".join([found.name, found.time_unit, *found.features, *found.labels]).encode()


@given(JSON | st.fixed_dictionaries(dict.fromkeys(("train", "development", "test"), JSON | st.just(["P1"]))))
def test_a_split_is_refused_or_holds_names(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "split.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    found = [read_or_refused(partial(read, file), file) for read in (read_partitions, Split.read)]
    if found[0] is not None:
        assert all(isinstance(name, str) for part in content.values() for name in part)
    assert found[1] is None or found[0] is not None


@given(JSON | st.fixed_dictionaries({"seeds": JSON | st.just([1, 2]), "split": JSON | st.just({"scheme": "loso"})}))
def test_settings_are_refused_or_name_runs(original: Path, tmp_path: Path, content: Any) -> None:
    study = tmp_path / "study"
    if not study.exists():
        shutil.copytree(original / RUN, study / RUN)
    (study / "study.json").write_text(json.dumps(content), encoding="utf-8")
    found = read_or_refused(lambda: missing_runs(study), study / "study.json")
    assert all(name.startswith("seed-") or not name for name in found or ())
