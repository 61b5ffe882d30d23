"""From a study's folder to an export and its predictions: what is written, what is refused, and by which words."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_au_tables import libreface, openface, py_feat
from sample_export import write_study
from sample_run import cohort_of

from experiments.train import train
from tff_affect.cohort import Cohort
from tff_affect.config_file import load_config
from tff_affect.errors import InputError, RunError
from tff_affect.evaluation.postprocess import PostProcessing
from tff_affect.export import checks
from tff_affect.export.description import ModelDescription
from tff_affect.export.exporting import export_run
from tff_affect.export.source import RunChoice, read_trained_run
from tff_affect.run_folder import read_json, write_json

Call = Callable[..., Any]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """SYNTHETIC, 5 subjects x 150 frames, 3 features."""
    return cohort_of(tmp_path_factory.mktemp("cohort") / "cohort", 5)


@pytest.fixture(scope="module")
def study(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of drawn weights, features as they are. Read only."""
    return write_study(tmp_path_factory.mktemp("drawn") / "study", cohort, "data.scaling=none", "model.name=gru")


@pytest.fixture(scope="module")
def exported(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel of ``study``. Read only."""
    place = tmp_path_factory.mktemp("exported") / "model"
    return export_run(study, "savedmodel", RunChoice(), place)[0]


@pytest.fixture
def edited(exported: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of ``exported`` whose ``model.json`` says something else."""

    def change(**values: Any) -> Path:
        place = tmp_path / "edited"
        shutil.copytree(exported, place)
        write_json(place / "model.json", read_json(place / "model.json") | values)
        return place

    return change


@pytest.fixture
def recordings(tmp_path: Path) -> Callable[[pd.DataFrame], Path]:
    """A folder of one table of a tool."""

    def write(table: pd.DataFrame) -> Path:
        folder = tmp_path / "tables"
        folder.mkdir()
        table.to_csv(folder / "A1.csv", index=False)
        return folder

    return write


@pytest.mark.slow
def test_predictions_of_a_real_run_come_out_again(cohort: Cohort, tmp_path: Path, command_line: Call) -> None:
    """Federated scaling, a delay, overlapping windows and a chain: all that training applies is in the export."""
    settings = ["data.window=20", "data.hop=10", "data.scaling=federated", "data.target_delay=1.2", "model.name=ridge"]
    settings += ["training.rounds=1", "methods=[federated]", "postprocess=[median,centring]"]
    study = tmp_path / "study"
    train(load_config(None, settings, cohort.path), study)
    assert command_line("export", study, "--to", "onnx").code == 0
    model = study / "exports" / "federated-onnx"
    out = tmp_path / "out"
    said = command_line("predict", model, cohort.path, "--out", out, "--json")
    assert (said.code, said.err) == (0, "")
    assert [row["recording"] for row in json.loads(said.out)["recordings"]] == list(cohort.subjects)
    kept = sorted((study / "predictions" / "federated").glob("*.parquet"))
    assert kept
    for file in kept:
        run, found = pd.read_parquet(file), pd.read_csv(out / f"{file.stem}.csv")
        np.testing.assert_allclose(found["time"], run["time"])
        assert found["arousal"][:3].isna().all()
        assert found["synthetic"].all()
        for dimension in cohort.manifest.labels:
            np.testing.assert_allclose(found[dimension], run[f"{dimension}_predicted"], atol=1e-5)
    assert command_line("predict", model, cohort.path, "--out", tmp_path / "chain", "--post-process").code == 0
    chain = PostProcessing.from_json(read_json(study / "postprocess" / "federated.json")["models"][""])
    expected = chain.apply(run[["arousal_predicted", "valence_predicted"]].to_numpy()[3:])
    found = pd.read_csv(tmp_path / "chain" / f"{file.stem}.csv")[["arousal", "valence"]].to_numpy()[3:]
    # A filter of 20 s sees the three last predictions, which the run's table has moved out.
    np.testing.assert_allclose(found[:-28], expected[:-28], atol=1e-5)
    assert (study / "MODEL_CARD.md").is_file()
    _scaling_is_that_of_training(cohort, model, read_json(study / "split.json")["train"])


def _scaling_is_that_of_training(cohort: Cohort, model: Path, train_subjects: list[str]) -> None:
    """By numpy, over all frames of the training clients together."""
    tables = [cohort.load(subject) for subject in train_subjects]
    frames = np.concatenate([table.features[table.trusted] for table in tables]).astype(np.float64)
    described = ModelDescription.read(model)
    np.testing.assert_allclose(described.mean, frames.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(described.deviation, frames.std(axis=0), rtol=1e-4)


@pytest.mark.parametrize(
    "content",
    [
        "{}", "[]", '{"mean": [0, 0, 0], "deviation": [1, 0, 1]}', '{"mean": [0, 1, 2], "deviation": [1]}',
        '{"mean": [0], "deviation": [1]}', '{"mean": [NaN, 0, 0], "deviation": [1, 1, 1]}',
    ],
)  # fmt: skip
def test_a_damaged_scaling_is_refused(tmp_path: Path, cohort: Cohort, content: str, command_line: Call) -> None:
    study = write_study(tmp_path / "study", cohort, "data.scaling=federated", "model.name=gru")
    said = command_line("export", study, "--to", "onnx")
    assert said.code == 2
    assert "scaling.json" in said.err
    (study / "scaling.json").write_text(content)
    said = command_line("export", study, "--to", "onnx")
    assert said.code == 2
    assert "expected the scaling of 3 features" in said.err


def test_what_an_export_says(study: Path, exported: Path, cohort: Cohort) -> None:
    described = ModelDescription.read(exported)
    assert described.features == cohort.manifest.features == ("AU01", "AU06", "AU12")
    assert (described.labels, described.frame_rate, described.window) == (("arousal", "valence"), 2.5, 8)
    assert (described.feature_scale, described.scaling, described.synthetic) == ("0-5", "none", True)
    assert described.size_bytes == sum(f.stat().st_size for f in (exported / "saved_model").rglob("*") if f.is_file())
    assert 0 <= described.parity["largest_difference"] <= 1e-5
    assert described.parity["frames_with_missing"] > 0
    latency = described.latency
    per_window = latency["milliseconds_per_window"]
    assert latency["milliseconds_per_second_of_signal"] == pytest.approx(per_window * 2.5 / 8, abs=1e-4)
    text = "".join((exported / name).read_text(encoding="utf-8") for name in ("model.json", "MODEL_CARD.md"))
    assert str(study) not in text
    assert not any(subject in text for subject in cohort.subjects)
    assert "SYNTHETIC" in (exported / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_the_end_of_the_interpreter_is_silent(study: Path, tmp_path: Path) -> None:
    """In a process of its own: TFF's own context must not outlive what it needs."""
    code = "import sys; from tff_affect.cli import main; sys.argv[0] = 'tff-affect'; main()"
    arguments = ["export", str(study), "--to", "savedmodel", "--out", str(tmp_path / "model")]
    # What setuptools says of a package that TensorFlow imports is not ours.
    quiet = ("-W", "ignore:pkg_resources is deprecated:UserWarning")
    said = subprocess.run([sys.executable, *quiet, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


REFUSED = [
    (["--to", "tflite", "--streaming"], ["model.name=bilstm"], "bilstm reads the window in both directions"),
    (["--to", "tflite", "--streaming"], ["data.target=window"], "one prediction for each whole window"),
    (["--to", "onnx", "--streaming"], [], "written as tflite alone, found 'onnx'"),
    (["--to", "h5"], [], "expected one of tflite, onnx, savedmodel, found 'h5'"),
    (["--to", "onnx", "--method", "local-only"], [], "no weights of 'local-only' were kept; there are those of fed"),
    (["--to", "onnx", "--seed", "7"], [], "there is no run of seed 7"),
]


@pytest.mark.parametrize(("arguments", "settings", "message"), REFUSED)
def test_what_cannot_be_exported_is_refused_by_name(
    arguments: list[str], settings: list[str], message: str, cohort: Cohort, tmp_path: Path, command_line: Call
) -> None:
    place = write_study(tmp_path / "study", cohort, *settings)
    said = command_line("export", place, *arguments)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert not (place / "exports").exists()


def test_a_study_without_names_needs_its_cohort(cohort: Cohort, tmp_path: Path) -> None:
    place = write_study(tmp_path / "study", cohort)
    facts = read_json(place / "cohort_facts.json")
    write_json(place / "cohort_facts.json", {k: facts[k] for k in ("name", "synthetic", "subjects", "frame_rate")})
    with pytest.raises(InputError, match="name its cohort with --cohort"):
        read_trained_run(place, RunChoice())
    found = read_trained_run(place, RunChoice(cohort=cohort.path))
    assert tuple(found.facts.features) == cohort.manifest.features
    other = cohort_of(tmp_path / "other", 4)
    with pytest.raises(InputError, match="expected the cohort that the run was trained on"):
        read_trained_run(place, RunChoice(cohort=other.path))


def test_a_model_that_predicts_something_else_is_not_written(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "TOLERANCE", 0.0)
    monkeypatch.setattr("tff_affect.export.formats._open_saved", lambda place: lambda windows: windows[..., :2] * 0)
    with pytest.raises(RunError, match="nothing was exported"):
        export_run(study, "savedmodel", RunChoice(), tmp_path / "out" / "model")
    assert not (tmp_path / "out").exists()


def test_an_export_that_was_altered_is_not_opened(exported: Path, edited: Callable[..., Path]) -> None:
    place = edited()
    file = place / "saved_model" / "saved_model.pb"
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(InputError, match="not the one that was exported"):
        ModelDescription.read(place)
    file.unlink()
    with pytest.raises(InputError, match="is missing; copy the whole folder"):
        ModelDescription.read(place)
    shutil.copy(exported / "saved_model" / "saved_model.pb", file)
    (place / "saved_model" / "assets" / "more").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="not the one that was exported"):
        ModelDescription.read(place)


BAD_DESCRIPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"schema": 2}, "of schema 1"),
    ({"format": "pickle"}, "format 'pickle'"),
    ({"files": {"../weights.npz": "0"}}, "names a file outside the model"),
    ({"files": {}}, "no file"),
    ({"scaling": "federated"}, "0 means for 3 features"),
    ({"features": []}, "features or labels"),
    ({"window": "8"}, "window or hop"),
    ({"delay": -1}, "delay -1"),
    ({"frame_rate": 0}, "frame_rate 0"),
    ({"hop": 9}, "data.hop: expected at most the window"),
]


@pytest.mark.parametrize(("values", "message"), BAD_DESCRIPTIONS)
def test_an_edited_description_is_refused(
    values: dict[str, Any], message: str, edited: Callable[..., Path], command_line: Call, tmp_path: Path
) -> None:
    said = command_line("predict", edited(**values), tmp_path / "none.csv", "--out", tmp_path / "out")
    assert said.code == 2
    assert message in said.err
    assert not (tmp_path / "out").exists()


@given(name=st.sampled_from([item.name for item in fields(ModelDescription)]), value=JSON)
def test_whatever_a_description_says_it_is_read_or_refused(exported: Path, name: str, value: Any) -> None:
    content = read_json(exported / "model.json") | {name: value}
    with patch("tff_affect.export.description.read_json", lambda file: content):
        try:
            found = ModelDescription.read(exported)
        except InputError:
            return
    assert (found.window, found.hop) >= (1, 1)
    assert found.files == read_json(exported / "model.json")["files"]


def test_a_model_that_is_none_is_refused(edited: Callable[..., Path], tmp_path: Path, command_line: Call) -> None:
    """Even one that somebody hashed anew."""
    place = edited(format="tflite", files={"model.tflite": hashlib.sha256(b"not a model").hexdigest()})
    (place / "model.tflite").write_bytes(b"not a model")
    said = command_line("predict", place, tmp_path / "none.csv", "--out", tmp_path / "out")
    assert said.code == 2
    assert "expected a model as 'export' writes it" in said.err


def test_a_model_of_other_windows_is_refused(
    edited: Callable[..., Path], cohort: Cohort, tmp_path: Path, command_line: Call
) -> None:
    place = edited(labels=["arousal"])
    said = command_line("predict", place, cohort.path, "--out", tmp_path / "out")
    assert said.code == 2
    assert "found predictions of shape" in said.err
    assert not (tmp_path / "out").exists()


def test_tables_of_a_tool_are_predicted(
    exported: Path, recordings: Callable[..., Path], tmp_path: Path, command_line: Call
) -> None:
    table = openface(frames=60, rate=2.5)
    table.loc[20:24, "success"] = 0
    said = command_line("predict", exported, recordings(table), "--out", tmp_path / "out")
    assert (said.code, said.err) == (0, "")
    assert "SYNTHETIC" in said.out
    found = pd.read_csv(tmp_path / "out" / "A1.csv")
    assert list(found.columns) == ["time", "arousal", "valence", "observed", "synthetic"]
    assert (found["observed"] == 0).sum() == 5
    assert np.isfinite(found[["arousal", "valence"]].to_numpy()).all()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["A1.csv", "predictions.json"]
    assert str(tmp_path) not in (tmp_path / "out" / "predictions.json").read_text(encoding="utf-8")


UNFIT = [
    (openface(frames=60, rate=2.5).drop(columns=["AU06_r", "AU12_r"]), [], "the model reads AU06, AU12, which are not"),
    (py_feat(frames=60), ["--frame-rate", "2.5"], "on the scale 0-5, these are on the scale 0-1"),
    (libreface(frames=60, rate=25.0), [], "the model reads 2.5 frames a second, these recordings have 25"),
    (openface(frames=60, rate=2.5), ["--post-process"], "no post-processing chain"),
]


@pytest.mark.parametrize(("table", "arguments", "message"), UNFIT)
def test_recordings_that_do_not_fit_are_refused(
    table: pd.DataFrame, arguments: list[str], message: str, exported: Path, recordings: Callable[..., Path],
    tmp_path: Path, command_line: Call,
) -> None:  # fmt: skip
    said = command_line("predict", exported, recordings(table), "--out", tmp_path / "out", *arguments)
    assert said.code == 2
    assert message in said.err
    assert not (tmp_path / "out").exists()


def test_another_frame_rate_is_resampled_on_request(
    exported: Path, recordings: Callable[..., Path], tmp_path: Path, command_line: Call
) -> None:
    folder = recordings(libreface(frames=251, rate=25.0))
    assert command_line("predict", exported, folder, "--out", tmp_path / "out", "--resample").code == 0
    time = pd.read_csv(tmp_path / "out" / "A1.csv")["time"].to_numpy()
    np.testing.assert_allclose(time, np.arange(26) / 2.5)


def test_nothing_is_written_beside_recordings_or_over_anything(
    exported: Path, recordings: Callable[..., Path], tmp_path: Path, command_line: Call
) -> None:
    folder = recordings(openface(frames=60, rate=2.5))
    for out in (folder / "out", folder, exported / "out"):
        said = command_line("predict", exported, folder, "--out", out)
        assert said.code == 2, out
    said = command_line("predict", exported, folder, folder / "A1.csv", "--out", tmp_path / "out")
    assert "two recordings have this name" in said.err
    assert not (tmp_path / "out").exists()
    assert [path.name for path in folder.iterdir()] == ["A1.csv"]


def test_one_target_per_window(cohort: Cohort, tmp_path: Path, command_line: Call) -> None:
    """The middle of each whole window; the end that fills none is dropped."""
    place = write_study(tmp_path / "study", cohort, "data.target=window", "data.hop=4", "data.target_delay=0.8")
    model = export_run(place, "savedmodel", RunChoice(), tmp_path / "model")[0]
    assert command_line("predict", model, cohort.path, "--out", tmp_path / "out").code == 0
    subject = cohort.subjects[0]
    time = cohort.load(subject).time
    found = pd.read_csv(tmp_path / "out" / f"{subject}.csv")
    starts = np.arange(0, len(time) - 8 + 1, 4)
    np.testing.assert_allclose(found["time"], time[starts] + 3.5 * 0.4 + 0.8, atol=1e-6)
    trusted = cohort.load(subject).trusted
    np.testing.assert_allclose(found["observed"], [trusted[s : s + 8].mean() for s in starts], atol=1e-6)
