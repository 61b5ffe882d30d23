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
from system_calls import can_trace, written_by

from data_prep.facemesh import FaceActivity, GeometryConfig
from data_prep.labels.label_folder import write_label
from data_prep.video import VideoConfig, convert_videos, find_videos
from data_prep.video_level1 import frame_times
from data_prep.video_results import make_job, read_result, unfinished_folder, write_result
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
    places, environment = environment_of(tmp_path)
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
    written = {str(path.relative_to(tmp_path)) for path in watch.files if path.is_relative_to(tmp_path)}
    assert {path for path in written if not any(re.fullmatch(pattern, path) for pattern in ALLOWED)} == set()
    assert not [path for path in watch.files if path.parent.name == "shm" and not path.name.startswith("sem.")]
    # Per frame: a time, three intensities and three angles. 61 landmarks would be 183 numbers.
    for shapes in seen_unfinished.values():
        assert shapes == {"key": (), "time": (472,), "intensities": (472, 3), "pose": (472, 3), "quality": ()}
    manifest = json.loads((places["work"] / "out" / "cohort.json").read_text())
    assert manifest["features"] == ["AU06", "AU10", "AU12"]
    assert str(folder) not in json.dumps(manifest)


def environment_of(tmp_path):
    """Private folders for everything that a program might write to, and an environment that names them."""
    places = {name: tmp_path / name for name in ("home", "scratch", "work")}
    for place in places.values():
        place.mkdir()
    environment = {
        **os.environ, "HOME": str(places["home"]), "TMPDIR": str(places["scratch"]), "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]), "XDG_CACHE_HOME": str(places["home"] / ".cache"),
    }  # fmt: skip
    return places, environment


ALLOWED = (
    r"work/out\.unfinished/(\.tff-affect-video|(anna|ben)\.(npz|\d+\.tmp))",
    r"work/\.?out[^/]*/(cohort\.json|subjects/(anna|ben)\.parquet)",
    r"work/\.?out[^/]*",
    r"home/\.(cache|config)/matplotlib/(fontlist-v[\d.]+\.json(\.matplotlib-lock)?|[a-z0-9_]{8,})",  # the fonts' list
    r"scratch/([a-z0-9_]{8}|scipy-[a-z0-9_]{8})",  # Python and SciPy see whether they may write there
)


@pytest.mark.slow
@pytest.mark.skipif(not can_trace(), reason="strace is not here, or may not be used")
def test_the_kernel_sees_no_other_file_and_no_socket(folder, tmp_path):
    """Whatever thread of whatever library writes, and wherever: the frames cannot leave the processes."""
    places, environment = environment_of(tmp_path)
    command = [*COMMAND, str(folder), "out", "--quiet", "--jobs", "1"]
    options = {"cwd": places["work"], "env": environment, "stdout": subprocess.DEVNULL}
    code, written, sockets = written_by(command, tmp_path / "strace.log", **options)
    assert code == 0
    system = re.compile(r"/dev/(null|tty|shm/sem\.[\w-]+|shm/[a-zA-Z0-9]{6})|/proc/.*|pipe:.*")
    own = {os.path.relpath(places["work"] / path, tmp_path) for path in written if not system.fullmatch(path)}
    assert {path for path in own if not any(re.fullmatch(pattern, path) for pattern in ALLOWED)} == set()
    assert sockets == []


@pytest.mark.slow
@pytest.mark.skipif(not can_trace(), reason="strace is not here, or may not be used")
def test_the_watch_would_see_a_frame_that_is_kept(tmp_path):
    leak = "import cv2, numpy, os; cv2.imwrite('kept.jpg', numpy.zeros((8, 8, 3))); os.remove('kept.jpg')"
    code, written, _ = written_by([sys.executable, "-c", leak], tmp_path / "strace.log", cwd=tmp_path)
    assert code == 0
    assert "kept.jpg" in written


