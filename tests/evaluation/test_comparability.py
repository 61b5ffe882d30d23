"""What may stand side by side: anything that differs is named, with both values."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_compared import alter, alter_results, write_compared

from tff_affect.errors import InputError
from tff_affect.evaluation.comparability import PROTOCOL, comparable, open_studies, study_names


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_compared(tmp_path_factory.mktemp("original") / "lstm")


@pytest.fixture
def pair(original: Path, tmp_path: Path) -> list[Path]:
    """Two copies of one study; the second may be damaged."""
    return [original, Path(shutil.copytree(original, tmp_path / "gru"))]


def refused(pair: list[Path], kind: str | None = None) -> str:
    with pytest.raises(InputError) as error:
        comparable(open_studies(pair), kind)
    return str(error.value)


def test_copies_are_comparable(pair: list[Path]) -> None:
    found = comparable(open_studies(pair))
    assert [study.name for study in found] == ["lstm", "gru"]
    assert [study.seeds for study in found] == [{0, 1}, {0, 1}]
    assert found[0].dimensions == ["arousal", "valence"]


def test_model_training_and_privacy_may_differ(pair: list[Path]) -> None:
    alter(pair[1] / "study.json", lambda s: s.update(model={"name": "gru"}, training={"rounds": 9}, privacy={"x": 1}))
    assert len(comparable(open_studies(pair))) == 2


def test_another_cohort(pair: list[Path]) -> None:
    alter(pair[1] / "study.json", lambda s: s.update(cohort="cd" * 32))
    said = refused(pair)
    assert "differ in cohort (by content): lstm has toy (abababababab), gru has toy (cdcdcdcdcdcd)" in said


@pytest.mark.parametrize(
    ("setting", "value", "both"),
    [
        ("window", 50, "lstm has 75, gru has 50"),
        ("hop", 25, "lstm has 75, gru has 25"),
        ("target", "window", "lstm has frame, gru has window"),
        ("scaling", "federated", "lstm has subject, gru has federated"),
        ("target_delay", 2.4, "lstm has 0.0, gru has 2.4"),
        ("minimum_valid", 0.5, "lstm has 0.25, gru has 0.5"),
    ],
)
def test_another_protocol(setting: str, value: object, both: str, pair: list[Path]) -> None:
    assert setting in PROTOCOL
    alter(pair[1] / "study.json", lambda s: s["data"].update({setting: value}))
    said = refused(pair)
    assert f"(data.{setting})" in said
    assert both in said


def test_another_delay_of_a_split(pair: list[Path]) -> None:
    alter(pair[1] / "study.json", lambda s: s.update(delays=[2.4]))
    assert "the annotation delay of each split: lstm has None, gru has [2.4]" in refused(pair)


def test_other_post_processing_unless_what_was_measured_is_compared(pair: list[Path]) -> None:
    alter(pair[1] / "study.json", lambda s: s.update(postprocess=["median", "shift"]))
    assert "lstm has none, gru has median, shift" in refused(pair)
    assert "--kind measured" in refused(pair)
    assert "median, shift" in refused(pair, "post-processed")
    assert len(comparable(open_studies(pair), "measured")) == 2


def test_other_label_dimensions(pair: list[Path]) -> None:
    for seed in (0, 1):
        alter_results(pair[1] / f"seed-{seed}", lambda frame: frame[frame["dimension"] == "arousal"])
    assert "label dimensions: lstm has arousal, valence, gru has arousal" in refused(pair)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda s: s["train"].append(s["development"].pop(0)),
            "partition train: client P3 is in development of lstm, in train of gru",
        ),
        (lambda s: s["test"].remove("P20"), "partition test: client P20 is in test of lstm, in no partition of gru"),
        (lambda s: s["development"].append("P99"), "client P99 is in no partition of lstm, in development of gru"),
    ],
)
def test_another_split_names_run_partition_and_client(
    change: Callable[[Any], None], said: str, pair: list[Path]
) -> None:
    alter(pair[1] / "seed-1" / "split.json", change)
    found = refused(pair)
    assert said in found
    assert "seed 1, fold 0" in found


def test_the_order_of_clients_is_no_difference(pair: list[Path]) -> None:
    alter(pair[1] / "seed-1" / "split.json", lambda s: s["test"].reverse())
    assert len(comparable(open_studies(pair))) == 2


@pytest.mark.parametrize("content", ["[]", "{}", '{"train": "P1"}', "{"])
def test_a_damaged_split_is_refused(content: str, pair: list[Path]) -> None:
    (pair[1] / "seed-0" / "split.json").write_text(content, encoding="utf-8")
    assert "split.json: " in refused(pair)


def test_a_fold_that_is_missing(pair: list[Path]) -> None:
    shutil.copytree(pair[1] / "seed-1", pair[1] / "seed-1_fold-1")
    assert "folds of seed 1 (is one unfinished?): lstm has folds 0, gru has folds 0, 1" in refused(pair)


def test_other_frames_or_another_gold_standard_are_found_whatever_the_settings_say(pair: list[Path]) -> None:
    alter_results(pair[1] / "seed-0", lambda f: f.assign(n=np.where(f["client"] == "P18", f["n"] - 1, f["n"])))
    assert "scored frames of client P18, arousal: lstm has n 1160, gru has 1159" in refused(pair)


def test_another_gold_standard(pair: list[Path]) -> None:
    alter_results(
        pair[1] / "seed-0", lambda f: f.assign(mean_gold=f["mean_gold"] + 0.01 * (f["dimension"] == "valence"))
    )
    assert "gold standard of client P16, valence: lstm has mean_gold" in refused(pair)


def test_seeds_that_all_have_are_compared(original: Path, tmp_path: Path) -> None:
    other = write_compared(tmp_path / "more", seeds=(1, 2, 3))
    found = comparable(open_studies([original, other]))
    assert [study.seeds for study in found] == [{1}, {1}]
    assert set(found[1].results["seed"]) == {1}
    third = write_compared(tmp_path / "others", seeds=(2,))
    with pytest.raises(InputError, match=r"seeds in common, found none \(lstm: 0, 1; others: 2\)"):
        comparable(open_studies([original, third]))


def test_one_run_of_a_study_is_compared_with_the_facts_of_its_study(original: Path) -> None:
    found = comparable(open_studies([original / "seed-1", original]))
    assert [study.name for study in found] == ["seed-1", "lstm"]
    assert [study.seeds for study in found] == [{1}, {1}]


def test_the_same_folder_twice_is_refused(original: Path) -> None:
    with pytest.raises(InputError, match="named twice"):
        open_studies([original, original / "seed-0" / ".."])


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("study.json", None, "the file is missing"),
        ("cohort_facts.json", None, "the file is missing"),
        ("study.json", "[]", "expected 'cohort'"),
        ("study.json", '{"cohort": "a", "data": [], "split": {}, "postprocess": []}', "what training writes"),
        ("cohort_facts.json", '{"name": "toy"}', "expected 'synthetic'"),
        ("cohort_facts.json", "{", "not valid JSON"),
    ],
)
def test_what_is_no_finished_study(file: str, content: str | None, said: str, pair: list[Path]) -> None:
    if content is None:
        (pair[1] / file).unlink()
    else:
        (pair[1] / file).write_text(content, encoding="utf-8")
    assert said in refused(pair)


def test_names_are_no_paths_and_differ() -> None:
    places = [Path(f"/home/somebody/{name}") for name in ("a/run", "b/run", "c/run (2)", "d/run", "e/li\x1b[31mne")]
    assert study_names(places) == ["run", "run (2)", "run (2) (2)", "run (3)", "li?[31mne"]


def test_a_study_of_some_seeds_keeps_the_rest(pair: list[Path]) -> None:
    study = open_studies(pair)[0]
    fewer = study.of_seeds([0])
    assert set(fewer.runs) == {(0, 0)}
    assert replace(fewer, runs=study.runs, results=study.results) == replace(study, results=study.results)
