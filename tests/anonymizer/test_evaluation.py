"""A transformation judged as a whole: between everything and nothing, and into tables and back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from data_prep.synthetic_faces import SyntheticFacesConfig, draw_faces
from tff_affect.anonymizer import evaluation
from tff_affect.anonymizer.baselines import Constant, Unchanged
from tff_affect.anonymizer.evaluation import AttackConfig, Evaluation, evaluate
from tff_affect.errors import InputError
from tff_affect.privacy.audit.attackers import DISCRIMINANT, LOGISTIC, NEAREST
from tff_affect.privacy.audit.exposed import Exposed
from tff_affect.splits import Split

EVERY = draw_faces(SyntheticFacesConfig(people=26, images=3, size=24, strength=(0.9, 1.1)))
FACES = EVERY.part(np.isin(EVERY.emotions, ("happy", "neutral", "surprised")))
SPLIT = Split(FACES.people[:14], FACES.people[14:17], FACES.people[17:])
CHEAP = AttackConfig(attackers=(NEAREST, DISCRIMINANT), reconstruction=4, reader=5)
LEAST = replace(CHEAP, attackers=(NEAREST,), known=False, verification=False, reconstruction=0, reader=1)
COLUMNS = [
    "transformation",
    "strength",
    "seed",
    "people",
    "images",
    "emotion_uar",
    "emotion_accuracy",
    "emotion_chance",
    "own_emotion_uar",
    "adversary_accuracy",
    "adversary_chance",
    "identity_top1",
    "identity_attacker",
    "identity_together",
    "identity_chance",
    "identity_luck",
    "identity_p",
    "known_top1",
    "known_attacker",
    "known_chance",
    "everyone_top1",
    "everyone_attacker",
    "everyone_chance",
    "verification_auc",
    "verification_eer",
    "verification_attacker",
    "reconstruction_error",
    "reconstruction_floor",
    "reconstruction_top1",
    "synthetic",
]


@pytest.fixture(scope="module")
def unchanged() -> Evaluation:
    return evaluate(Unchanged(), "unchanged", 0, FACES, SPLIT, 1, CHEAP)


@pytest.fixture(scope="module")
def constant() -> Evaluation:
    return evaluate(Constant(), "constant", 0, FACES, SPLIT, 1, CHEAP)


def test_unchanged_faces_give_emotion_and_identity(unchanged: Evaluation) -> None:
    row = unchanged.row()
    assert row["emotion_uar"] > 0.5
    assert row["identity_top1"] > 0.7
    assert row["known_top1"] > 0.7
    assert row["identity_p"] < 0.01
    assert row["identity_together"] > 0.9
    assert row["verification_auc"] > 0.75
    assert row["reconstruction_error"] < 0.8 * row["reconstruction_floor"]
    assert row["reconstruction_top1"] > 0.3


def test_grey_gives_neither(constant: Evaluation) -> None:
    row = constant.row()
    assert row["emotion_uar"] == row["emotion_chance"] == pytest.approx(1 / 3)
    for column in ("identity_top1", "known_top1", "identity_chance", "reconstruction_top1"):
        assert row[column] == pytest.approx(1 / 9)
    assert row["identity_p"] == 1
    assert (row["verification_auc"], row["verification_eer"]) == (0.5, 0.5)
    assert row["reconstruction_error"] == pytest.approx(row["reconstruction_floor"], rel=0.1)


def test_a_row_says_what_was_judged_and_by_whom(unchanged: Evaluation) -> None:
    row = unchanged.row()
    assert list(row) == COLUMNS
    assert (row["transformation"], row["strength"], row["seed"]) == ("unchanged", 0.0, 1)
    assert (row["people"], row["images"], row["synthetic"]) == (9, 81, True)
    found = unchanged.unseen.attackers
    assert row["identity_top1"] == max(figures.top1 for figures in found.values())
    assert found[row["identity_attacker"]].top1 == row["identity_top1"]
    assert set(found) == {NEAREST, DISCRIMINANT}
    assert row["own_emotion_uar"] is row["adversary_accuracy"] is row["adversary_chance"] is None


def test_what_was_not_asked_is_empty_in_the_row() -> None:
    found = evaluate(Unchanged(), "unchanged", 0, FACES, SPLIT, 0, LEAST)
    assert found.known is found.everyone is found.verification is found.reconstruction is None
    row = found.row()
    assert list(row) == COLUMNS
    prefixes = ("known_", "everyone_", "verification_", "reconstruction_", "own_", "adversary_")
    empty = {name for name in COLUMNS if name.startswith(prefixes)}
    assert {name for name, value in row.items() if value is None} == empty
    assert Evaluation.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_figures_of_the_trained_transformation_are_kept(unchanged: Evaluation) -> None:
    told = replace(LEAST, reader=1)
    found = evaluate(Unchanged(), "adversary", 0.5, FACES, SPLIT, 0, told, unchanged.emotion, 0.25)
    row = found.row()
    assert row["own_emotion_uar"] == unchanged.emotion.uar
    assert (row["adversary_accuracy"], row["adversary_chance"]) == (0.25, 1 / 14)
    assert Evaluation.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_json_keeps_every_figure_and_no_image(unchanged: Evaluation) -> None:
    content = json.loads(json.dumps(unchanged.to_json(), allow_nan=False))
    again = Evaluation.from_json(content)
    assert again == unchanged
    assert again.row() == unchanged.row()
    assert unchanged.reconstruction is not None
    assert again.reconstruction is not None
    assert unchanged.reconstruction.images is not None
    assert again.reconstruction.images is None
    assert len(json.dumps(content)) < 20_000


def test_attackers_meet_the_right_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many of the train people as of the test people, and each attack on images of its own kind."""
    met: list[Exposed] = []
    attack = evaluation.reidentify

    def watched(exposed: Exposed, *arguments: object) -> object:
        met.append(exposed)
        return attack(exposed, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluation, "reidentify", watched)
    config = replace(LEAST, known=True, everyone=True, reconstruction=1)
    found = evaluate(lambda images: images / 2, "half", 1, FACES, SPLIT, 5, config)
    unseen, known, everyone, rebuilt = met
    assert set(everyone.people) == set(FACES.people)
    assert found.everyone is not None
    assert found.row()["everyone_chance"] == 1 / 26
    assert Evaluation.from_json(json.loads(json.dumps(found.to_json()))).everyone == found.everyone
    assert unseen.people == rebuilt.people == SPLIT.test
    assert len(known.people) == 9
    assert set(known.people) < set(SPLIT.train)
    assert known.people == tuple(sorted(known.people))
    some = evaluate(
        Unchanged(), "federated", 1, FACES, SPLIT, 5, replace(LEAST, known=True), None, 0.5, 4, SPLIT.train[:10]
    )
    assert set(met[-1].people) < set(SPLIT.train[:10])
    assert some.row()["adversary_chance"] == 0.25
    assert known.people != SPLIT.train[:9]
    np.testing.assert_allclose(unseen.known.samples.vectors * 2, rebuilt.known.samples.vectors)
    assert found.reconstruction is not None
    images = np.asarray(found.reconstruction.images).reshape(81, -1)
    probes = rebuilt.unknown.samples.vectors
    assert all((np.abs(images - probe).max(axis=1) < 1e-6).any() for probe in probes)


