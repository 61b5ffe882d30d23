"""Personalisation of a study on disk: all ways, resumed part by part, and what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from sample_run import cohort_of

from tff_affect.client_data import WindowShape
from tff_affect.cohort import Cohort, write_cohort
from tff_affect.cohort_types import SubjectTable
from tff_affect.config import DataConfig, ModelConfig, OptimizerConfig, SplitConfig, StudyConfig, TrainingConfig
from tff_affect.config_file import save_config
from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import RESULTS, write_results
from tff_affect.evaluation.personalised import FILE, read_personalised
from tff_affect.learning.personalization_config import WAYS, PersonalizationConfig
from tff_affect.models.registry import initial_weights
from tff_affect.progress import Progress
from tff_affect.run_folder import CONFIG, SPLIT, STUDY, RunFolder, write_json
from tff_affect.runs.personal_parts import PARTS, Part
from tff_affect.runs.personal_study import SETTINGS, PersonalStudy
from tff_affect.runs.study import study_facts
from tff_affect.splits import make_splits

SPLITS = SplitConfig(test=0.45)
TRAINED = tuple(way for way in WAYS if way != "clustered")
"""Several models are looked at in ``test_personal``."""
QUICK = PersonalizationConfig(TRAINED, learning_rates=(0.01,), passes=(1, 2), reconstruction_passes=1)


class Made(NamedTuple):
    """A study that nobody had to train, and what its personalisation gave."""

    study: Path
    cohort: Cohort
    folder: Path
    frame: pd.DataFrame


def write_study(place: Path, cohort: Cohort, model: ModelConfig) -> Path:
    """A finished study whose model is what training begins with."""
    config = StudyConfig(
        DataConfig(str(cohort.path), window=25, hop=25), SPLITS, model,
        TrainingConfig(rounds=1, client_optimizer=OptimizerConfig("adam", 0.01)), methods=["federated"], seeds=[4],
    )  # fmt: skip
    run = RunFolder(place, cohort.manifest.labels)
    write_json(place / STUDY, study_facts(config, cohort))
    save_config(config, place / CONFIG)
    make_splits(cohort, config.split)[0].write(place / SPLIT)
    write_results(place / RESULTS, [])
    shape = WindowShape(25, len(cohort.manifest.features), len(cohort.manifest.labels))
    run.write_weights("federated", initial_weights(model, shape, 1))
    return place


def tried_on(made: Made) -> list[str]:
    return list(json.loads((made.study / SPLIT).read_text())["test"])


def with_a_short_label(cohort: Cohort, subject: str, place: Path) -> Cohort:
    """The cohort, but that a subject's labels end before the second half."""
    tables = []
    for name in cohort.subjects:
        table = cohort.load(name)
        labels = table.labels.copy()
        labels[60 if name == subject else len(labels) :] = np.nan
        tables.append((cohort.entry(name), SubjectTable.of_complete_frames(table.time, table.features, labels)))
    return write_cohort(place, cohort.manifest, tables)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("personal")
    whole = cohort_of(root / "whole", 7)
    first = make_splits(whole, SPLITS)[0].test[0]
    cohort = with_a_short_label(whole, first, root / "cohort")
    study = write_study(root / "study", cohort, ModelConfig("simple_rnn", units=2))
    frame = PersonalStudy.open(study, QUICK).personalise(root / "out", Progress())
    return Made(study, cohort, root / "out", frame)


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Made:
    """One that a test may damage."""
    shutil.copytree(made.study, tmp_path / "study")
    shutil.copytree(made.folder, tmp_path / "out")
    return made._replace(study=tmp_path / "study", folder=tmp_path / "out")


