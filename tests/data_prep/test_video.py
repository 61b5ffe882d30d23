"""From videos to a cohort, whole: what is written, what is refused, what an interruption leaves."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from file_watch import FileWatch

from data_prep.facemesh import GeometryConfig
from data_prep.labels.label_folder import write_label
from data_prep.video import VideoConfig, convert_videos, find_videos
from data_prep.video_level1 import is_done, make_job, read_result
from tff_affect.errors import InputError

COMMAND = [sys.executable, "-m", "tff_affect.cli", "data", "video"]


@pytest.fixture(scope="module")
def clip(shared_data):
    return shared_data / "video" / "face_clip.mp4"


@pytest.fixture
def folder(clip, tmp_path):
    """Two people who look alike."""
    place = tmp_path / "videos"
    place.mkdir()
    for name in ("anna", "ben"):
        shutil.copy(clip, place / f"{name}.mp4")
    return place


def faceless(file):
    import cv2

    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (96, 64))
    for _ in range(10):
        writer.write(np.full((64, 96, 3), 90, np.uint8))
    writer.release()


@pytest.mark.slow
def test_a_folder_with_labels_and_attributes(folder, tmp_path):
    seconds = np.arange(1, 481) * 0.04
    for dimension in ("arousal", "valence"):
        (folder / "labels" / dimension).mkdir(parents=True)
        for name in ("anna", "ben"):
            write_label(folder / "labels" / dimension / f"{name}.csv", seconds, np.sin(seconds))
    (folder / "subjects.csv").write_text("subject,partition,gender\nanna,train,female\nben,test,male\n")
    steps = []
    config = VideoConfig(geometry=GeometryConfig(units=("A", "AU25")), pose=True)
    cohort = convert_videos(folder, tmp_path / "c", config, on_frames=lambda *step: steps.append(step))
    assert cohort.manifest.features == ("AU06", "AU10", "AU12", "AU25", "pitch", "yaw", "roll")
    assert cohort.manifest.frame_rate == 25
    assert cohort.manifest.labels == ("arousal", "valence")
    assert cohort.manifest.provenance["source"] == "facemesh-geometry"
    assert [(e.subject, e.partition, e.groups["gender"]) for e in cohort.manifest.subjects] == [
        ("anna", "train", "female"),
        ("ben", "test", "male"),
    ]
    table = cohort.load("anna")
    np.testing.assert_allclose(table.time, seconds)
    assert table.valid.mean() > 0.95
    assert {total for _, total, _ in steps} == {944}
    assert sum(done for *_, done in steps) == 944
    assert not (tmp_path / "c.unfinished").exists()


@pytest.mark.slow
def test_nothing_but_numbers_is_ever_written(folder, tmp_path):
    """Everything below the home, the temporary and the working folder, and the machine's own, is watched."""
    places = {name: tmp_path / name for name in ("home", "scratch", "work")}
    for place in places.values():
        place.mkdir()
    environment = {
        **os.environ, "HOME": str(places["home"]), "TMPDIR": str(places["scratch"]), "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]), "XDG_CACHE_HOME": str(places["home"] / ".cache"),
    }  # fmt: skip
    watch = FileWatch(*places.values(), folder, Path("/dev/shm"))
    process = subprocess.Popen(
        [*COMMAND, str(folder), "out", "--quiet"], cwd=places["work"], env=environment, stdout=subprocess.DEVNULL
    )
    seen_unfinished = {}
    while process.poll() is None:
        watch.poll()
        for file in places["work"].glob("out.unfinished/*.npz"):
            if file.name not in seen_unfinished:
                with np.load(file, allow_pickle=False) as content:
                    seen_unfinished[file.name] = {name: content[name].shape for name in content}
        time.sleep(0.005)
    watch.poll()
    watch.close()
    assert process.returncode == 0
    allowed = (
        r"work/out\.unfinished/(anna|ben)\.(npz|\d+\.tmp)",
        r"work/\.?out[^/]*/(cohort\.json|subjects/(anna|ben)\.parquet)",
        r"home/\.(cache|config)/matplotlib/.*",  # the list of the machine's fonts
        r"scratch/([a-z0-9_]{8}|scipy-[a-z0-9_]{8})",  # Python and SciPy see whether they may write there
    )
    written = {str(path.relative_to(tmp_path)) for path in watch.files if path.is_relative_to(tmp_path)}
    assert {path for path in written if not any(re.fullmatch(pattern, path) for pattern in allowed)} == set()
    assert not [path for path in watch.files if path.suffix.lower() in (".jpg", ".png", ".bmp", ".mp4", ".npy")]
    # Per frame: a time, three intensities and three angles. 61 landmarks would be 183 numbers.
    for shapes in seen_unfinished.values():
        assert shapes == {"key": (), "time": (472,), "intensities": (472, 3), "pose": (472, 3), "quality": ()}
    manifest = json.loads((places["work"] / "out" / "cohort.json").read_text())
    assert manifest["features"] == ["AU06", "AU10", "AU12"]
    assert str(folder) not in json.dumps(manifest)


