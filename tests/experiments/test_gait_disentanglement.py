"""The gait study: each part once, by people who were not learned from, resumed, refused; and walks explained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from data_prep.skeleton import JOINTS
from data_prep.synthetic_walkers import FRAME_RATE, SyntheticWalkersConfig, draw_walk
from experiments import gait_jobs
from experiments.gait_disentanglement import read_source, study_gaits, train_gait
from experiments.gait_explain import explain_walks
from experiments.gait_jobs import LOSO, NETWORKS, STRANGERS, Part, parts_of, without
from experiments.gait_settings import GaitStudyConfig, divide, gait_experiment
from experiments.study_folder import PARTS
from tff_affect.errors import InputError
from tff_affect.gait.config import LOSSES, GaitConfig
from tff_affect.gait.plain_network import PlainConfig, PlainNetwork
from tff_affect.gait.saved import load_disentangler
from tff_affect.gait_set import GaitSet
from tff_affect.progress import Progress
from tff_affect.report.gait_verdicts import EMOTION_CODE, FULL, PLAIN

SMALL = (
    "drawn.people=6", "drawn.takes=2", "drawn.cycles=2", "walks.samples=16", "gait.steps=3", "gait.batch=6",
    "gait.emotion_code=3", "gait.biometric_code=5", "study.seeds=[0]", "study.shallow=false", "study.ablations=[game]",
)  # fmt: skip
QUIET = Progress()


@pytest.fixture(autouse=True, scope="module")
def eagerly() -> Iterator[None]:
    """Few steps take less than tracing them."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain networks have no setting of their steps in a study."""
    from tff_affect.gait import plain_network

    trained = plain_network.train_plain

    def few_steps(gaits: GaitSet, config: PlainConfig, seed: int) -> PlainNetwork:
        return trained(gaits, PlainConfig(config.reversal, steps=2, mirrored=config.mirrored), seed)

    monkeypatch.setattr(plain_network, "train_plain", few_steps)


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn walkers as if they were somebody's recordings, with a damaged one."""
    place = tmp_path_factory.mktemp("walks")
    config = SyntheticWalkersConfig(people=6, takes=1, cycles=2, seed=3)
    for person in range(config.people):
        for emotion in ("angry", "happy", "neutral", "sad"):
            points = draw_walk(config, person, emotion, 0)
            columns = {
                f"{joint}_{axis}": points[:, number, at]
                for number, joint in enumerate(JOINTS)
                for at, axis in enumerate("xyz")
            }
            file = place / f"P{person}" / emotion / "1.csv"
            file.parent.mkdir(parents=True)
            pd.DataFrame({"time": np.arange(len(points)) / FRAME_RATE, **columns}).to_csv(file, index=False)
    (place / "P0" / "angry" / "2.csv").write_text("time\n0\n")
    return place


@pytest.mark.slow
def test_a_study_from_start_to_end_resumed_and_with_a_part_more(tmp_path: Path) -> None:
    out = tmp_path / "study"
    found = study_gaits(out, None, gait_experiment(SMALL), False, 1, QUIET)
    assert set(found.results.emotion["method"]) == set(NETWORKS)
    assert list(found.results.judged["left_out"]) == [FULL, "game"]
    assert set(found.results.emotion["people"]) == {3}
    assert found.results.explained["planted_directions"].notna().all()
    written = {entry.name for entry in out.iterdir()}
    assert {"emotion.csv", "identity.csv", "judged.csv", "explained.csv", "summary.md", "gait.html"} <= written
    assert {"heat-map.png", "importance.svg", "swap.png", "emotion.png", "identity.svg"} <= written
    for name in ("summary.md", "gait.html", "heat-map.svg"):
        assert "SYNTHETIC" in (out / name).read_text(encoding="utf-8")
    made = {file: file.read_bytes() for file in (out / PARTS).glob("*.json")}
    (out / PARTS / f"{Part(LOSO, PLAIN, 0, 1).name}.json").unlink()
    again = study_gaits(out, None, gait_experiment([*SMALL, "study.ablations=[game,person]"]), False, 1, QUIET)
    assert list(again.results.judged["left_out"]) == [FULL, "game", "person"]
    assert {file: file.read_bytes() for file in made} == made
    with pytest.raises(InputError, match="of other settings; more seeds and ablations can be added"):
        study_gaits(out, None, gait_experiment([*SMALL, "gait.steps=4"]), False, 1, QUIET)