@pytest.mark.slow
def test_a_video_without_a_face_is_named_and_the_others_are_kept(folder, tmp_path):
    faceless(folder / "carl.mp4")
    with pytest.raises(InputError, match=r"carl.*no face was found in 10 frames.*other 2 are done") as raised:
        convert_videos(folder, tmp_path / "c")
    assert raised.value.subject == "carl"
    assert not (tmp_path / "c").exists()
    (folder / "carl.mp4").unlink()
    unfinished = tmp_path / "c.unfinished"
    assert {file.stem for file in unfinished.glob("*.npz")} == {"anna", "ben"}
    assert unfinished.stat().st_mode & 0o777 == 0o700
    steps = []
    cohort = convert_videos(folder, tmp_path / "c", on_frames=lambda *step: steps.append(step))
    assert cohort.subjects == ("anna", "ben")
    assert not steps
    first, second = (cohort.load(subject) for subject in cohort.subjects)
    np.testing.assert_array_equal(first.features, second.features)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "when"),
    [(signal.SIGKILL, "anna is done"), (signal.SIGINT, "anna is done"), (signal.SIGKILL, "workers start")],
)
def test_an_interrupted_run_goes_on_and_leaves_no_worker(number, when, folder, tmp_path):
    straight = convert_videos(folder, tmp_path / "straight")
    command = [*COMMAND, str(folder), str(tmp_path / "out"), "--quiet", "--jobs", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    unfinished = tmp_path / "out.unfinished"
    while not (list(unfinished.glob("anna.npz")) if when == "anna is done" else len(_members(process.pid)) > 1):
        assert process.poll() is None
        time.sleep(0.01)
    # As a terminal sends Ctrl-C: to everybody.
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    # Of a main process that is killed, Python's own start-up of a worker may complain.
    assert number == signal.SIGKILL or said.count("\n") == 1
    deadline = time.monotonic() + 30
    while _members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _members(process.pid)
    assert not (tmp_path / "out").exists()
    steps = []
    cohort = convert_videos(folder, tmp_path / "out", on_frames=lambda *step: steps.append(step))
    assert {total for _, total, _ in steps} == {472 if when == "anna is done" else 944}
    assert cohort.content_sha256 == straight.content_sha256
    assert not unfinished.exists()


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


def test_numbers_of_other_settings_or_damaged_ones_are_not_reused(clip, tmp_path):
    job = make_job("anna", clip, tmp_path, GeometryConfig())
    assert read_result(job) is None
    activity = FaceActivity(np.arange(2.0), np.zeros((2, 3)), np.zeros((2, 3)), {"frames": 2})
    write_result(job, activity)
    assert read_result(job).quality == {"frames": 2}
    assert read_result(make_job("anna", clip, tmp_path, GeometryConfig(neutral_percentile=5))) is None
    whole = job.result.read_bytes()
    for damaged in (b"", b"PK junk", b"PK\x03\x04junk", whole[:-40], whole[: len(whole) // 2]):
        job.result.write_bytes(damaged)
        assert read_result(job) is None


def test_somebody_elses_folder_is_left_alone(folder, tmp_path):
    taken = tmp_path / "c.unfinished"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="somebody else's"):
        convert_videos(folder, tmp_path / "c")
    assert (taken / "thesis.txt").read_text() == "mine"
    (taken / "thesis.txt").unlink()
    (tmp_path / "precious.txt").write_text("mine")
    (taken / ".tff-affect-video").symlink_to(tmp_path / "precious.txt")
    with pytest.raises(InputError, match="somebody else's"), unfinished_folder(tmp_path / "c"):
        pass
    assert (tmp_path / "precious.txt").read_text() == "mine"
    (tmp_path / "d.unfinished").mkdir(mode=0o777)
    with unfinished_folder(tmp_path / "d") as mine:
        assert mine.stat().st_mode & 0o777 == 0o700
        (mine / "notes.txt").write_text("mine, too")
    assert (mine / "notes.txt").read_text() == "mine, too"


def test_one_run_at_a_time(tmp_path):
    with (
        unfinished_folder(tmp_path / "c"),
        pytest.raises(InputError, match="another run"),
        unfinished_folder(tmp_path / "c"),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_few_bad_times_are_put_in_line_and_many_are_refused():
    slowing = np.concatenate([np.arange(60) * 0.04, 2.4 + np.arange(60) * 0.08])
    bad = slowing.copy()
    bad[40], bad[90] = bad[39], -1.0
    times, repaired = frame_times(bad, 25.0, "a.mkv")
    assert repaired == 2
    # Of two equal times one is right; which cannot be known.
    np.testing.assert_allclose(times, slowing, atol=0.041)
    assert (np.diff(times) > 0).all()
    times, repaired = frame_times(np.zeros(50), 25.0, "a.avi")
    assert repaired == 50
    np.testing.assert_allclose(times, np.arange(50) / 25)
    assert frame_times(np.zeros(1), 25.0, "a.mp4") == (np.zeros(1), 0)
    with pytest.raises(InputError, match="leaps to 90000 s"):
        frame_times(np.append(slowing, 9e4), 25.0, "a.mkv")
    bad[::10] = 0.0
    for clock, rate in ((bad, 25.0), (np.zeros(50), 0.0)):
        with pytest.raises(InputError, match=r"a\.mkv.*do not increase"):
            frame_times(clock, rate, "a.mkv")


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
    (folder / "labels" / "valence" / "zoe.csv").rename(folder / "labels" / "valence" / "anna.csv")
    with pytest.raises(InputError, match="leave the frame rate out"):
        convert_videos(folder, tmp_path / "c", VideoConfig(frame_rate=10))
    write_label(folder / "labels" / "valence" / "anna.csv", 100 + np.arange(9.0), np.zeros(9))
    with pytest.raises(InputError, match="0 % of the labels"):
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
