import json
from dataclasses import replace

import numpy as np
import pytest

from data_prep.synthetic import SyntheticConfig, generate_subject, synthetic_config_of, write_synthetic_cohort
from data_prep.synthetic_model import LOADINGS, MAX_FRAMES, generator, rater_panel, subject_parameters
from tff_affect.cohort import Cohort
from tff_affect.errors import InputError

SMALL = SyntheticConfig(subjects=4, seconds=20.0, seed=5, bad_trackers=(2,))
LONG = SyntheticConfig(subjects=1, seconds=20000.0, frame_rate=2.5, bad_trackers=(), seed=11)


@pytest.fixture(scope="module")
def long_subject():
    return generate_subject(LONG, 0)


def test_equal_configurations_make_equal_cohorts(tmp_path):
    first = write_synthetic_cohort(tmp_path / "a", SMALL)
    second = write_synthetic_cohort(tmp_path / "b", SMALL)
    other = write_synthetic_cohort(tmp_path / "c", replace(SMALL, seed=6))
    assert first.content_sha256 == second.content_sha256 != other.content_sha256


def test_the_cohort_regenerates_from_its_provenance_alone(tmp_path):
    write_synthetic_cohort(tmp_path / "a", SMALL)
    content = json.loads((tmp_path / "a" / "cohort.json").read_text())
    again = SyntheticConfig.from_json(content["provenance"]["config"])
    assert again == SMALL
    assert content["synthetic"] is True
    assert "SYNTHETIC" in content["name"]


def test_a_subject_alone_is_the_subject_in_a_cohort_of_any_size(tmp_path):
    cohort = write_synthetic_cohort(tmp_path / "a", SMALL)
    alone = generate_subject(replace(SMALL, subjects=10_000), 2).table
    stored = Cohort.open(cohort.path).load("P103")
    np.testing.assert_array_equal(alone.features, stored.features)
    np.testing.assert_array_equal(alone.labels, stored.labels)
    np.testing.assert_array_equal(alone.time, stored.time)
    np.testing.assert_array_equal(alone.valid, stored.valid)


def test_the_usual_fusion_leaves_no_trace_in_the_hash(tmp_path):
    config = SyntheticConfig(subjects=2, seconds=4.0)
    cohort = write_synthetic_cohort(tmp_path / "a", config)
    assert "fusion" not in config.to_json()
    assert cohort.manifest.provenance["fusion"] == "mean"
    centred = write_synthetic_cohort(tmp_path / "b", replace(config, fusion="ccc_centred"))
    assert centred.manifest.provenance["fusion"] == "ccc_centred"
    assert synthetic_config_of(centred) == replace(config, fusion="ccc_centred")


def test_the_centred_gold_standard_is_the_mean_at_another_level():
    plain, centred = (generate_subject(replace(SMALL, fusion=f), 0) for f in ("mean", "ccc_centred"))
    np.testing.assert_array_equal(plain.ratings, centred.ratings)
    np.testing.assert_array_equal(plain.table.features, centred.table.features)
    apart = centred.table.labels.astype(np.float64) - plain.table.labels
    assert apart.std(axis=0).max() < 1e-6
    assert abs(apart.mean(axis=0)).min() > 1e-5


def test_streams_of_purposes_and_subjects_differ():
    draws = [generator(SMALL, i, p).normal() for i in range(-1, 6) for p in range(1, 7)]
    assert len(set(draws)) == len(draws)


def test_shape_range_and_masks():
    subject = generate_subject(SyntheticConfig(seconds=10.0), 0)
    table = subject.table
    assert table.features.shape == (250, 17)
    assert table.features.dtype == np.float32
    assert table.time[0] == pytest.approx(0.04)
    assert table.time[-1] == pytest.approx(10.0)
    assert subject.ratings.shape == (250, 2, 6)
    assert np.array_equal(np.isnan(table.features).all(axis=1), ~table.valid)
    assert not np.isnan(table.labels).any()
    np.testing.assert_array_equal(subject.ratings, np.round(subject.ratings, 2))
    np.testing.assert_allclose(table.labels, subject.ratings.mean(axis=2), atol=1e-6)


def test_features_survive_text():
    values = generate_subject(SMALL, 0).table.features
    finite = values[np.isfinite(values)]
    np.testing.assert_array_equal(np.array([f"{v:.6g}" for v in finite], dtype=float).astype(np.float32), finite)


def test_missing_fraction_and_bad_trackers():
    config = SyntheticConfig(subjects=27, seconds=200.0)
    missing = np.array([1 - generate_subject(config, i).table.valid.mean() for i in range(27)])
    bad = list(config.bad_trackers)
    assert 0.02 < np.delete(missing, bad).mean() < 0.04
    assert 0.15 < missing[bad].mean() < 0.35
    noise = [subject_parameters(config, i).noise for i in (0, bad[0])]
    assert noise[1] == 3 * noise[0]


