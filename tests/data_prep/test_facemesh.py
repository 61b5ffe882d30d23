import numpy as np
import pytest
from face_points import neutral_face, rotation, smiling

from data_prep.face_geometry import KEPT
from data_prep.facemesh import TIERS, GeometryConfig, face_activity, resolve_units
from tff_affect.errors import InputError

STRENGTH = np.concatenate([np.zeros(30), np.linspace(0, 0.1, 30), np.full(30, 0.1), np.zeros(30)])
TIME = np.arange(120) / 25


def clip(strength=STRENGTH, turn=None):
    face = neutral_face()
    frames = np.stack([smiling(face, s) for s in strength])
    if turn is not None:
        frames = np.stack([frame @ rotation(degrees, "y") for frame, degrees in zip(frames, turn, strict=True)])
    return frames.astype(np.float32)


def test_a_smile_raises_lip_corners_and_cheeks_and_nothing_is_negative():
    activity = face_activity(TIME, clip(), GeometryConfig())
    smile = dict(zip(TIERS["A"], activity.intensities.T, strict=True))
    assert np.corrcoef(smile["AU12"], STRENGTH)[0, 1] > 0.999
    assert np.corrcoef(smile["AU06"], STRENGTH)[0, 1] > 0.999
    # 30 x (half the width gained + the corners' rise), as the docstring of the measure says: 0.5 * 0.1 + 0.05.
    assert smile["AU12"].max() == pytest.approx(30 * 0.1, rel=0.02)
    assert smile["AU12"][:30].max() < 0.01
    assert activity.intensities.min() >= 0
    assert activity.intensities.dtype == np.float32


def test_size_place_and_slow_turning_of_the_head_change_nothing():
    plain = face_activity(TIME, clip(), GeometryConfig(units=("A", "B")))
    moved = clip(turn=np.linspace(-15, 15, 120)) * 3 + 50
    turned = face_activity(TIME, moved, GeometryConfig(units=("A", "B")))
    np.testing.assert_allclose(turned.intensities, plain.intensities, atol=0.02)
    assert turned.pose[-1, 1] - turned.pose[0, 1] == pytest.approx(30, abs=0.1)


def test_intensities_stay_within_five():
    activity = face_activity(TIME, clip(STRENGTH * 20), GeometryConfig())
    assert np.nanmax(activity.intensities) == 5.0


def test_frames_without_a_face_or_turned_away_are_missing_and_counted():
    points = clip(turn=np.where(np.arange(120) < 20, 45.0, 0.0))
    points[100:110] = np.nan
    activity = face_activity(TIME, points, GeometryConfig())
    missing = np.isnan(activity.intensities).all(axis=1)
    assert missing.tolist() == [i < 20 or 100 <= i < 110 for i in range(120)]
    assert np.isnan(activity.pose[missing]).all()
    assert activity.quality["frames_without_face"] == 10
    assert activity.quality["frames_distrusted"] == 20
    assert activity.quality["fraction_tracked"] == pytest.approx(90 / 120)


def test_landmarks_that_do_not_hold_together_are_distrusted():
    points = clip()
    points[50] += np.random.default_rng(0).normal(0, 15, points[50].shape)
    activity = face_activity(TIME, points, GeometryConfig())
    assert np.isnan(activity.intensities[50]).all()
    assert activity.quality["frames_distrusted"] == 1


def test_a_given_neutral_span_beats_the_percentile():
    always = np.concatenate([np.zeros(12), np.full(108, 0.1)])
    by_percentile = face_activity(TIME, clip(always), GeometryConfig(neutral_percentile=20))
    given = face_activity(TIME, clip(always), GeometryConfig(neutral_seconds=(0.0, 0.46)))
    twelve = TIERS["A"].index("AU12")
    assert given.intensities[50, twelve] == pytest.approx(3.0, rel=0.05)
    assert by_percentile.intensities[50, twelve] < 0.1
    assert not given.quality["neutral_uncertain"]
    short = face_activity(TIME, clip(always), GeometryConfig(neutral_seconds=(0.0, 0.2)))
    assert short.quality["neutral_frames"] == 5
    assert short.quality["neutral_uncertain"]


def test_a_face_at_rest_in_one_part_alone_has_an_uncertain_neutral():
    steps = np.repeat([0.0, 0.05, 0.1, 0.15], 30)
    assert face_activity(TIME, clip(steps), GeometryConfig()).quality["neutral_uncertain"]
    often = np.tile([0.0, 0.0, 0.1], 40)
    assert not face_activity(TIME, clip(often), GeometryConfig()).quality["neutral_uncertain"]


def test_turning_is_reported():
    still = face_activity(TIME, clip(), GeometryConfig()).quality
    turning = face_activity(TIME, clip(turn=25 * np.sin(TIME * 3)), GeometryConfig()).quality
    assert still["fraction_turned"] == 0
    assert turning["fraction_turned"] > 0.3
    assert turning["yaw_95_percent"] > 20


def test_a_face_that_jumps_is_counted():
    points = clip()
    assert face_activity(TIME, points, GeometryConfig()).quality["face_jumps"] == 0
    points[60:90] += np.float32([400, 0, 0])
    points[90:] *= 2
    assert face_activity(TIME, points, GeometryConfig()).quality["face_jumps"] == 2


def test_no_face_no_numbers():
    with pytest.raises(InputError, match="no face was found in 5 frames"):
        face_activity(np.arange(5.0), np.full((5, len(KEPT), 3), np.nan), GeometryConfig())
    points = clip()
    points[:25] = np.nan
    with pytest.raises(InputError, match=r"neutral span 0-1 s of 4\.8 s"):
        face_activity(TIME, points, GeometryConfig(neutral_seconds=(0, 1)))


def test_units_by_tier_and_name():
    assert resolve_units("A") == ("AU06", "AU10", "AU12")
    assert resolve_units(("a", "au25")) == ("AU06", "AU10", "AU12", "AU25")
    assert set(resolve_units("B")) == set(TIERS["B"])


@pytest.mark.parametrize("unit", ["AU04", "AU05", "AU09", "AU14", "AU17", "AU20", "AU23"])
def test_invented_units_are_refused_by_name_with_the_reason(unit):
    with pytest.raises(InputError, match=f"{unit}.*no better than chance"):
        resolve_units((unit,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"units": ("AU99",)}, "AU99"),
        ({"units": ()}, "at least one"),
        ({"neutral_seconds": (2.0, 1.0)}, "2-1"),
        ({"neutral_seconds": (0.0, float("inf"))}, "0-inf"),
        ({"neutral_percentile": 80}, "80"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        GeometryConfig(**changes)
