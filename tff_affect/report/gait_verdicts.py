"""What the numbers of a study of gaits come to, in plain sentences that are made from the numbers alone.

Two methods are compared seed by seed, since a seed divides people in the same way for both. What is above on average
need not be so in every seed, and the sentence then says so.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tff_affect.report.over_seeds import numbers
from tff_affect.report.tables import number
from tff_affect.report.tradeoff import percent, significant

FULL = "all losses"
EMOTION_CODE, BIOMETRIC_CODE, RAW, PLAIN = "emotion code", "biometric code", "raw joints", "plain 1-D CNN"
"""What is seen of a gait, and the network that hides nothing, as the tables name them."""
HIDDEN = 1 / 3
"""Up to this share of what raw joints give away of identity it counts as hidden; more people than this share named by
several of their codes are worth a warning."""
SHOWN = 0.7
"""From this share of swapped gaits on, a swap shows what it was given; so does a map what was planted."""
AGREED = 0.6
"""From this rank correlation on, two explanations agree."""
RIGID = 0.01
"""Up to this part of its length a bone may vary and be called rigid."""


def emotion_verdicts(emotion: pd.DataFrame) -> Iterator[str]:
    """Emotion codes against the best shallow learner, and against the plain network."""
    own = _by_seed(emotion[emotion["method"] == EMOTION_CODE], "accuracy")
    if not len(own):
        return
    shallow = emotion[emotion["shallow"].astype(bool)]
    means = shallow.groupby("method")["accuracy"].mean().dropna()
    if len(means):
        best = str(means.idxmax())
        of = "the only shallow learner" if len(means) == 1 else f"the best of {len(means)} shallow learners"
        yield _compared(own, _by_seed(shallow[shallow["method"] == best], "accuracy"), f"{of}, {best}", emotion)
    plain = _by_seed(emotion[emotion["method"] == PLAIN], "accuracy")
    if len(plain):
        yield _compared(own, plain, f"the {PLAIN}", emotion)


def _compared(own: pd.Series, other: pd.Series, name: str, emotion: pd.DataFrame) -> str:
    head = (
        f"emotion of people left out, against {name}: emotion codes are read right in {number(own.mean())} of cycles, "
        f"the other in {number(other.mean())} (guessing: {number(numbers(emotion, 'chance').mean())})"
    )
    apart = (own - other).dropna()
    if not len(apart):
        return f"{head}; no seed has both, so that they are not compared"
    return f"{head}: {_above(apart)} ({apart.mean():+.3f}{_seeds(apart, '+.3f')})"


def _above(apart: pd.Series) -> str:
    if apart.mean() <= 0:
        return "not above"
    if apart.min() <= 0:
        return "above on average, not in every seed"
    return "above in every seed" if len(apart) > 1 else "above"


def identity_verdicts(identity: pd.DataFrame, judged: pd.DataFrame) -> Iterator[str]:
    """What codes of strangers give away, beside raw joints; a warning where several codes of one person say more."""
    raw, code, body = (identity[identity["seen"] == seen] for seen in (RAW, EMOTION_CODE, BIOMETRIC_CODE))
    if len(code):
        yield _hidden(code, raw)
    together = _by_seed(code, "together")
    if together.mean() > HIDDEN:
        yield (
            f"warning: all held-out cycles of a person together name {percent(together.mean())} of people from their "
            "emotion codes; what one code may hide, several under one name do not"
        )
    if len(body):
        yield _body(body, raw, _full(judged))


def _hidden(code: pd.DataFrame, raw: pd.DataFrame) -> str:
    named, whole = _by_seed(code, "top1"), _by_seed(raw, "top1")
    lucky = ", no more than luck explains" if named.mean() <= numbers(code, "luck").mean() else ""
    said = (
        f"identity from emotion codes of strangers: the strongest attacker names {percent(named.mean())} of cycles "
        f"(guessing: {percent(numbers(code, 'chance').mean())}{lucky})"
    )
    shares = (named / whole[whole > 0]).dropna()
    if not len(shares):
        return said
    share = named[shares.index].mean() / whole[shares.index].mean()
    judged = "one third or less" if share <= HIDDEN else "more than one third"
    return f"{said}, {number(share)} of what raw joints give ({percent(whole.mean())}{_seeds(shares)}): {judged}"


def _body(body: pd.DataFrame, raw: pd.DataFrame, full: pd.DataFrame) -> str:
    said = (
        f"biometric codes of strangers: the strongest attacker names {percent(_by_seed(body, 'top1').mean())} of cycles"
    )
    if len(raw):
        said += f" (raw joints: {percent(_by_seed(raw, 'top1').mean())})"
    if not len(full):
        return said
    read, real = (percent(_by_seed(full, name).mean()) for name in ("biometric_emotion", "real_emotion"))
    return f"{said}; the best shallow learner reads emotion right in {read} of them, and in {real} of real gaits"


def swap_verdicts(judged: pd.DataFrame) -> Iterator[str]:
    """Whether gaits that were taken apart can be put together again, also with another's part."""
    full = _full(judged)
    if not len(full):
        return
    drawn, mean = (numbers(full, name).mean() for name in ("reconstruction_cm", "mean_gait_cm"))
    yield (
        f"drawn from their own codes, joints of strangers are {drawn:.2f} cm from where they are: "
        f"{'nearer than' if drawn < mean else 'no nearer than'} the mean gait ({mean:.2f} cm)"
    )
    for measure, what, beside, of in (
        ("swap_emotion", "show the emotion that they were given", "real_emotion", "real gaits, to the same judge"),
        ("swap_identity", "are taken for the person whom they were given", "drawn_identity", "reconstructions"),
    ):
        found = _by_seed(full, measure)
        if len(found):
            reached = "at least" if found.mean() >= SHOWN else "below"
            yield (
                f"swapped gaits {what} in {number(found.mean())} of cases ({of}: "
                f"{number(_by_seed(full, beside).mean())}{_seeds(found)}): {reached} {SHOWN:g}"
            )
    varied = numbers(full, "bone_variation").max()
    if np.isfinite(varied):
        kept = "bones keep their lengths" if varied <= RIGID else "bones do not keep their lengths"
        yield f"{kept}: the one that varies most does so by {significant(100 * varied, 2)} % of its length"