def test_every_way_is_scored_on_the_same_frames_of_every_test_client(made: Made) -> None:
    labels, clients = made.cohort.manifest.labels, tried_on(made)[1:]
    assert len(made.frame) == len(TRAINED) * len(clients) * len(labels)
    assert set(made.frame["way"]) == set(TRAINED)
    for (client, _), own in made.frame.groupby(["client", "dimension"]):
        assert own["before"].nunique() == own["n"].nunique() == 1
        table = made.cohort.load(str(client))
        assert own["n"].iloc[0] == (table.trusted & np.isfinite(table.labels).all(axis=1))[75:].sum()
    assert made.frame.groupby("way")["gain"].apply(lambda gain: gain.abs().max()).min() > 0
    assert set(made.frame["seed"]) == {4}
    found = read_personalised(made.folder)
    assert found is not None
    pd.testing.assert_frame_equal(found, made.frame)


def test_what_was_chosen_is_kept(made: Made) -> None:
    settings = json.loads((made.folder / SETTINGS).read_text())
    assert settings["synthetic"] is True
    assert (settings["share"], settings["method"]) == (0.5, "federated")
    chosen = {choice["way"]: choice for choice in settings["choices"]}
    assert chosen["fine-tune"]["learning_rate"] == 0.01
    assert chosen["fedrecon"]["passes"] in (1, 2)


def test_goes_on_where_it_was_cut_off(copied: Made) -> None:
    parts = sorted((copied.folder / PARTS).rglob("*.json"))
    assert len(parts) == len(TRAINED) + 1
    kept = {part: part.stat().st_mtime_ns for part in parts}
    next(part for part in parts if part.stem == "shift").unlink()
    next(part for part in parts if part.stem == "before").write_text('{"key": "of another study"}')
    frame = PersonalStudy.open(copied.study, QUICK).personalise(copied.folder, Progress())
    pd.testing.assert_frame_equal(frame, copied.frame)
    new = {part.stem for part in parts if part.stat().st_mtime_ns != kept[part]}
    assert new == {"shift", "before"}
    assert (copied.folder / FILE).read_bytes() == (copied.folder.parent / "out" / FILE).read_bytes()


def test_a_part_is_kept_until_something_changes_that_it_depends_on(made: Made) -> None:
    (run,) = PersonalStudy.open(made.study, QUICK).runs

    def kept(way: str, **changed: Any) -> bool:
        clients = changed.pop("clients", tried_on(made)[1:])
        part = Part.of(made.folder, run, way, clients, replace(QUICK, **changed))
        return part.read() is not None

    assert all(kept(way) for way in (*TRAINED, "before"))
    assert not any(kept(way, share=0.4) for way in (*TRAINED, "before"))
    assert not any(kept(way, clients=tried_on(made)) for way in TRAINED)
    assert [way for way in TRAINED if not kept(way, passes=(3,))] == ["fine-tune", "head", "fedrecon", "own-only"]
    assert all(kept(way, clusters=3) for way in TRAINED)


def test_a_recording_that_is_too_short_is_named_and_left_out(made: Made) -> None:
    left_out = json.loads((made.folder / SETTINGS).read_text())["left_out"]
    assert left_out == {tried_on(made)[0]: "the later part has 0 labelled frames or windows; a concordance needs two"}
    assert set(made.frame["client"]) == set(tried_on(made)[1:])


def test_refuses_what_cannot_be_parted_at_all(made: Made, tmp_path: Path) -> None:
    personal = replace(QUICK, share=0.01)
    with pytest.raises(InputError, match="every train client's recording is too short to be parted"):
        PersonalStudy.open(made.study, personal).personalise(tmp_path / "out", Progress())
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_changes_no_earlier_personalisation(copied: Made) -> None:
    before = {file: file.read_bytes() for file in copied.folder.rglob("*") if file.is_file()}
    with pytest.raises(InputError, match="too short to be parted"):
        PersonalStudy.open(copied.study, replace(QUICK, share=0.01)).personalise(copied.folder, Progress())
    RunFolder(copied.study, ()).write_weights("federated", [np.zeros(3, np.float32)])
    with pytest.raises(InputError, match="expected weights of the study's network"):
        PersonalStudy.open(copied.study, replace(QUICK, share=0.4)).personalise(copied.folder, Progress())
    assert {file: file.read_bytes() for file in copied.folder.rglob("*") if file.is_file()} == before