def test_people_with_one_image_of_each_kind_are_attacked_by_pairs() -> None:
    two = FACES.part(np.array([name.endswith(("neutral/0.png", "happy/0.png")) for name in FACES.files]))
    with pytest.raises(InputError, match="at least 3 images each"):
        evaluate(Unchanged(), "unchanged", 0, two, SPLIT, 0, LEAST)
    config = replace(LEAST, pair=("neutral", "happy"), copies=5, known=True, reconstruction=1)
    found = evaluate(Unchanged(), "unchanged", 0, two, SPLIT, 0, config)
    assert (found.unseen.people, found.unseen.probes) == (9, 9)
    assert found.known is not None
    assert found.known.people == 9
    assert found.emotion.chance == 0.5


def test_fewer_than_nine_people_are_not_verified() -> None:
    split = Split(SPLIT.train, SPLIT.development, SPLIT.test[:8])
    config = replace(LEAST, verification=True, known=True)
    found = evaluate(Unchanged(), "unchanged", 0, FACES, split, 0, config)
    assert found.verification is None
    assert found.known is not None
    assert found.known.people == found.unseen.people == 8


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda images: images[:, ::2, ::2], r"transformation: expected images \[\d+, 24, 24\].*, 12, 12\]"),
        (lambda images: images + 1, "expected grey values from 0 to 1"),
        (lambda images: images * np.nan, "expected grey values from 0 to 1"),
    ],
)
def test_a_transformation_that_gives_something_else_is_refused(wrong: evaluation.Transformation, said: str) -> None:
    with pytest.raises(InputError, match=said):
        evaluate(wrong, "wrong", 0, FACES, SPLIT, 0, LEAST)


def test_settings_are_checked_before_anything_is_tried() -> None:
    with pytest.raises(InputError, match=f"expected some of {LOGISTIC}.*found guesser"):
        AttackConfig(attackers=(NEAREST, "guesser"))
    with pytest.raises(InputError, match="found none"):
        AttackConfig(attackers=())
    with pytest.raises(InputError, match="a part without any"):
        evaluate(Unchanged(), "unchanged", 0, FACES, Split(("nobody",), SPLIT.development, SPLIT.test), 0, LEAST)