@pytest.mark.slow
def test_a_video_without_a_face_is_named_and_the_others_are_kept(folder, tmp_path):
    faceless(folder / "carl.mp4")
    with pytest.raises(InputError, match=r"carl.*no face was found in 10 frames.*other 2 are done") as raised:
        convert_videos(folder, tmp_path / "c")
    assert raised.value.subject == "carl"
    assert not (tmp_path / "c").exists()
    (folder / "carl.mp4").unlink()
    unfinished = tmp_path / "c.unfinished"
    before = {file: file.stat().st_mtime_ns for file in unfinished.iterdir()}
    assert {file.stem for file in before} == {"anna", "ben"}
    steps = []
    cohort = convert_videos(folder, tmp_path / "c", on_frames=lambda *step: steps.append(step))
    assert cohort.subjects == ("anna", "ben")
    assert not steps
    first, second = (cohort.load(subject) for subject in cohort.subjects)
    np.testing.assert_array_equal(first.features, second.features)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_goes_on_and_leaves_no_worker(number, folder, tmp_path):
    straight = convert_videos(folder, tmp_path / "straight")
    command = [*COMMAND, str(folder), str(tmp_path / "out"), "--quiet", "--jobs", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    unfinished = tmp_path / "out.unfinished"
    while not list(unfinished.glob("anna.npz")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Traceback" not in said
    deadline = time.monotonic() + 10
    while _members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _members(process.pid)
    assert not (tmp_path / "out").exists()
    kept = (unfinished / "anna.npz").stat().st_mtime_ns
    steps = []
    cohort = convert_videos(folder, tmp_path / "out", on_frames=lambda *step: steps.append(step))
    assert {total for _, total, _ in steps} == {472}, f"anna was done at {kept}"
    assert cohort.content_sha256 == straight.content_sha256


def _members(session):
    """Processes of a session that are still there."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(entry.name)
    return found


@pytest.mark.slow
def test_numbers_of_other_settings_or_another_video_are_not_reused(clip, tmp_path):
    job = make_job("anna", clip, tmp_path, GeometryConfig())
    assert not is_done(job)
    convert_videos(clip, tmp_path / "c")
    np.savez(job.result, key=np.array(job.key), time=np.arange(2.0), intensities=0, pose=0, quality=np.array("{}"))
    assert is_done(job)
    assert read_result(job).quality == {}
    assert not is_done(make_job("anna", clip, tmp_path, GeometryConfig(neutral_percentile=5)))
    job.result.write_bytes(b"PK junk")
    assert not is_done(job)


def test_what_is_wrong_is_said_before_any_video_is_followed(folder, tmp_path):
    (folder / "ben.mp4").write_bytes(b"")
    with pytest.raises(InputError, match=r"ben\.mp4.*zero bytes"):
        convert_videos(folder, tmp_path / "c")
    (folder / "ben.mp4").unlink()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "draft.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        convert_videos(folder, tmp_path / "thesis")
    (folder / "labels" / "valence").mkdir(parents=True)
    write_label(folder / "labels" / "valence" / "zoe.csv", np.arange(9.0), np.zeros(9))
    with pytest.raises(InputError, match="anna"):
        convert_videos(folder, tmp_path / "c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis", "videos"]


def test_which_files_are_videos(folder, tmp_path):
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden.mp4").write_text("x")
    assert tuple(find_videos(folder)) == ("anna", "ben")
    shutil.copy(folder / "anna.mp4", folder / "anna.AVI")
    with pytest.raises(InputError, match="keep one"):
        find_videos(folder)
    (folder / "anna.AVI").unlink()
    (folder / "out.mp4").symlink_to("/etc/hostname")
    with pytest.raises(InputError, match="leads out"):
        find_videos(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="found none"):
        find_videos(tmp_path / "empty")
