"""Level 1 on real faces: the clip whose head turns, and the London set's neutral and smiling photographs."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from data_prep.face_geometry import KEPT
from data_prep.facemesh import TIERS, GeometryConfig, face_activity
from data_prep.video_frames import FaceTracker, Video, track

TWELVE, SIX = TIERS["A"].index("AU12"), TIERS["A"].index("AU06")
CHANGES = {
    "mirrored": lambda image: cv2.flip(image, 1),
    "brighter": lambda image: cv2.convertScaleAbs(image, alpha=1.0, beta=50),
    "darker": lambda image: cv2.convertScaleAbs(image, alpha=0.5),
    "JPEG 20": lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 20])[1], 1),
    "half size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
}


def activity(clip, change=lambda image: image):
    frames = ((seconds, change(image)) for seconds, image in Video(clip).frames())
    time, points = zip(*track(frames), strict=True)
    return face_activity(np.array(time), np.stack(points), GeometryConfig())


@pytest.fixture(scope="module")
def clip(shared_data):
    return shared_data / "video" / "face_clip.mp4"


@pytest.fixture(scope="module")
def plain(clip):
    return activity(clip)


def correlation(first, second, unit):
    return np.corrcoef(first.intensities[:, unit], second.intensities[:, unit])[0, 1]


@pytest.mark.slow
def test_the_face_is_found_the_head_turns_and_neutral_is_uncertain(plain):
    assert plain.quality["fraction_tracked"] > 0.95
    assert plain.quality["fraction_turned"] > 0.1
    assert plain.quality["neutral_uncertain"]


@pytest.mark.slow
def test_the_same_video_gives_identical_numbers(clip, plain):
    again = activity(clip)
    np.testing.assert_array_equal(again.intensities, plain.intensities)
    np.testing.assert_array_equal(again.pose, plain.pose)


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_picture_keeps_the_course_of_the_units(change, clip, plain):
    changed = activity(clip, CHANGES[change])
    assert correlation(changed, plain, TWELVE) >= 0.95
    assert correlation(changed, plain, SIX) >= 0.9


@pytest.mark.slow
def test_nearly_all_smiles_raise_the_lip_corners(shared_data):
    """Face Research Lab London Set (DeBruine & Jones): NNN_03 neutral, NNN_08 smiling, 40 people."""
    people = sorted({file.stem[:3] for file in (shared_data / "faces_london").glob("*.jpg")})
    config = GeometryConfig(neutral_seconds=(0.0, 0.5))
    rises = []
    with FaceTracker(still=True) as tracker:
        for person in people:
            files = [shared_data / "faces_london" / f"{person}_{which}.jpg" for which in ("03", "08")]
            points = np.stack([tracker.points(cv2.imread(str(file))) for file in files])
            found = face_activity(np.array([0.0, 1.0]), points, config).intensities[:, TWELVE]
            rises.append(found[1] > found[0])
    assert len(rises) == 40
    assert np.mean(rises) >= 0.95


LOOP = """
import gc, resource, sys
from data_prep.video_frames import Video, track

def looped(times):
    start = 0.0
    for _ in range(times):
        for seconds, image in Video(sys.argv[1]).frames():
            yield start + seconds, image
        start += 20.0

def resident():
    gc.collect()
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * resource.getpagesize() / 2**20

kept, marks = [], {}
for frame, (seconds, points) in enumerate(track(looped(8)), start=1):
    kept.append(points)
    if frame % 472 == 0:
        marks[frame // 472] = resident()
print(len(kept), marks[2], marks[8])
"""


@pytest.mark.slow
def test_memory_stays_flat_over_a_long_video(clip):
    done = subprocess.run([sys.executable, "-c", LOOP, str(clip)], capture_output=True, text=True, check=True)
    frames, early, late = done.stdout.split()
    assert int(frames) == 8 * 472
    landmarks = int(frames) * (len(KEPT) * 3 * 4 + 200) / 2**20
    assert float(late) - float(early) < landmarks + 6
