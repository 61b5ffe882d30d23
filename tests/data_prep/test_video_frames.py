import shutil

import cv2
import numpy as np
import pytest

from data_prep.video_frames import Video, track
from tff_affect.errors import InputError


def write_video(file, frames=30, size=(96, 64), rate=25.0):
    """A video in which nobody is to be seen."""
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
    for _ in range(frames):
        writer.write(cv2.resize(rng.integers(0, 255, (4, 6, 3), dtype=np.uint8), size))
    writer.release()
    return file


def test_frames_stream_with_the_containers_clock(tmp_path):
    video = Video(write_video(tmp_path / "a.mp4"))
    assert video.facts.frames == 30
    assert video.facts.frame_rate == pytest.approx(25)
    frames = list(video.frames())
    np.testing.assert_allclose([seconds for seconds, _ in frames], np.arange(30) / 25, atol=1e-3)
    assert frames[0][1].shape == (64, 96, 3)


def test_a_picture_without_a_face_is_missing_not_zero(tmp_path):
    points = np.stack([found for _, found in track(Video(write_video(tmp_path / "a.mp4", 3)).frames())])
    assert np.isnan(points).all()


def zeros(file):
    file.write_bytes(b"")


def text(file):
    file.write_text("time,value\n0,1\n" * 200)


def headless(file):
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])  # the index of an mp4 stands at its end


def scrambled(file):
    content = bytearray(file.read_bytes())
    content[40:-600] = np.random.default_rng(0).integers(0, 255, len(content) - 640, dtype=np.uint8).tobytes()
    file.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "message"),
    [(zeros, "zero bytes"), (text, "ffmpeg"), (headless, "ffmpeg"), (lambda f: f.unlink(), "no such video")],
)
def test_what_is_no_video_is_refused(damage, message, tmp_path, capfd):
    file = write_video(tmp_path / "a.mp4")
    damage(file)
    with pytest.raises(InputError, match=message) as raised:
        list(Video(file).frames())
    assert raised.value.file == str(file)
    assert not capfd.readouterr().err


def test_a_corrupt_stream_is_refused_or_counted(tmp_path):
    file = write_video(tmp_path / "a.mp4", 60)
    scrambled(file)
    decoded, reason = 0, ""
    try:
        video = Video(file)
        decoded = len(list(video.frames()))
    except InputError as error:
        reason = str(error)
    assert "ffmpeg" in reason or 0 < decoded <= video.facts.frames


def test_an_address_is_no_file(tmp_path):
    with pytest.raises(InputError, match="no such video"):
        Video("http://127.0.0.1:9/a.mp4")


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_other_containers(suffix, tmp_path):
    codes = {".avi": "MJPG", ".mkv": "mp4v"}
    file = tmp_path / f"a{suffix}"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*codes[suffix]), 30.0, (96, 64))
    for _ in range(10):
        writer.write(np.zeros((64, 96, 3), np.uint8))
    writer.release()
    shutil.move(file, tmp_path / f"b{suffix}")
    assert len(list(Video(tmp_path / f"b{suffix}").frames())) == 10
