"""Faces cut out: eyes come to fixed places; what is far from a photograph's pixels is averaged, not skipped."""

import cv2
import numpy as np
import pytest

from data_prep import face_crop
from data_prep.face_crop import (
    BOX,
    EYE_ROW,
    EYES,
    LEFT_EYE,
    MESH,
    RIGHT_EYE,
    WHOLE,
    open_cropper,
    standard_contrast,
    whole,
)
from data_prep.face_geometry import INNER_EYES, KEPT, OUTER_EYES, columns
from data_prep.image_file import read_image
from data_prep.video_frames import FaceTracker
from tff_affect.errors import InputError

SIZE = 48


def noise(rows, columns_, seed=0):
    return np.random.default_rng(seed).random((rows, columns_)).astype(np.float32)


@pytest.mark.parametrize("shape", [(96, 96), (96, 151), (240, 96), (97, 200)])
def test_none_takes_the_middle_square_averaged(shape):
    image = noise(*shape)
    with open_cropper("none", SIZE) as crop:
        found = crop(image)
    assert found.found == WHOLE
    assert (found.image.shape, found.image.dtype) == ((SIZE, SIZE), np.float32)
    side = min(shape)
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    square = image[top : top + side, left : left + side]
    if side == 96:
        means = square.reshape(SIZE, 2, SIZE, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(found.image, means, atol=1e-5)
    assert found.image.mean() == pytest.approx(square.mean(), abs=1e-3)


def test_a_small_image_grows():
    found = whole(noise(16, 20), SIZE).image
    assert found.shape == (SIZE, SIZE)
    assert 0 <= found.min() < found.max() <= 1


def test_standard_contrast():
    image = 0.3 + 0.05 * noise(SIZE, SIZE)
    found = standard_contrast(image)
    assert found.dtype == np.float32
    assert (found.mean(), found.std()) == (pytest.approx(0.5, abs=1e-3), pytest.approx(0.2, abs=1e-3))
    np.testing.assert_allclose(standard_contrast(0.5 * image + 0.1), found, atol=1e-4)
    extreme = np.zeros((SIZE, SIZE), np.float32)
    extreme[0, 0] = 1
    assert standard_contrast(extreme).max() == 1
    flat = np.full((SIZE, SIZE), 0.4, np.float32)
    np.testing.assert_array_equal(standard_contrast(flat), flat)


class FakeTracker:
    """Says that the eyes are where a test put them: x and y of the left and right eye, in pixels, y down."""

    eyes = None

    def __init__(self, still):
        assert still

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def points(self, image):
        assert image.dtype == np.uint8
        points = np.zeros((len(KEPT), 3), np.float32)
        if self.eyes is None:
            return points * np.nan
        for (outer, inner), (x, y) in zip(zip(OUTER_EYES, INNER_EYES, strict=True), self.eyes, strict=True):
            points[columns((outer,))[0]] = x - 7, -y, 0
            points[columns((inner,))[0]] = x + 7, -y, 0
        return points


def spot(image, x, y):
    cv2.circle(image, (round(x), round(y)), 6, 1.0, -1)


def middle(image):
    rows, columns_ = np.indices(image.shape)
    return (image * columns_).sum() / image.sum(), (image * rows).sum() / image.sum()


@pytest.mark.parametrize(("angle", "distance"), [(0, 60), (20, 60), (-35, 110), (5, 24)])
def test_eyes_come_to_their_places(angle, distance, monkeypatch):
    across = distance / 2 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    centre = np.array([150.0, 130.0])
    eyes = np.round([centre - across, centre + across])
    monkeypatch.setattr(face_crop, "FaceTracker", FakeTracker)
    monkeypatch.setattr(FakeTracker, "eyes", eyes)
    with open_cropper("facemesh", SIZE) as crop:
        for eye, place in zip(eyes, (LEFT_EYE, RIGHT_EYE), strict=True):
            image = np.zeros((260, 300), np.float32)
            spot(image, *eye)
            found = crop(image)
            x, y = middle(found.image)
            assert ((x + 0.5) / SIZE, (y + 0.5) / SIZE) == pytest.approx((place, EYE_ROW), abs=0.005)
            assert found.found == MESH
            # As much light as before, per area: nothing was skipped.
            scale = (RIGHT_EYE - LEFT_EYE) * SIZE / np.linalg.norm(eyes[1] - eyes[0])
            assert found.image.sum() == pytest.approx(image.sum() * scale**2, rel=0.05)


def test_beyond_the_edge_its_pixels_go_on(monkeypatch):
    monkeypatch.setattr(face_crop, "FaceTracker", FakeTracker)
    monkeypatch.setattr(FakeTracker, "eyes", np.array([[20.0, 10.0], [80.0, 10.0]]))
    with open_cropper("facemesh", SIZE) as crop:
        np.testing.assert_allclose(crop(np.full((40, 100), 0.7, np.float32)).image, 0.7, atol=1e-6)


@pytest.mark.parametrize("alignment", ["haar", "facemesh"])
def test_no_face_is_none(alignment):
    smooth = cv2.GaussianBlur(noise(200, 260), (0, 0), 9)
    with open_cropper(alignment, SIZE) as crop:
        assert crop(smooth) is None
        assert crop(noise(16, 16)) is None
        assert crop(noise(16, 40_000)) is None
        assert crop(noise(40_000, 16)) is None


def test_a_huge_photograph_is_cut_as_a_smaller_one(monkeypatch):
    monkeypatch.setattr(face_crop, "FaceTracker", FakeTracker)
    monkeypatch.setattr(FakeTracker, "eyes", np.array([[2000.0, 1.0], [2090.0, 1.0]]))
    with open_cropper("facemesh", SIZE) as crop:
        assert crop(noise(16, 40_000)).image.shape == (SIZE, SIZE)


def test_another_alignment_is_refused():
    with pytest.raises(InputError, match="one of none, haar, facemesh, found 'eyes'"), open_cropper("eyes", SIZE):
        pass


def test_without_mediapipe_one_line_says_what_to_install(monkeypatch):
    def absent(still):
        raise InputError("faces in video need the extra 'video'")

    monkeypatch.setattr(face_crop, "FaceTracker", absent)
    with pytest.raises(InputError, match="extra 'video'"), open_cropper("facemesh", SIZE):
        pass


@pytest.fixture(scope="module")
def photographs(shared_data):
    """Face Research Lab London Set (DeBruine & Jones): a few of its faces."""
    return [read_image(file) for file in sorted((shared_data / "faces_london").glob("*.jpg"))[:16:2]]


def turned(image, degrees):
    matrix = cv2.getRotationMatrix2D((image.shape[1] / 2, image.shape[0] / 2), degrees, 1)
    return cv2.warpAffine(image, matrix, image.shape[::-1], borderMode=cv2.BORDER_REPLICATE)


def alike(first, second):
    return np.corrcoef(first.image.ravel(), second.image.ravel())[0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("alignment", ["haar", "facemesh"])
def test_a_turned_or_larger_photograph_gives_the_same_face(alignment, photographs):
    with open_cropper(alignment, SIZE) as crop:
        for image in photographs[:4]:
            upright = crop(image)
            assert upright.found == (EYES if alignment == "haar" else MESH)
            np.testing.assert_array_equal(crop(image).image, upright.image)
            large = cv2.resize(image, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_CUBIC)
            # Cascades look with steps of several pixels, the mesh does not.
            least = 0.9 if alignment == "haar" else 0.97
            assert alike(crop(np.clip(large, 0, 1)), upright) > least
            assert alike(crop(turned(image, 7)), upright) > least


def eyes_within(crop, tracker):
    """``[2, 2]`` x and y of the eyes in a crop, as the mesh sees them, of its side."""
    side = len(crop.image)
    face = np.round(crop.image * 255).astype(np.uint8)
    corners = tracker.points(cv2.cvtColor(face, cv2.COLOR_GRAY2BGR))[:, :2] * (1, -1) / side
    pairs = zip(OUTER_EYES, INNER_EYES, strict=True)
    return np.stack([corners[columns(pair)].mean(axis=0) for pair in pairs])


@pytest.mark.slow
def test_eyes_found_by_cascades_are_where_the_mesh_sees_them(photographs, monkeypatch):
    places = np.array([[LEFT_EYE, EYE_ROW], [RIGHT_EYE, EYE_ROW]])
    with open_cropper("haar", 240) as crop, FaceTracker(still=True) as tracker:
        by_eyes = [crop(image) for image in photographs]
        monkeypatch.setattr(face_crop, "_EYE_DISTANCE", (2.0, 3.0))  # no pair of eyes is plausible
        by_box = [crop(image) for image in photographs]
        off = {
            how: np.abs([eyes_within(face, tracker) - places for face in faces])
            for how, faces in ((EYES, by_eyes), (BOX, by_box))
        }
    assert {face.found for face in by_eyes} == {EYES}
    assert {face.found for face in by_box} == {BOX}
    assert off[EYES].max() < 0.03
    assert off[BOX].max() < 0.05
    assert off[EYES].mean() < off[BOX].mean()
