"""Who is it: how images are divided, and what attackers find in them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.synthetic_faces import SyntheticFacesConfig, draw_faces
from tff_affect.anonymizer import image_attacker
from tff_affect.anonymizer.baselines import Constant, GaussianNoise
from tff_affect.anonymizer.image_attacker import (
    CONVOLUTIONAL,
    GRADIENTS,
    augmented,
    convolutional,
    divided,
    exposed_faces,
    exposed_pairs,
    gradients,
    image_families,
)
from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet
from tff_affect.privacy.audit.attackers import Family, top_share
from tff_affect.privacy.audit.exposed import Exposed, Owned
from tff_affect.privacy.audit.reidentification import reidentify

OWN = (convolutional(), gradients())


def coded(counts: list[dict[str, int]]) -> FaceSet:
    """Faces of one grey each, which says their row."""
    rows = [(f"S{n:02d}", emotion) for n, own in enumerate(counts) for emotion, c in own.items() for _ in range(c)]
    images = np.ones((len(rows), 16, 16), np.float32) * (np.arange(len(rows)) / 1024)[:, np.newaxis, np.newaxis]
    return FaceSet("coded", images.astype(np.float32), *zip(*rows, strict=True), tuple(map(str, range(len(rows)))))


def rows_of(vectors: np.ndarray) -> list[int]:
    return np.round(1024 * vectors[:, 0]).astype(int).tolist()


person = st.dictionaries(st.sampled_from(["angry", "happy", "sad"]), st.integers(1, 12), min_size=1)


@given(counts=st.lists(person, min_size=1, max_size=4), seed=st.integers(0, 9))
def test_images_are_divided_by_emotion(counts: list[dict[str, int]], seed: int) -> None:
    faces = coded(counts)
    rows, left_out = divided(faces, seed)
    for number, own in enumerate(counts):
        name, total = f"S{number:02d}", sum(own.values())
        if total < 3:
            assert f"found {total} images, expected at least 3" in left_out[name]
            continue
        known, unknown = rows[name]
        assert sorted([*known, *unknown]) == np.flatnonzero(faces.person == number).tolist()
        assert len(known) == round(0.6 * total)
        shown = Counter(np.array(faces.emotions)[known].tolist())
        for emotion, count in own.items():
            assert abs(shown[emotion] - 0.6 * count) < 2
    assert set(rows) | set(left_out) == set(faces.people)


def test_early_images_show_all_emotions_too() -> None:
    """Attackers choose their settings by late ones: these must not be of other emotions."""
    faces = coded([dict.fromkeys(("angry", "happy", "sad"), 10)] * 20)
    for known, _ in divided(faces, 0)[0].values():
        assert set(Counter(np.array(faces.emotions)[known[:9]].tolist()).values()) <= {2, 3, 4}


def test_a_seed_divides_whatever_the_images_are() -> None:
    faces = coded([dict.fromkeys(("angry", "happy"), 10)] * 3)
    first, again = divided(faces, 1)[0], divided(faces.with_images(1 - faces.images), 1)[0]
    assert all((first[name][0] == again[name][0]).all() for name in first)
    assert any((first[name][0] != divided(faces, 2)[0][name][0]).any() for name in first)


def test_faces_are_exposed_with_their_owners() -> None:
    faces = coded([{"angry": 5, "happy": 5}, {"angry": 1}, {"happy": 6}])
    shown = faces.with_images(faces.images + np.float32(0.5))
    exposed = exposed_faces(faces, 0, shown)
    assert exposed.people == ("S00", "S02")
    assert list(exposed.left_out) == ["S01"]
    rows = divided(faces, 0)[0]
    for name, known, unknown in zip(exposed.people, exposed.enrolment, exposed.probe, strict=True):
        assert rows_of(known.vectors) == rows[name][0].tolist()
        assert rows_of(unknown.vectors - 0.5) == rows[name][1].tolist()
        assert known.sequences is not None
        np.testing.assert_array_equal(known.sequences.reshape(len(known), -1), known.vectors)
    assert rows_of(exposed_faces(faces, 0).probe[0].vectors) == rows["S00"][1].tolist()


def test_known_images_are_transformed_again_and_again_where_noise_is_drawn_anew() -> None:
    faces = coded([{"angry": 5, "happy": 5}, {"happy": 6}])
    exposed = exposed_faces(faces, 0, faces, GaussianNoise(1e-5), draws=3)
    once = exposed_faces(faces, 0, faces, lambda images: images / 2, draws=3)
    for name, (known, unknown) in divided(faces, 0)[0].items():
        place = exposed.people.index(name)
        assert rows_of(exposed.enrolment[place].vectors) == np.repeat(known, 3).tolist()
        assert len(np.unique(exposed.enrolment[place].vectors[:3, 5])) == 3
        assert rows_of(2 * once.enrolment[place].vectors) == known.tolist()
        assert rows_of(exposed.probe[place].vectors) == unknown.tolist()


def test_pairs_are_known_by_one_emotion_and_found_in_the_other() -> None:
    faces = coded([{"neutral": 1, "happy": 1}, {"neutral": 1}, {"happy": 1, "neutral": 2}])
    exposed = exposed_pairs(faces, 0, copies=4)
    assert exposed.people == ("S00", "S02")
    assert exposed.left_out == {"S01": "no happy image"}
    assert [len(known) for known in exposed.enrolment] == [4, 8]
    assert rows_of(exposed.enrolment[0].vectors[:1]) == [0]
    assert rows_of(exposed.enrolment[1].vectors[:2]) == [4, 5]
    assert [rows_of(unknown.vectors) for unknown in exposed.probe] == [[1], [3]]
    made = exposed_pairs(faces, 0, copies=4, shown=faces, transformation=lambda images: images / 2 + len(images) / 8)
    np.testing.assert_allclose(made.enrolment[0].vectors, exposed.enrolment[0].vectors / 2 + 0.5, atol=1e-6)
    np.testing.assert_array_equal(made.probe[0].vectors, exposed.probe[0].vectors)
    turned = exposed_pairs(faces, 0, "happy", "neutral", copies=2)
    assert [rows_of(unknown.vectors) for unknown in turned.probe] == [[0], [4, 5]]


def test_copies_are_near_the_image_and_none_is_like_another() -> None:
    image = draw_faces(SyntheticFacesConfig(people=1, images=1)).images[:1]
    copies = augmented(image, 20, np.random.default_rng(0))
    np.testing.assert_array_equal(copies[0], image[0])
    assert len({copy.tobytes() for copy in copies}) == 20
    assert ((copies >= 0) & (copies <= 1)).all()
    near = [np.corrcoef(copy.ravel(), image.ravel())[0, 1] for copy in copies[1:]]
    assert 0.6 < min(near) < 0.99


def test_too_few_people_are_refused_with_the_reason() -> None:
    faces = coded([{"neutral": 9}, {"neutral": 2}])
    with pytest.raises(InputError, match=r"two people with at least 3 images each.*found 1 \(S01: found 2 images"):
        exposed_faces(faces, 0)
    with pytest.raises(InputError, match=r"a neutral and a happy image each, found 0 \(S00: no happy image"):
        exposed_pairs(faces, 0)
    with pytest.raises(InputError, match="at least 2 copies, found 1"):
        exposed_pairs(faces, 0, copies=1)


@pytest.fixture(scope="module")
def drawn() -> FaceSet:
    return draw_faces(SyntheticFacesConfig(people=6, images=2, size=24))


def share(family: Family, exposed: Exposed) -> float:
    return float(top_share(family.scores(exposed, 0), exposed.unknown).mean())


@pytest.mark.parametrize("family", OWN, ids=lambda family: family.name)
def test_drawn_people_are_named_however_faint_they_are(family: Family, drawn: FaceSet) -> None:
    faint = drawn.with_images(np.float32(0.4) + drawn.images / 1000)
    assert share(family, exposed_faces(faint, 0)) > 0.7


@pytest.mark.parametrize("family", OWN, ids=lambda family: family.name)
def test_who_is_whose_is_learned_from_the_enrolment_alone(family: Family, drawn: FaceSet) -> None:
    """With the owners of probe samples turned round by one, everybody is named wrong."""
    exposed = exposed_faces(drawn, 0)
    turned = Exposed(exposed.people, exposed.enrolment, (*exposed.probe[1:], exposed.probe[0]))
    assert share(family, turned) < 0.15


def test_a_seed_fixes_the_networks_scores(drawn: FaceSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_attacker, "_EPOCHS", 1)
    exposed = exposed_faces(drawn.of(drawn.people[:2]), 0)
    scores = [convolutional().scores(exposed, seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2])


def test_the_network_sees_where_and_not_only_how_light(drawn: FaceSet) -> None:
    """Each person is a spot in a corner of their own, on light that says nothing; means of images are alike."""
    rng = np.random.default_rng(0)
    faces = drawn.of(drawn.people[:4])
    corners = np.full((len(faces), 24, 24), 0.5) + 0.1 * rng.normal(size=(len(faces), 1, 1))
    for row, who in enumerate(faces.person):
        top, left = 12 * (who // 2) + rng.integers(2, 7), 12 * (who % 2) + rng.integers(2, 7)
        corners[row, top : top + 4, left : left + 4] += 0.2 * rng.choice([-1, 1])
    spots = faces.with_images(np.clip(corners, 0, 1).astype(np.float32))
    assert share(convolutional(), exposed_faces(spots, 0)) > 0.7


def test_grey_gives_nobody_away(drawn: FaceSet) -> None:
    grey = drawn.with_images(Constant()(drawn.images))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = reidentify(exposed_faces(grey, 0), 0, image_families())
    assert [figures.top1 for figures in found.attackers.values()] == pytest.approx([1 / 6] * 7)
    assert found.is_chance
    assert {CONVOLUTIONAL, GRADIENTS} < set(found.attackers)


def test_attackers_on_images_need_images(drawn: FaceSet) -> None:
    known = exposed_faces(drawn, 0).known
    plain = Owned(type(known.samples)(known.samples.vectors), known.owner)
    for family in OWN:
        assert family.needs_sequences
        with pytest.raises(ValueError, match="in place of series"):
            family.candidates[0](plain, 0)
