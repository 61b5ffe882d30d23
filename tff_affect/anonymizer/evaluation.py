"""One transformation judged: what emotion is left, and what is left of the face's owner.

Readers and attackers are fresh: they learn from the transformed images and never saw the transformation trained. An
adversary that a transformation was trained against says little (Elazar and Goldberg 2018, arXiv 1808.06640).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tff_affect.anonymizer import emotion_reader, reconstruction
from tff_affect.anonymizer.emotion_reader import read_emotions
from tff_affect.anonymizer.image_attacker import COPIES, DRAWS, exposed_faces, exposed_pairs, image_families
from tff_affect.anonymizer.reconstruction import Pairs, Reconstruction, reconstruct
from tff_affect.config_checks import at_least
from tff_affect.emotion_scores import EmotionScores
from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet
from tff_affect.plain_json import plain
from tff_affect.privacy.audit.attackers import Family
from tff_affect.privacy.audit.exposed import Exposed
from tff_affect.privacy.audit.reidentification import ClosedSet, Figures, reidentify
from tff_affect.privacy.audit.verification import OpenSet, VerificationFigures, verify
from tff_affect.splits import Split
from tff_affect.streams import stream

Transformation = Callable[[np.ndarray], np.ndarray]
"""From ``[image, row, column]`` float32 from 0 to 1 to the same shape and range."""


@dataclass(frozen=True)
class AttackConfig:
    """How much is tried; the same for every transformation that is compared.

    Attributes:
        attackers: Names of the attackers of `image_families` to try; all by default.
        known: Whether people whom the transformation was trained on are attacked too.
        verification: Whether attackers compare people whom they never saw.
        reconstruction: Epochs of the attacker who turns images back, at most; 0 for none.
        reader: Epochs of the emotion reader, at most.
        everyone: Whether all people of the split are attacked together.
        pair: Emotions by which people are known and in which they are to be found, for people with few images; all
            images, divided at random, by default.
        copies: Of each image by which a person is known, where they are known by ``pair``.
        draws: How often each of these is transformed, with noise drawn again, where they are not.
    """

    attackers: tuple[str, ...] | None = None
    known: bool = True
    everyone: bool = False
    verification: bool = True
    reconstruction: int = reconstruction.EPOCHS
    reader: int = emotion_reader.EPOCHS
    pair: tuple[str, str] | None = None
    copies: int = COPIES
    draws: int = DRAWS

    def __post_init__(self) -> None:
        for name, least in (("reader", 1), ("reconstruction", 0), ("copies", 2), ("draws", 1)):
            at_least(f"attacks.{name}", getattr(self, name), least)
        if self.pair is not None and self.pair[0] == self.pair[1]:
            raise InputError(f"attacks.pair: expected two emotions, found {self.pair[0]} twice")
        self.families()

    def families(self) -> list[Family]:
        """The attackers to try.

        Raises:
            InputError: For a name that none has, or without any.
        """
        every = {family.name: family for family in image_families()}
        names = tuple(every) if self.attackers is None else self.attackers
        unknown = [name for name in names if name not in every]
        if unknown or not names:
            raise InputError(f"attackers: expected some of {', '.join(every)}, found {', '.join(unknown) or 'none'}")
        return [every[name] for name in names]

    def expose(self, faces: Pairs, seed: int, transformation: Transformation, draws: int | None = None) -> Exposed:
        """What people are known by and to be found in, as of `exposed_faces` or `exposed_pairs`."""
        if self.pair is None:
            return exposed_faces(faces.original, seed, faces.transformed, transformation, draws or self.draws)
        return exposed_pairs(
            faces.original, seed, *self.pair, copies=self.copies, shown=faces.transformed, transformation=transformation
        )

    def expose_rebuilt(self, faces: Pairs, seed: int) -> Exposed:
        """As `expose`, of people who are known by their originals and are to be found in reconstructions of them."""
        if self.pair is None:
            return exposed_faces(faces.original, seed, faces.transformed)
        return exposed_pairs(faces.original, seed, *self.pair, copies=self.copies, shown=faces.transformed)


@dataclass(frozen=True)
class Evaluation:
    """What was found of one transformation.

    Attributes:
        transformation: Its name.
        strength: Of its kind: the weight of privacy, pixels of blur.
        seed: Of the split, of everything fitted and of all intervals.
        images: Of test people.
        emotion: What a fresh reader reads in test people.
        unseen: Whom attackers name among test people, whom the transformation never saw.
        known: Likewise among as many of the people it was trained on; None where it was not asked.
        everyone: Likewise among all people of the split, some of whom it was trained on; None where it was not asked.
        verification: Whether attackers who never saw two test people tell them apart, after having learnt from
            development and other test people; None with fewer than nine.
        reconstruction: How well it is turned back; None where it was not tried.
        own_emotion: What the transformation's own emotion head reads in test people; None where it has none.
        adversary: Share of images held out of its training that the adversary named against which it was trained;
            None where there was none.
        adversary_people: How many these are; guessing names one in as many.
        synthetic: Whether the faces are drawn.
    """

    transformation: str
    strength: float
    seed: int
    images: int
    emotion: EmotionScores
    unseen: ClosedSet
    known: ClosedSet | None
    everyone: ClosedSet | None
    verification: OpenSet | None
    reconstruction: Reconstruction | None
    own_emotion: EmotionScores | None
    adversary: float | None
    adversary_people: int
    synthetic: bool

    def row(self) -> dict[str, Any]:
        """One row of a table; None where something was not found out."""
        return {
            "transformation": self.transformation,
            "strength": self.strength,
            "seed": self.seed,
            "people": self.unseen.people,
            "images": self.images,
            "emotion_uar": self.emotion.uar,
            "emotion_accuracy": self.emotion.accuracy,
            "emotion_chance": self.emotion.chance,
            "own_emotion_uar": self.own_emotion and self.own_emotion.uar,
            "adversary_accuracy": self.adversary,
            "adversary_chance": None if self.adversary is None else 1 / self.adversary_people,
            **_closed_columns("identity", self.unseen),
            "identity_together": _together(self.unseen),
            "identity_chance": self.unseen.chance,
            "identity_luck": self.unseen.chance_interval[1],
            "identity_p": self.unseen.attackers[self.unseen.strongest].p,
            **_closed_columns("known", self.known),
            "known_chance": self.known and self.known.chance,
            **_closed_columns("everyone", self.everyone),
            "everyone_chance": self.everyone and self.everyone.chance,
            **_open_columns(self.verification),
            **_rebuilt_columns(self.reconstruction),
            "synthetic": self.synthetic,
        }

    def to_json(self) -> dict[str, Any]:
        """Of JSON's types, with the figures of every attacker, without any image."""
        rebuilt = self.reconstruction
        return plain(asdict(replace(self, reconstruction=rebuilt and replace(rebuilt, images=None))))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Evaluation:
        """What `to_json` made; reconstructed images are not among it."""
        parts: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "emotion": _emotions, "own_emotion": _emotions, "unseen": _closed, "known": _closed,
            "everyone": _closed, "verification": _open, "reconstruction": _rebuilt,
        }  # fmt: skip
        read = {name: None if content[name] is None else parse(content[name]) for name, parse in parts.items()}
        return cls(**{**content, **read})