def test_nobody_is_read_by_networks_that_learned_from_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = gait_experiment(SMALL)
    gaits = read_source(None, config, QUIET).gaits
    study, strangers = divide(gaits, config.study, 0)
    taught: list[tuple[str, ...]] = []
    from tff_affect.gait import plain_network, training

    def stop(gaits: GaitSet, *others: object) -> None:
        taught.append(gaits.people)
        raise InputError("stopped")

    monkeypatch.setattr(training, "train", stop)
    monkeypatch.setattr(plain_network, "train_plain", stop)
    parts = [Part(LOSO, EMOTION_CODE, 0, 1), Part(LOSO, PLAIN, 0, 1), Part(STRANGERS, FULL, 0)]
    for part in parts:
        with pytest.raises(InputError, match="stopped"):
            gait_jobs.do_part(tmp_path, part, gaits, config)
    left = tuple(person for person in study.people if person != study.people[1])
    assert taught == [left, left, study.people]
    assert not set(study.people) & set(strangers.people)


def test_parts_are_all_there_once_and_ablations_leave_one_thing_out() -> None:
    study = GaitStudyConfig(seeds=[0, 4], ablation_seeds=1)
    parts = parts_of(study, 5)
    assert len({part.name for part in parts}) == len(parts) == 2 * (1 + 2 + 2 + 3 * 5) + 9
    config = GaitConfig()
    assert without(FULL, config) == config
    assert without("noise", config).emotion_noise == 0
    for loss in LOSSES:
        weights = {name: getattr(without(loss, config), name) for name in LOSSES}
        assert {name for name, weight in weights.items() if not weight} == {loss}
    game = without("game", config)
    assert [name for name in LOSSES if getattr(game, name)] == ["emotion"]


def test_strangers_change_with_the_seed_and_are_nobody_of_the_study() -> None:
    config = gait_experiment(SMALL)
    gaits = read_source(None, config, QUIET).gaits
    found = [divide(gaits, config.study, seed)[1].people for seed in range(4)]
    assert len(set(found)) > 1
    with pytest.raises(InputError, match="found 1 and 2; give more people"):
        divide(gaits.of(gaits.people[:3]), config.study, 0)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("study.strangers=1", "study.strangers: expected a share"), ("study.seeds=[0,0]", "expected different seeds"),
        ("study.ablations=[nothing]", "found 'nothing'"), ("study.ablations=[game,game]", "expected none twice"),
        ("gait.nothing=1", "nothing"), ("walks.samples=30", "a multiple of 4, found 30"),
        ("walks.root=false", "walks.root: expected true"), ("walks.heading=false", "cycles of one heading"),
        ("study.reversal=0", "study.reversal"), ("walks.samples=4", "samples"),
    ],
)  # fmt: skip
def test_settings_that_do_not_do_are_refused(setting: str, words: str) -> None:
    with pytest.raises(InputError, match=words.replace("[", r"\[")):
        gait_experiment([setting])


def test_a_training_is_written_whole_and_explains_walks_of_others(walks: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "model", tmp_path / "explained"
    outcome = train_gait(model, walks, gait_experiment(SMALL), 0, QUIET)
    assert (outcome.record["people"], outcome.record["strangers"], outcome.record["synthetic"]) == (3, 3, False)
    assert outcome.report is not None
    assert list(outcome.report.dropped) != []
    assert {entry.name for entry in model.iterdir()} == {"gait.json", "weights.npz", "training.csv"}
    content = (model / "gait.json").read_text(encoding="utf-8")
    assert not any(f"P{person}" in content for person in range(6))
    assert load_disentangler(model).preparation["samples"] == 16
    found = explain_walks(out, model, walks, None, None, True, True, QUIET)
    assert {entry.name for entry in out.iterdir()} == {
        "emotions.csv", "importance.csv", "codes.csv", "heat-map.svg", "heat-map.png", "importance.svg",
        "importance.png", "walks.svg", "walks.png",
    }  # fmt: skip
    assert not found.synthetic
    table = pd.read_csv(out / "emotions.csv")
    chances = table.filter(like="p_")
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-3)
    assert list(table["read"]) == [name.removeprefix("p_") for name in chances.idxmax(axis=1)]
    assert pd.read_csv(out / "codes.csv").shape == (len(table), 4 + 3 + 5)
    importance = pd.read_csv(out / "importance.csv").set_index("joint")
    assert list(importance.index) == list(JOINTS)
    few = tmp_path / "few"
    explain_walks(few, model, walks, None, None, False, False, QUIET)
    assert {entry.name for entry in few.iterdir()} == {"emotions.csv", "importance.csv", "heat-map.svg", "heat-map.png"}


def test_what_cannot_be_trained_on_leaves_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "walks"
    empty.mkdir()
    with pytest.raises(InputError):
        train_gait(tmp_path / "model", empty, gait_experiment(SMALL), 0, QUIET)
    with pytest.raises(InputError, match="no "):
        explain_walks(tmp_path / "out", tmp_path, empty, None, None, False, False, QUIET)
    assert [entry.name for entry in tmp_path.iterdir()] == ["walks"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no study of gaits"):
        study_gaits(mine, None, gait_experiment(SMALL), False, 1, QUIET)
    assert json.dumps([entry.name for entry in mine.iterdir()]) == '["notes.txt"]'
