"""What taking gaits apart keeps and hides, on people whom it never saw.

Whoever judges is independent of the networks: the audit's attackers, fitted afresh on codes, and shallow learners of
hand-made features, taught by real gaits alone. Only the emotion of a code is read by the networks' own head, since that
is what somebody gets who receives codes and the head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tff_affect.config import SplitConfig
from tff_affect.emotion_scores import score_emotions
from tff_affect.errors import InputError
from tff_affect.gait.bone_tree import BoneTree
from tff_affect.gait.disentangler import Disentangler
from tff_affect.gait.features import gait_features
from tff_affect.gait.identity import attack_identity, exposed_gaits, identity_families
from tff_affect.gait.shallow import raw_joints, read_others, read_shallow
from tff_affect.gait_set import GaitSet
from tff_affect.privacy.audit.reidentification import reidentify
from tff_affect.streams import stream

if TYPE_CHECKING:
    from tff_affect.gait.federated import FederatedGait

DRAWS = 4
"""Of the noise of each known emotion code, by whoever has the encoder and walks of the person."""
_FOLDS = 4
_CENTIMETRES = 100.0


@dataclass(frozen=True)
class Leak:
    """What is seen of people gives away of who they are.

    Attributes:
        top1: Share of cycles that the strongest attacker names, mean over people.
        attacker: Its name.
        together: Share of people whom an attacker names by all their held-out cycles together, the highest of all.
        chance: By guessing.
        luck: Up to what the strongest of as many attackers gets in 99 % of cases where nobody can be told apart.
        verification_error: Equal error rate of the strongest attacker who never saw two people and says whether two
            cycles are of one; .5 by guessing. None with fewer than nine people.
        people: Who can be named.
        cycles: To be named.
    """

    top1: float
    attacker: str
    together: float
    chance: float
    luck: float
    verification_error: float | None
    people: int
    cycles: int


def leak(gaits: GaitSet, vectors: np.ndarray, seed: int, draws: np.ndarray | None = None) -> Leak:
    """The strongest of fresh attackers on vectors of gaits; see `identity.attack_identity`.

    Args:
        gaits: Whose vectors they are.
        vectors: ``[cycle, number]``.
        seed: Of attackers and of the division of recordings.
        draws: As of `identity.exposed_gaits`.

    Raises:
        InputError: As of that.
    """
    found = attack_identity(gaits, vectors, seed, draws=draws)
    strongest = found.known.attackers[found.known.strongest]
    shares = [figures.together for figures in found.known.attackers.values() if figures.together is not None]
    unknown = found.unknown
    return Leak(
        top1=strongest.top1,
        attacker=found.known.strongest,
        together=max(shares),
        chance=found.known.chance,
        luck=found.known.chance_interval[1],
        verification_error=None if unknown is None else unknown.attackers[unknown.strongest].eer,
        people=found.known.people,
        cycles=found.known.probes,
    )


@dataclass(frozen=True)
class Judgement:
    """How well gaits of unseen people were taken apart and put together.

    Attributes:
        accuracy: Of the head on emotion codes, with their noise.
        uar: Unweighted average recall of the same.
        emotion_code: What emotion codes give away.
        biometric_code: What biometric codes do.
        biometric_emotion: Share of emotions that shallow learners read from biometric codes: the best taught by the
            training people's, in whose codes training left less of it, or the best taught by other strangers',
            whichever reads more.
        reconstruction_cm: Mean distance of a joint from where it is drawn, centimetres.
        mean_gait_cm: Likewise where the training people's mean gait is drawn for everybody.
        swap_emotion: Share of swapped gaits that show the emotion that they were given, to the best shallow learner of
            hand-made features, taught by real gaits of the training people.
        real_emotion: Share of the real gaits whose emotions these were, to the same judge.
        drawn_emotion: Share of reconstructions that show their own emotion, to the same judge.
        swap_identity: Share of swapped gaits of held-out recordings that are taken for the person whose biometric code
            they were given, by the strongest attacker, who knows people by their real enrolment; emotion and person are
            another's.
        drawn_identity: Likewise of reconstructions.
        bone_variation: The largest deviation of a bone's length in time, as a part of its mean, in all reconstructions
            and swapped gaits.
        people: Unseen.
        cycles: Of these.
    """

    accuracy: float
    uar: float
    emotion_code: Leak
    biometric_code: Leak
    biometric_emotion: float
    reconstruction_cm: float
    mean_gait_cm: float
    swap_emotion: float
    real_emotion: float
    drawn_emotion: float
    swap_identity: float
    drawn_identity: float
    bone_variation: float
    people: int
    cycles: int

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Judgement:
        """What ``dataclasses.asdict`` made."""
        leaks = {name: Leak(**content[name]) for name in ("emotion_code", "biometric_code")}
        return cls(**{**content, **leaks})

    def row(self) -> dict[str, Any]:
        """Flat, one row of a table."""
        flat = asdict(self)
        for name in ("emotion_code", "biometric_code"):
            flat |= {f"{name}_{key}": value for key, value in flat.pop(name).items()}
        return flat


def judge(networks: Disentangler, known: GaitSet, unseen: GaitSet, seed: int) -> Judgement:
    """Judges trained networks.

    Args:
        networks: Trained.
        known: Of the people on whom they were trained; teaches who judges emotions.
        unseen: Of other people, with two recordings or more each.
        seed: Of noise, swaps, attackers and intervals.

    Raises:
        InputError: If somebody is in both, or gaits do not do.
    """
    _check_apart(known, unseen)
    codes = networks.emotion_codes(unseen, seed)
    scores = score_emotions(networks.read_codes(codes), unseen, networks.classes, seed)
    biometric = networks.biometric_codes(unseen)
    drawn = networks.reconstruct(unseen, seed)
    donors = _donors(unseen, seed)
    swapped = networks.swap(unseen.part(donors), unseen, seed)
    real = [unseen.part(donors), swapped, drawn]
    read = read_others(known, gait_features(known), [gait_features(shown) for shown in real], seed)
    shares = [
        float(np.mean(np.array(known.classes)[named] == shown.emotions))
        for named, shown in zip(read, real, strict=True)
    ]
    return Judgement(
        accuracy=scores.accuracy,
        uar=scores.uar,
        emotion_code=leak(unseen, codes, seed, _draws(networks.emotion_codes, unseen, seed)),
        biometric_code=leak(unseen, biometric, seed),
        biometric_emotion=_emotion_in(networks.biometric_codes(known), known, biometric, unseen, seed),
        reconstruction_cm=_apart(drawn, unseen.motions),
        mean_gait_cm=_apart(unseen, known.motions.mean(axis=0)),
        swap_emotion=shares[1],
        real_emotion=shares[0],
        drawn_emotion=shares[2],
        swap_identity=_taken_for(unseen, swapped, seed),
        drawn_identity=_taken_for(unseen, drawn, seed),
        bone_variation=max(_varied(networks.tree, made) for made in (drawn, swapped)),
        people=len(unseen.people),
        cycles=len(unseen),
    )


@dataclass(frozen=True)
class SharedJudgement:
    """How well networks that were trained where gaits stay do by unseen people.

    Attributes:
        accuracy: Of the shared head on the shared encoder's codes, with their noise.
        uar: Unweighted average recall of the same.
        emotion_code: What these codes give away.
        reconstruction_cm: Mean distance of a joint from where it is drawn, centimetres, in recordings that are held out
            of the private encoder, which each person makes of the others.
        mean_gait_cm: Likewise where the clients' mean gait is drawn for everybody.
        people: Unseen.
        cycles: Of these.
    """

    accuracy: float
    uar: float
    emotion_code: Leak
    reconstruction_cm: float
    mean_gait_cm: float
    people: int
    cycles: int


def judge_shared(shared: FederatedGait, known: GaitSet, unseen: GaitSet, seed: int) -> SharedJudgement:
    """Judges networks that were trained by federated averaging.

    Args:
        shared: Trained.
        known: Of its clients; for the mean gait alone.
        unseen: Of other people, with two recordings or more each.
        seed: Of noise, attackers and held-out recordings.

    Raises:
        InputError: If somebody is in both, or gaits do not do.
    """
    _check_apart(known, unseen)
    scores = score_emotions(shared.emotion(unseen, seed), unseen, shared.classes, seed)
    held_out = _held_out(unseen, seed)
    distances, of_mean = [], []
    for person in unseen.people:
        own = np.array(unseen.subjects) == person
        if not (own & held_out).any():
            continue
        shown = unseen.part(own & held_out)
        drawn = shared.personal(unseen.part(own & ~held_out)).reconstruct(shown, seed)
        distances.append(_apart(drawn, shown.motions))
        of_mean.append(_apart(shown, known.motions.mean(axis=0)))
    return SharedJudgement(
        accuracy=scores.accuracy,
        uar=scores.uar,
        emotion_code=leak(unseen, shared.emotion_codes(unseen, seed), seed, _draws(shared.emotion_codes, unseen, seed)),
        reconstruction_cm=float(np.mean(distances)),
        mean_gait_cm=float(np.mean(of_mean)),
        people=len(unseen.people),
        cycles=len(unseen),
    )


def _check_apart(known: GaitSet, unseen: GaitSet) -> None:
    both = set(known.people) & set(unseen.people)
    if both:
        raise InputError(f"gait: expected people to judge whom nothing was trained on, found {min(both)} among both")


def _held_out(gaits: GaitSet, seed: int) -> np.ndarray:
    """``[cycle]`` whether it is of the half of a person's recordings, at random, that is not learned from."""
    found = np.zeros(len(gaits), bool)
    for number in range(len(gaits.people)):
        takes = np.unique(gaits.take[gaits.person == number])
        order = stream(seed, "recordings of private encoders", number).permutation(takes)
        found |= np.isin(gaits.take, order[: len(order) // 2])
    return found


def _donors(gaits: GaitSet, seed: int) -> np.ndarray:
    """``[cycle]`` for each cycle one of another person with another emotion."""
    rng, emotion = stream(seed, "whose emotion is given"), gaits.emotion(gaits.classes)
    found = []
    for person, own in zip(gaits.person, emotion, strict=True):
        others = np.flatnonzero((gaits.person != person) & (emotion != own))
        if not len(others):
            raise InputError("gait: expected other people with other emotions to judge swaps, found none")
        found.append(rng.choice(others))
    return np.array(found)


def _taken_for(real: GaitSet, made: GaitSet, seed: int) -> float:
    """Share of made gaits that are taken for whose they shall be, by who knows people by real recordings."""
    # Recordings are divided by the real ones' emotions: a made gait has its recording's identity and not its emotion.
    known, shown = (exposed_gaits(real, raw_joints(gaits), seed) for gaits in (real, made))
    found = reidentify(replace(known, probe=shown.probe), seed, identity_families())
    return found.attackers[found.strongest].top1


def _draws(encode: Callable[[GaitSet, int], np.ndarray], gaits: GaitSet, seed: int) -> np.ndarray:
    """``[draw, cycle, number]`` codes with other noise than those that are attacked."""
    seeds = [int(stream(seed, "noise that an attacker draws", draw).integers(2**31)) for draw in range(DRAWS)]
    return np.stack([encode(gaits, own) for own in seeds])


def _emotion_in(known_codes: np.ndarray, known: GaitSet, codes: np.ndarray, unseen: GaitSet, seed: int) -> float:
    (named,) = read_others(known, known_codes, [codes], seed)
    by_known = float(np.mean(np.array(known.classes)[named] == unseen.emotions))
    folds = SplitConfig("k-fold", folds=min(_FOLDS, len(unseen.people)), seed=seed)
    by_strangers = read_shallow(unseen, codes, seed, folds)
    return max(by_known, *(scores.accuracy for scores in by_strangers.values()))


def _apart(gaits: GaitSet, motions: np.ndarray) -> float:
    return _CENTIMETRES * float(np.linalg.norm(gaits.motions - motions, axis=3).mean())


def _varied(tree: BoneTree, gaits: GaitSet) -> float:
    lengths = np.linalg.norm(tree.vectors(gaits.motions.astype(np.float64)), axis=3)
    return float((lengths.std(axis=1) / lengths.mean(axis=1)).max())