def evaluate(
    transformation: Transformation,
    name: str,
    strength: float,
    faces: FaceSet,
    split: Split,
    seed: int,
    attacks: AttackConfig | None = None,
    own_emotion: EmotionScores | None = None,
    adversary: float | None = None,
    adversary_people: int | None = None,
    people: Sequence[str] | None = None,
) -> Evaluation:
    """Judges a transformation on people whom it never saw.

    Args:
        transformation: Trained already, on nobody but the split's train people.
        name: Of the transformation.
        strength: Of its kind.
        faces: Of all people, not transformed.
        split: Of the people. Emotion readers and whoever turns images back learn from train people, are stopped on
            development people, and are judged by test people.
        seed: Of everything fitted and drawn; the same seed gives the same figures.
        attacks: How much is tried; everything by default.
        own_emotion: For the record: what the transformation's own head reads in test people.
        adversary: For the record: accuracy of the adversary it was trained against.
        adversary_people: Among how many people that chose; the split's train people by default.
        people: On whom the transformation was trained, some of the split's train people; all of them by default.

    Raises:
        InputError: If a part of the split has no images, the transformation gives something else than images of the
            same size from 0 to 1, or there are too few people or images to attack.
    """
    attacks = AttackConfig() if attacks is None else attacks
    parts = _Parts(
        *(_pairs(faces.of(people), transformation) for people in (split.train, split.development, split.test))
    )
    train, development, test = (part.transformed for part in parts)
    unseen = attacks.expose(parts.test, seed, transformation)
    trained_on = parts.train if people is None else _part(parts.train, people)
    # Images that are all alike have no variance to divide by.
    with np.errstate(divide="ignore", invalid="ignore"):
        return Evaluation(
            transformation=name,
            strength=float(strength),
            seed=seed,
            images=len(test),
            emotion=read_emotions(train, development, test, seed, epochs=attacks.reader),
            unseen=reidentify(unseen, seed, attacks.families()),
            known=_known(trained_on, len(unseen.people), seed, attacks, transformation) if attacks.known else None,
            everyone=_everyone(faces, split, seed, attacks, transformation) if attacks.everyone else None,
            verification=_verified(faces, split, seed, attacks, transformation) if attacks.verification else None,
            reconstruction=_turned_back(parts, seed, attacks) if attacks.reconstruction else None,
            own_emotion=own_emotion,
            adversary=adversary,
            adversary_people=len(split.train) if adversary_people is None else adversary_people,
            synthetic=faces.synthetic,
        )


