"""What is fitted of a run, on whom, and that being cut off changes nothing of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sample_run import cohort_of, make_run

from tff_affect.cohort import Cohort, SubjectTable
from tff_affect.config import StudyConfig
from tff_affect.config_file import load_config
from tff_affect.evaluation.per_client import result_rows
from tff_affect.evaluation.postprocess import PostProcessing
from tff_affect.learning.program import FederatedProgram
from tff_affect.learning.scaling import stage_for_split
from tff_affect.metrics import SufficientStatistics
from tff_affect.run_folder import RunFolder
from tff_affect.runs.methods import Run
from tff_affect.splits import Split

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("runtime")]

METHODS = ("local-only", "centralised", "federated")
SETTINGS = [
    "data.window=25", "data.hop=25", "data.scaling=federated", "model.units=4", "training.rounds=2",
    "training.checkpoint_every=1", "training.batch_size=4", "postprocess=[median,centring,scaling,shift]",
]  # fmt: skip
TUNED = ["tuning.client_learning_rates=[0.0001,0.02]", "tuning.baseline_learning_rates=[0.02,0.0001]"]
FITTED = ("tuning.json", "rounds.csv", "postprocess/*.json", "weights/*.npz")


class Spoilt(Cohort):
    """The cohort, with labels or features of some subjects halved and in another order of frames.

    Another order alone would not tell a mean that should not have been taken.
    """

    subjects_changed: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    def load(self, subject: str) -> SubjectTable:
        table = super().load(subject)
        if subject not in self.subjects_changed:
            return table
        order = np.random.default_rng(0).permutation(table.frames)
        changed = {part: getattr(table, part)[order] / 2 for part in self.parts}
        return replace(table, valid=table.valid[order], **changed)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return cohort_of(tmp_path_factory.mktemp("cohort") / "cohort", 6)


@pytest.fixture(scope="module")
def split(cohort: Cohort) -> Split:
    return Split(cohort.subjects[:2], cohort.subjects[2:4], cohort.subjects[4:])


def settings(cohort: Cohort, *more: str) -> StudyConfig:
    return load_config(None, [*SETTINGS, *more], cohort.path)


@contextmanager
def staged_anew(run: Run, cohort: Cohort, place: Path) -> Iterator[Run]:
    """The run on another content of its subjects, with what was built for it: only sequences are written anew."""

    def stage(content: Cohort) -> None:
        stage_for_split(content, run.learners.staged.folder, run.config.data, run.split.train)
        for trainer in run.learners.trainers.values():
            trainer._sequence.cache_clear()

    stage(cohort)
    yield replace(run, cohort=cohort, folder=RunFolder(place / "run", cohort.manifest.labels))
    stage(run.cohort)


def table_of(run: Run) -> pd.DataFrame:
    return pd.DataFrame([row for method in METHODS for row in run.rows(method)])


def fitted(folder: Path) -> dict[str, bytes]:
    files = sorted(file for pattern in FITTED for file in folder.glob(pattern))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def reference(cohort: Cohort, split: Split, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, pd.DataFrame]:
    run = make_run(settings(cohort, *TUNED), cohort, split, tmp_path_factory.mktemp("reference"))
    return run, table_of(run)


@pytest.mark.parametrize("part", ["labels", "features"])
def test_test_subjects_enter_nothing_that_is_fitted(
    reference: tuple[Run, pd.DataFrame], cohort: Cohort, split: Split, tmp_path: Path, part: str
) -> None:
    run, rows = reference
    changed = Spoilt(cohort.path, cohort.manifest)
    changed.subjects_changed, changed.parts = split.test, (part,)
    with staged_anew(run, changed, tmp_path) as other:
        spoilt = table_of(other)
    expected, found = fitted(run.folder.path), fitted(other.folder.path)
    assert len(expected) == 7
    assert {name: content == found[name] for name, content in expected.items()} == dict.fromkeys(expected, True)
    assert (spoilt["ccc"] != rows["ccc"]).mean() > 0.9


def test_development_subjects_enter_what_is_fitted(
    reference: tuple[Run, pd.DataFrame], cohort: Cohort, split: Split, tmp_path: Path
) -> None:
    run, _ = reference
    changed = Spoilt(cohort.path, cohort.manifest)
    changed.subjects_changed, changed.parts = split.development, ("labels",)
    with staged_anew(run, changed, tmp_path) as other:
        other.rows("centralised")
    expected, found = fitted(run.folder.path), fitted(other.folder.path)
    assert found["postprocess/centralised.json"] != expected["postprocess/centralised.json"]
    assert found["tuning.json"] != expected["tuning.json"]


def test_post_processed_rows_are_the_written_chain_on_the_written_predictions(
    reference: tuple[Run, pd.DataFrame], cohort: Cohort, split: Split
) -> None:
    run, rows = reference
    for method in ("centralised", "federated"):
        content = json.loads((run.folder.path / "postprocess" / f"{method}.json").read_text())
        assert (content["fitted_on"], content["frame_rate"]) == (list(split.development), 2.5)
        chain = PostProcessing.from_json(content["models"][""])
        for client in split.test:
            table = pd.read_parquet(run.folder.path / "predictions" / method / f"{client}.parquet")
            gold = table[["arousal", "valence"]].to_numpy(np.float64)
            predicted = chain.apply(table[["arousal_predicted", "valence_predicted"]].to_numpy(np.float64))
            statistics = SufficientStatistics.from_series(gold, predicted)
            expected = result_rows(method, "post-processed", "", client, statistics, ("arousal", "valence"))
            found = rows.query("method == @method and kind == 'post-processed' and client == @client")
            assert found["ccc"].tolist() == pytest.approx([row["ccc"] for row in expected], abs=1e-5)


def test_every_method_has_its_rows_of_both_kinds(reference: tuple[Run, pd.DataFrame], split: Split) -> None:
    _, rows = reference
    counts = rows.groupby(["method", "kind"]).size().to_dict()
    each = len(split.test) * 2
    assert counts == {
        (method, kind): each * (len(split.train) if method == "local-only" else 1)
        for method in METHODS
        for kind in ("measured", "post-processed")
    }


def test_the_better_rate_is_chosen_by_every_model_and_recorded(
    reference: tuple[Run, pd.DataFrame], split: Split
) -> None:
    run, _ = reference
    content = json.loads((run.folder.path / "tuning.json").read_text())
    models = [("local-only", client) for client in split.train] + [("centralised", ""), ("federated", "")]
    assert [(entry["method"], entry["model"]) for entry in content] == models
    for entry in content:
        scores = dict(zip(entry["candidates"], entry["development_scores"], strict=True))
        assert sorted(scores) == [0.0001, 0.02]
        assert scores[entry["chosen"]] == max(scores.values())


def test_the_chosen_candidate_is_the_study_without_candidates(
    reference: tuple[Run, pd.DataFrame], cohort: Cohort, split: Split, tmp_path: Path
) -> None:
    run, rows = reference
    content = json.loads((run.folder.path / "tuning.json").read_text())
    chosen = {entry["method"]: entry["chosen"] for entry in content}
    plain = settings(
        cohort,
        f"training.client_optimizer.learning_rate={chosen['federated']}",
        f"training.baseline_optimizer={{name: adam, learning_rate: {chosen['centralised']}}}",
    )
    other = make_run(plain, cohort, split, tmp_path)
    for method in ("centralised", "federated"):
        expected = rows[rows["method"] == method].reset_index(drop=True)
        pd.testing.assert_frame_equal(pd.DataFrame(other.rows(method)), expected, check_exact=True)
    assert not (other.folder.path / "tuning.json").exists()
    assert not (other.folder.path / "tuning").exists()
    for name in ("rounds.csv", "per_client.csv", "weights/federated.npz", "postprocess/federated.json"):
        assert (other.folder.path / name).read_bytes() == (run.folder.path / name).read_bytes(), name


def test_tuning_that_was_cut_off_goes_on_from_each_candidates_checkpoint(
    reference: tuple[Run, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, rows = reference
    again = replace(run, folder=RunFolder(tmp_path / "run", run.folder.dimensions))
    closed: list[int] = []
    close = FederatedProgram._close

    def stopping(program: FederatedProgram, state: dict, trained: Any, *told: Any) -> dict:
        if len(closed) == 3:
            raise KeyboardInterrupt
        closed.append(trained.result.number)
        return close(program, state, trained, *told)

    with monkeypatch.context() as cut_off:
        cut_off.setattr(FederatedProgram, "_close", stopping)
        with pytest.raises(KeyboardInterrupt):
            again.rows("federated")
    assert closed == [1, 2, 1]
    trained_again: list[int] = []
    train = FederatedProgram._train

    def noting(program: FederatedProgram, learning: Any, number: int) -> Any:
        trained_again.append(number)
        return train(program, learning, number)

    monkeypatch.setattr(FederatedProgram, "_train", noting)
    again = replace(again)
    found = pd.DataFrame(again.rows("federated"))
    assert trained_again == [2]
    pd.testing.assert_frame_equal(found, rows[rows["method"] == "federated"].reset_index(drop=True), check_exact=True)
    for name in ("rounds.csv", "per_client.csv", "weights/federated.npz", "postprocess/federated.json"):
        assert (again.folder.path / name).read_bytes() == (run.folder.path / name).read_bytes(), name
    entry = json.loads((run.folder.path / "tuning.json").read_text())[-1]
    assert json.loads((again.folder.path / "tuning.json").read_text()) == [entry]


def test_ridge_is_solved_and_its_federation_is_its_centralisation(cohort: Cohort, split: Split, tmp_path: Path) -> None:
    run = make_run(settings(cohort, "model.name=ridge"), cohort, split, tmp_path)
    rows = table_of(run).query("kind == 'measured'")
    central, federated = (
        rows[rows["method"] == method].reset_index(drop=True) for method in ("centralised", "federated")
    )
    np.testing.assert_allclose(federated["ccc"], central["ccc"], atol=1e-5)
    assert set(rows[rows["method"] == "local-only"]["model"]) == set(split.train)
    content = json.loads((run.folder.path / "tuning.json").read_text())
    assert {entry["setting"] for entry in content} == {"penalty"}
    assert content[-1]["chosen"] == content[-2]["chosen"]
    assert pd.read_csv(run.folder.path / "rounds.csv")["round"].tolist() == [1]