def test_fewer_ways_take_no_other_out_of_the_tables(copied: Made) -> None:
    whole = (copied.folder / FILE).read_bytes()
    settings = json.loads((copied.folder / SETTINGS).read_text())
    fewer = replace(QUICK, ways=("shift",))
    frame = PersonalStudy.open(copied.study, fewer).personalise(copied.folder, Progress())
    pd.testing.assert_frame_equal(frame, copied.frame)
    assert (copied.folder / FILE).read_bytes() == whole
    assert json.loads((copied.folder / SETTINGS).read_text()) == settings


def test_ways_of_other_settings_or_damaged_stay_out_of_the_tables(copied: Made) -> None:
    """With other passes, the mean shift alone is of one protocol with what is asked for."""
    fewer = replace(QUICK, ways=("head",), passes=(1,))
    frame = PersonalStudy.open(copied.study, fewer).personalise(copied.folder, Progress())
    assert list(frame["way"].unique()) == ["shift", "head"]
    settings = json.loads((copied.folder / SETTINGS).read_text())
    assert settings["ways"] == [choice["way"] for choice in settings["choices"]] == ["shift", "head"]
    next((copied.folder / PARTS).rglob("shift.json")).write_text("{}")
    frame = PersonalStudy.open(copied.study, fewer).personalise(copied.folder, Progress())
    assert list(frame["way"].unique()) == ["head"]


def test_refuses_another_cohort(made: Made, tmp_path: Path) -> None:
    other = cohort_of(tmp_path / "cohort", 6)
    with pytest.raises(InputError, match="expected the cohort that the run was trained on"):
        PersonalStudy.open(made.study, QUICK, other.path)


def test_refuses_a_method_without_weights(made: Made) -> None:
    with pytest.raises(InputError, match=r"expected the weights of 'federated \+ DP', found those of: federated;"):
        PersonalStudy.open(made.study, replace(QUICK, method="federated + DP"))


def test_refuses_weights_of_another_network(copied: Made) -> None:
    RunFolder(copied.study, ()).write_weights("federated", [np.zeros(3, np.float32)])
    with pytest.raises(InputError, match="expected weights of the study's network"):
        PersonalStudy.open(copied.study, QUICK).personalise(copied.folder, Progress())


def test_refuses_a_network_that_is_solved(copied: Made) -> None:
    file = copied.study / CONFIG
    file.write_text(file.read_text().replace("name: simple_rnn", "name: ridge"))
    with pytest.raises(InputError, match="ridge is solved from sums"):
        PersonalStudy.open(copied.study, QUICK)


def test_refuses_a_study_of_workers(copied: Made) -> None:
    content = json.loads((copied.study / STUDY).read_text())
    write_json(copied.study / STUDY, content | {"workers": {}})
    with pytest.raises(InputError, match="its workers hold the data"):
        PersonalStudy.open(copied.study, QUICK)


def test_refuses_a_study_that_lacks_a_fold(copied: Made) -> None:
    content = json.loads((copied.study / STUDY).read_text())
    write_json(copied.study / STUDY, content | {"split": {"scheme": "k-fold", "folds": 2}})
    run = copied.study / "seed-4_fold-1"
    run.mkdir()
    (copied.study / RESULTS).rename(run / RESULTS)
    with pytest.raises(InputError, match="no results of seed-4_fold-0; finish it with 'tff-affect train"):
        PersonalStudy.open(copied.study, QUICK)


def test_refuses_a_folder_of_something_else(made: Made, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no personalisation"):
        PersonalStudy.open(made.study, QUICK).personalise(tmp_path, Progress())
    with pytest.raises(InputError, match="found a file"):
        PersonalStudy.open(made.study, QUICK).personalise(tmp_path / "notes.txt", Progress())
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]