def test_clipping_is_rare():
    config = SyntheticConfig(subjects=27, seconds=60.0)
    values = np.concatenate([generate_subject(config, i).table.features.ravel() for i in range(27)])
    values = values[np.isfinite(values)]
    assert values.min() >= 0
    assert values.max() <= 5
    assert ((values == 0) | (values == 5)).mean() < 0.01


def test_moments_match_the_model(long_subject):
    values = long_subject.table.features[long_subject.table.valid].astype(np.float64)
    p = long_subject.parameters
    latent = np.array([[1, LONG.latent_correlation], [LONG.latent_correlation, 1]])
    variance = np.einsum("jd,de,je->j", p.loading, latent, p.loading) + p.noise**2
    np.testing.assert_allclose(values.mean(axis=0), p.baseline, atol=0.06)
    np.testing.assert_allclose(values.var(axis=0), variance, rtol=0.12)


def test_ratings_lag_the_face(long_subject):
    panel = rater_panel(LONG)
    face = np.nan_to_num(long_subject.table.features - long_subject.parameters.baseline.astype(np.float32))
    guess = face @ np.linalg.pinv(long_subject.parameters.loading).T[:, 0]
    for r in (0, 3):
        scores = [
            np.corrcoef(guess[: -50 or None], np.roll(long_subject.ratings[:, 0, r], -k)[:-50])[0, 1] for k in range(20)
        ]
        assert abs(int(np.argmax(scores)) - (panel.lag[r] - long_subject.parameters.lag)) <= 2


def test_a_tiny_cohort_has_both_groups():
    assert {generate_subject(SMALL, i).groups["gender"] for i in range(2)} == {"female", "male"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"subjects": 0},
        {"subjects": 2.5},
        {"seconds": float("nan")},
        {"seconds": 0.05, "frame_rate": 1.0},
        {"seconds": 1e6, "frame_rate": 1000.0},
        {"seconds": 10**400},
        {"frame_rate": 0.0},
        {"action_units": 3},
        {"action_units": "AU01"},
        {"action_units": (["AU01"],)},
        {"action_units": ("AU99",)},
        {"action_units": ()},
        {"action_units": ("AU01", "AU01")},
        {"raters": 1},
        {"rating_scale": (0.2,)},
        {"missing_fraction": 1.0},
        {"latent_correlation": 1.0},
        {"bad_trackers": (-1,)},
        {"seed": -1},
        {"fusion": "ewe"},
    ],
)
def test_bad_configurations_are_refused(wrong):
    with pytest.raises(InputError, match="synthetic "):
        SyntheticConfig(**wrong)


def test_the_length_of_a_recording_is_bounded():
    assert SyntheticConfig(seconds=MAX_FRAMES / 25).frames == MAX_FRAMES
    with pytest.raises(InputError, match=r"2 to 2,000,000 frames per recording, found 2,000,001 \(.* 25/s\)"):
        SyntheticConfig(seconds=(MAX_FRAMES + 1) / 25)


def with_provenance(folder, **change):
    file = folder / "cohort.json"
    content = json.loads(file.read_text())
    content["provenance"] = {k: v for k, v in (content["provenance"] | change).items() if v is not None}
    file.write_text(json.dumps(content))
    return Cohort.open(folder, verify=False)


def test_the_configuration_comes_from_the_provenance(tmp_path):
    cohort = write_synthetic_cohort(tmp_path / "a", SMALL)
    assert synthetic_config_of(cohort) == SMALL
    assert synthetic_config_of(with_provenance(tmp_path / "a", reader="mine", config=None)) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "'config', found none"),
        ("much", "'config', found 'much'"),
        ([1], r"'config', found \[1\]"),
        ({"colour": 1}, "unknown key 'colour'"),
        ({"action_units": 3}, "action_units"),
        ({"seconds": "long"}, "seconds"),
    ],
)
def test_a_broken_configuration_in_the_provenance_is_refused(config, message, tmp_path):
    write_synthetic_cohort(tmp_path / "a", replace(SMALL, seconds=1.0))
    with pytest.raises(InputError, match=rf"cohort\.json: provenance: .*{message}"):
        synthetic_config_of(with_provenance(tmp_path / "a", config=config))


def test_unknown_subjects_and_keys_are_refused():
    with pytest.raises(InputError, match="index from 0 to 3"):
        generate_subject(SMALL, 4)
    with pytest.raises(InputError, match="unknown key 'colour'"):
        SyntheticConfig.from_json({"colour": 1})
    assert len(LOADINGS) == 17