def explanation_verdicts(explained: pd.DataFrame) -> Iterator[str]:
    """Whether explanations find what was planted, agree with occlusion, and need what was learned."""
    if not len(explained):
        return
    planted = _by_seed(explained, "planted_directions")
    if len(planted):
        yield _reaches("explanations rank joints as emotion moves their bones' directions", planted, SHOWN)
    for measure, over in (("occlusion_joints", "joints"), ("occlusion_phases", "joints and phases")):
        found = _by_seed(explained, measure)
        if len(found):
            yield _reaches(f"explanations and occlusion agree over {over}", found, AGREED)
    yield from _random(explained, planted)
    mapped = _by_seed(explained, "mapped")
    if len(mapped) and mapped.mean() < 1:
        yield f"{percent(1 - mapped.mean())} of cycles have no map: nothing in them speaks for their emotion"


def _reaches(said: str, found: pd.Series, least: float) -> str:
    reached = "at least" if found.mean() >= least else "below"
    return f"{said}, rank correlation {_ranged(found)}: {reached} {least:g}"


def _random(explained: pd.DataFrame, planted: pd.Series) -> Iterator[str]:
    """Maps of random weights, which should be neither like the trained network's nor like what was planted."""
    for measure, beside, of, other in (
        ("random_phases", _by_seed(explained, "occlusion_phases"), "the trained network's map", "occlusion's"),
        ("random_planted", planted, "what was planted", "the trained network's"),
    ):
        found = _by_seed(explained, measure)
        apart = (beside - found).dropna()
        if len(apart):
            lower = _above(apart).replace("above", "lower")
            yield (
                f"with random weights the rank correlation with {of} is {_ranged(found)}; beside "
                f"{other} ({number(beside.mean())}) it is {lower}"
            )


def _full(judged: pd.DataFrame) -> pd.DataFrame:
    return judged[judged["left_out"] == FULL] if len(judged) else judged


def _by_seed(rows: pd.DataFrame, measure: str) -> pd.Series:
    """Finite values by seed."""
    return pd.Series(numbers(rows, measure), index=list(rows.get("seed", ())), dtype=float).dropna()


def _ranged(values: pd.Series) -> str:
    """The mean, with the range over seeds where there are several."""
    spread = _seeds(values).removeprefix("; ")
    return f"{number(values.mean())} ({spread})" if spread else number(values.mean())


def _seeds(values: pd.Series, form: str = ".3f") -> str:
    """The range over seeds, where there are several."""
    return f"; by seed {values.min():{form}} to {values.max():{form}}" if len(values) > 1 else ""