class _Parts(NamedTuple):
    train: Pairs
    development: Pairs
    test: Pairs


def _pairs(faces: FaceSet, transformation: Transformation) -> Pairs:
    if not len(faces):
        raise InputError("faces: expected images of people of each part of the split, found a part without any")
    images = np.asarray(transformation(faces.images), np.float32)
    if images.shape != faces.images.shape:
        raise InputError(
            f"transformation: expected images {list(faces.images.shape)} as it was given, found {list(images.shape)}"
        )
    return Pairs(faces, faces.with_images(images))


def _part(pairs: Pairs, people: Sequence[str]) -> Pairs:
    return Pairs(pairs.original.of(people), pairs.transformed.of(people))


def _everyone(
    faces: FaceSet, split: Split, seed: int, attacks: AttackConfig, transformation: Transformation
) -> ClosedSet:
    whole = _pairs(faces.of((*split.train, *split.development, *split.test)), transformation)
    return reidentify(attacks.expose(whole, seed, transformation), seed, attacks.families())


def _known(train: Pairs, people: int, seed: int, attacks: AttackConfig, transformation: Transformation) -> ClosedSet:
    """Of as many train people as there are test people, so that guessing does as well."""
    every = attacks.expose(train, seed, transformation)
    drawn = np.sort(stream(seed, "known people").permutation(len(every.people))[:people])
    return reidentify(every.of(drawn), seed, attacks.families())


def _verified(
    faces: FaceSet, split: Split, seed: int, attacks: AttackConfig, transformation: Transformation
) -> OpenSet | None:
    """By attackers who learn from development people too, whom the transformation never saw either.

    Each known image is transformed once: four times cost seven times as much, and on drawn faces the error rate was
    within .02.
    """
    unseen = _pairs(faces.of((*split.development, *split.test)), transformation)
    exposed = attacks.expose(unseen, seed, transformation, draws=1)
    tested = np.isin(exposed.people, split.test)
    return verify(exposed.of(np.flatnonzero(tested)), seed, exposed.of(np.flatnonzero(~tested)))


def _turned_back(parts: _Parts, seed: int, attacks: AttackConfig) -> Reconstruction:
    """With whom attackers name in the reconstructions who know people by their originals."""
    found = reconstruct(parts.train, parts.development, parts.test, seed, epochs=attacks.reconstruction)
    test = parts.test.original
    exposed = attacks.expose_rebuilt(Pairs(test, test.with_images(np.asarray(found.images))), seed)
    return replace(found, identity=reidentify(exposed, seed, attacks.families()))


def _closed_columns(prefix: str, found: ClosedSet | None) -> dict[str, Any]:
    attacker = None if found is None else found.strongest
    return {
        f"{prefix}_top1": None if found is None else found.attackers[found.strongest].top1,
        f"{prefix}_attacker": attacker,
    }


def _together(found: ClosedSet) -> float | None:
    """Of the attacker that names most people by all their images together."""
    shares = [figures.together for figures in found.attackers.values() if figures.together is not None]
    return max(shares, default=None)


def _open_columns(found: OpenSet | None) -> dict[str, Any]:
    if found is None:
        return dict.fromkeys(("verification_auc", "verification_eer", "verification_attacker"))
    figures = found.attackers[found.strongest]
    return {
        "verification_auc": figures.auc,
        "verification_eer": figures.eer,
        "verification_attacker": found.strongest,
    }


def _rebuilt_columns(found: Reconstruction | None) -> dict[str, Any]:
    if found is None:
        return dict.fromkeys(("reconstruction_error", "reconstruction_floor", "reconstruction_top1"))
    top1 = _closed_columns("reconstruction", found.identity)["reconstruction_top1"]
    return {
        "reconstruction_error": found.error,
        "reconstruction_floor": found.floor,
        "reconstruction_top1": top1,
    }


def _tuples(content: Mapping[str, Any]) -> dict[str, Any]:
    """With tuples in place of lists, all the way down the lists."""

    def tupled(value: Any) -> Any:
        return tuple(map(tupled, value)) if isinstance(value, list) else value

    return {name: tupled(value) for name, value in content.items()}


def _emotions(content: Mapping[str, Any]) -> EmotionScores:
    return EmotionScores(**_tuples(content))


def _attacked(kind: Callable[..., Any], figures: Callable[..., Any], content: Mapping[str, Any]) -> Any:
    attackers = {name: figures(**_tuples(one)) for name, one in content["attackers"].items()}
    return kind(**{**_tuples(content), "attackers": attackers})


_closed = partial(_attacked, ClosedSet, Figures)
_open = partial(_attacked, OpenSet, VerificationFigures)


def _rebuilt(content: Mapping[str, Any]) -> Reconstruction:
    identity = content["identity"]
    return Reconstruction(**{**content, "identity": None if identity is None else _closed(identity)})
