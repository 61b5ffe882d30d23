"""The run folder: whole files, equal bytes for equal results, one driver at a time."""

from __future__ import annotations

import getpass
import json
import platform
import stat
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tff_affect.atomic import current_umask
from tff_affect.errors import InputError
from tff_affect.run_folder import RunFolder, environment, locked, read_json, write_json


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "study" / "seed-0", ("arousal", "valence"))


def test_weights_come_back_in_order(run: RunFolder) -> None:
    weights = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array([np.nan, -0.0], np.float32)]
    run.write_weights("federated", weights)
    with np.load(run.path / "weights" / "federated.npz") as stored:
        found = [stored[f"arr_{i}"] for i in range(len(stored.files))]
    assert len(found) == 2
    for one, other in zip(found, weights, strict=True):
        assert one.tobytes() == other.tobytes()


def test_equal_weights_and_predictions_are_equal_bytes(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    series = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    written = []
    for year in (0, 10):
        now = time.time() + year * 365 * 86400
        monkeypatch.setattr(time, "time", lambda now=now: now)
        run.write_weights("federated", [series])
        run.write_predictions("federated", "P1", np.arange(30) / 25, series, series)
        files = (run.path / "weights" / "federated.npz", run.path / "predictions" / "federated" / "P1.parquet")
        written.append([file.read_bytes() for file in files])
    assert written[0] == written[1]


def test_predictions_come_back_with_their_clock(run: RunFolder) -> None:
    time_axis = np.arange(1, 4) / 25
    gold = np.array([[0.1, -0.2], [np.nan, np.nan], [0.5, 1.0]])
    predicted = np.array([[0.0, 0.1], [0.2, 0.3], [np.nan, 0.5]])
    run.write_predictions("federated", "P1", time_axis, gold, predicted)
    frame = pd.read_parquet(run.path / "predictions" / "federated" / "P1.parquet")
    assert list(frame.columns) == ["time", "arousal", "arousal_predicted", "valence", "valence_predicted"]
    np.testing.assert_array_equal(frame["time"], time_axis)
    np.testing.assert_array_equal(frame[["arousal", "valence"]], gold.astype(np.float32))
    np.testing.assert_array_equal(frame[["arousal_predicted", "valence_predicted"]], predicted.astype(np.float32))


def test_a_second_driver_is_kept_out(run: RunFolder) -> None:
    with locked(run.path), pytest.raises(InputError, match="another process") as raised, locked(run.path):
        pass
    assert raised.value.file == str(run.path)
    with locked(run.path):
        pass


def test_the_lock_goes_with_an_error(run: RunFolder) -> None:
    with pytest.raises(ZeroDivisionError), locked(run.path):
        raise ZeroDivisionError
    with locked(run.path):
        pass


def test_json_is_whole_readable_and_under_the_umask(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    write_json(file, {"name": "Größe", "rate": 2.5})
    write_json(file, {"name": "Maß"})
    assert read_json(file) == {"name": "Maß"}
    assert "Maß" in file.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~current_umask()
    assert [entry.name for entry in tmp_path.iterdir()] == ["facts.json"]


def test_what_cannot_be_written_leaves_the_old_content(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    write_json(file, [1])
    with pytest.raises(TypeError):
        write_json(file, [object()])
    assert read_json(file) == [1]
    with pytest.raises(InputError, match="cannot write here"):
        write_json(tmp_path / "none" / "facts.json", [1])


@pytest.mark.parametrize(("content", "reason"), [(None, "missing"), ("{", "not valid JSON"), ("", "not valid JSON")])
def test_unreadable_json_is_said(content: str | None, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=reason) as raised:
        read_json(file)
    assert raised.value.file == str(file)


def test_json_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not valid JSON"):
        read_json(tmp_path / "facts.json")


def test_the_environment_names_versions_and_nobody() -> None:
    found = environment()
    assert found["python"] == platform.python_version()
    assert found["tensorflow-federated"] == "0.87.0"
    assert {"tff_affect", "system", "cores", "numpy", "tensorflow"} <= set(found)
    text = json.dumps(found)
    assert platform.node() not in text
    assert f'"{getpass.getuser()}"' not in text
