"""Attackers that name the person in an image: the audit's on pixels and on gradients, and a convolutional network.

Left out are the audit's gradient boosting, which on pixels was never the strongest (of drawn faces it names 84 % where
the linear discriminant names all), and its recurrent network, which reads series.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from tff_affect.anonymizer.small_network import Scale, Training, classifier, outputs
from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet
from tff_affect.models.classifying import cross_entropy
from tff_affect.privacy.audit import attackers
from tff_affect.privacy.audit.attackers import Family, Learner, Scores, top_share
from tff_affect.privacy.audit.exposed import LEAST_ENROLMENT, SAME_SESSION, Exposed
from tff_affect.privacy.audit.mixed_order import mixed_order
from tff_affect.privacy.audit.samples import Owned, Samples
from tff_affect.streams import stream

CONVOLUTIONAL = "convolutional network"
GRADIENTS = "logistic regression on gradients"
ENROLLED = 0.6
LEAST_IMAGES = 3
COPIES = 12
DRAWS = 4
_EPOCHS, _PATIENCE = 25, 5
_SIDE, _CELL, _DIRECTIONS = 48, 8, 9
_SHIFT, _GAIN, _TILT = 0.04, 0.1, 5.0


def image_families() -> list[Family]:
    """All that are tried on images. Settings that cost much and were hardly ever chosen are not."""
    forest = attackers.forest()
    return [
        attackers.logistic(), attackers.support_vectors(), replace(forest, candidates=forest.candidates[:1]),
        attackers.discriminant(), attackers.nearest_mean(), gradients(), convolutional(),
    ]  # fmt: skip


def convolutional() -> Family:
    """A small convolutional network, stopped where it names late enrolment images best and then trained on all."""
    return Family(CONVOLUTIONAL, (fit_convolutional,), needs_sequences=True)


def gradients() -> Family:
    """Logistic regression on histograms of oriented gradients (Dalal and Triggs 2005): outlines, whatever the light."""
    learners = attackers.logistic().candidates
    return Family(GRADIENTS, tuple(partial(_on_gradients, learner) for learner in learners), needs_sequences=True)


def image_samples(images: np.ndarray) -> Samples:
    """Images ``[image, row, column]`` as samples: their pixels as vectors, and the images in place of series."""
    return Samples(images.reshape(len(images), -1).astype(np.float64), images.astype(np.float32))


def divided(faces: FaceSet, seed: int) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], dict[str, str]]:
    """Which images each person is known by, and which are to be named.

    60 % of a person's images at random are the enrolment, with about as much of each emotion; in whatever order they
    are, early and late ones show all emotions too.

    Args:
        faces: Of all people.
        seed: The same seed divides the same faces in the same way, whatever was done to their images.

    Returns:
        Person -> row numbers of enrolment and probe; and person -> why they are left out.
    """
    rows, left_out = {}, {}
    for number, person in enumerate(faces.people):
        own = np.flatnonzero(faces.person == number)
        if len(own) < LEAST_IMAGES:
            left_out[person] = f"found {len(own)} images, expected at least {LEAST_IMAGES}"
            continue
        own = own[mixed_order(np.array(faces.emotions)[own], stream(seed, "known and unknown images", number))]
        enrolled = min(len(own) - 1, max(LEAST_ENROLMENT, round(ENROLLED * len(own))))
        rows[person] = own[:enrolled], own[enrolled:]
    return rows, left_out


def exposed_faces(
    faces: FaceSet, seed: int, shown: FaceSet | None = None,
    transformation: Callable[[np.ndarray], np.ndarray] | None = None, draws: int = DRAWS,
) -> Exposed:  # fmt: skip
    """What images give away of people who are known by some and to be found in others.

    Args:
        faces: Of all people.
        seed: Of the division, as of `divided`.
        shown: The same faces with other images, in which people are to be found; the first ones by default.
        transformation: Of the known images; None leaves them as they are.
        draws: How often each known image is transformed: who has the transformation and a picture of somebody can draw
            its noise again and again. Where there is no noise, once is enough.

    Raises:
        InputError: With fewer than two people who have at least three images each.
    """
    rows, left_out = divided(faces, seed)
    _enough(len(rows), f"at least {LEAST_IMAGES} images each; give more, or set attacks.pair", left_out)
    probe = (faces if shown is None else shown).images
    return Exposed(
        people=tuple(rows),
        enrolment=tuple(
            image_samples(_drawn(faces.images[known], transformation, draws)) for known, _ in rows.values()
        ),
        probe=tuple(image_samples(probe[unknown]) for _, unknown in rows.values()),
        session=SAME_SESSION,
        left_out=left_out,
    )


def _drawn(images: np.ndarray, transformation: Callable[[np.ndarray], np.ndarray] | None, draws: int) -> np.ndarray:
    """``[image x draw, row, column]``; draws of one image stay together, so that late ones are of other images."""
    if transformation is None:
        return images
    found = transformation(np.repeat(images, draws, axis=0)).reshape(len(images), draws, *images.shape[1:])
    differ = (found != found[:, :1]).any()
    return found.reshape(-1, *images.shape[1:]) if differ else found[:, 0]


def exposed_pairs(
    faces: FaceSet, seed: int, known: str = "neutral", unknown: str = "happy", copies: int = COPIES,
    shown: FaceSet | None = None, transformation: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Exposed:  # fmt: skip
    """What images give away of people who are known by one expression and to be found in another.

    For people with few images, down to one of each. Attackers learn from the known ones and from copies of these that
    are moved, turned, and lighter or harder; they choose their settings on such copies.

    Args:
        faces: Of all people.
        seed: Of the copies.
        known: Emotion of the enrolment.
        unknown: Emotion of the probe.
        copies: Of each known image, itself among them; at least two.
        shown: The same faces with other images, in which people are to be found; the first ones by default.
        transformation: Of the known images and their copies, each by itself: who has the transformation and a picture
            of somebody can make as many transformed ones as they like. None leaves them as they are.

    Raises:
        InputError: With fewer than two people who show both, or fewer than two copies.
    """
    if copies < LEAST_ENROLMENT:
        raise InputError(f"pairs of faces: expected at least {LEAST_ENROLMENT} copies, found {copies}")
    emotions, probe = np.array(faces.emotions), (faces if shown is None else shown).images
    parts, left_out = {}, {}
    for number, person in enumerate(faces.people):
        first, second = ((faces.person == number) & (emotions == emotion) for emotion in (known, unknown))
        if first.any() and second.any():
            rng = stream(seed, "copies of known images", number)
            enrolled = augmented(faces.images[first], copies, rng)
            enrolled = enrolled if transformation is None else transformation(enrolled)
            parts[person] = image_samples(enrolled), image_samples(probe[second])
        else:
            left_out[person] = f"no {unknown if first.any() else known} image"
    _enough(len(parts), f"a {known} and a {unknown} image each", left_out)
    enrolment, probes = zip(*parts.values(), strict=True)
    return Exposed(tuple(parts), enrolment, probes, SAME_SESSION, left_out)


def _enough(people: int, expected: str, left_out: dict[str, str]) -> None:
    if people < 2:
        named = "; ".join(f"{person}: {why}" for person, why in list(left_out.items())[:3])
        raise InputError(
            f"re-identification: expected at least two people with {expected}, found {people}"
            + (f" ({named})" if named else "")
        )


def augmented(images: np.ndarray, copies: int, rng: np.random.Generator) -> np.ndarray:
    """``[copies x image, row, column]``: the images, then copies that are moved, turned, lighter or harder."""
    drawn = [_changed(image, rng) for _ in range(copies - 1) for image in images]
    return np.concatenate([images, np.reshape(drawn, (-1, *images.shape[1:]))]).astype(np.float32)


def _changed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rows, columns = image.shape
    placed = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), _TILT * rng.uniform(-1, 1), 1.0)
    placed[:, 2] += _SHIFT * min(rows, columns) * rng.uniform(-1, 1, size=2)
    turned = cv2.warpAffine(image, placed, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(turned * (1 + _GAIN * rng.uniform(-1, 1)), 0, 1)


def fit_convolutional(known: Owned, seed: int) -> Scores:
    """Trains the network with Adam; the same seed gives the same scores.

    Args:
        known: Samples with images in place of series.
        seed: Of weights, of the order of images and of how they are varied.
    """
    early, late = known.early_and_late()
    trial = _Named(early, seed)
    epochs = trial.training.best_epoch(lambda: _named(trial.scores, late), _EPOCHS, _PATIENCE)
    attacker = _Named(known, seed)
    attacker.training.epochs(epochs)
    return attacker.scores


def _named(scores: Scores, late: Owned) -> float:
    """Share of images named right; among equals, the surer network has named them better."""
    found = scores(late.samples)
    margin = found[np.arange(len(found)), late.owner] - np.logaddexp.reduce(found, axis=1)
    return float(top_share(found, late).mean()) + 1e-6 * float(np.tanh(margin.mean()))


class _Named:
    """A network that names people, and its training."""

    def __init__(self, known: Owned, seed: int) -> None:
        images = _images(known.samples)
        self._scale = Scale.of(images)
        network = classifier(images.shape[1:], known.people, seed)
        self.training = Training(network, cross_entropy(), self._scale(images), known.owner, seed, vary=True)

    def scores(self, samples: Samples) -> np.ndarray:
        """``[samples, people]`` logits."""
        return outputs(self.training.network, self._scale(_images(samples)))


def _images(samples: Samples) -> np.ndarray:
    if samples.sequences is None:
        raise ValueError("an attacker on images learns from samples that have them in place of series")
    return samples.sequences


def _on_gradients(learner: Learner, known: Owned, seed: int) -> Scores:
    """What an attacker finds in histograms of gradients in place of pixels."""
    images = _images(known.samples)
    # As much contrast as there is: the histograms are of whole grey values.
    dark, light = float(images.min()), float(images.max())

    def described(samples: Samples) -> Samples:
        return Samples(_histograms((_images(samples) - dark) / max(light - dark, 1e-6)))

    scores = learner(Owned(described(known.samples), known.owner), seed)
    return lambda samples: scores(described(samples))


def _histograms(images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """``[image, bins]`` from images from 0 to 1 of any size."""
    blocks = (_SIDE, _SIDE), (2 * _CELL, 2 * _CELL), (_CELL, _CELL), (_CELL, _CELL)
    descriptor = cv2.HOGDescriptor(*blocks, _DIRECTIONS)
    whole = [np.round(255 * np.clip(image, 0, 1)).astype(np.uint8) for image in images]
    sized = [cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for image in whole]
    return np.stack([np.ravel(descriptor.compute(image)) for image in sized]).astype(np.float64)
