"""A run's claim under attack: canaries measure its own mechanism and sampling.

Three things make epsilon, and each is bounded from below or counted: what one record moves over the noise
(`tff_affect.privacy.audit.canaries`), how often it comes in, and the rounds that were spent. The bounds together hold
with the level of the gate. That the ledger's theorems are right is taken for granted.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from tff_affect.config import PRIVATE_FEDERATED
from tff_affect.learning.sampling import ClientSampling, derived_seed
from tff_affect.privacy.audit.canaries import Movement, Release, one_run_scores
from tff_affect.privacy.audit.epsilon_bound import LEVEL, Evidence, epsilon_finding, share_bound
from tff_affect.privacy.audit.finding import Finding
from tff_affect.privacy.audit.one_run import best_bound
from tff_affect.privacy.audit.releases import (
    client_hits,
    user_movement,
    user_release,
    window_hits,
    window_movement,
    window_release,
)
from tff_affect.runs.audit.claim import Claim

DRAWS = 4000
"""Of who takes part; fewer where there are thousands of clients."""
_CLIENT_DRAWS = 4_000_000
_ONE_RUN_ROUNDS = 30


def attack_claim(claim: Claim, seed: int, level: float = LEVEL) -> Finding:
    """Measures the run's mechanism and sampling by canaries and compares epsilon with the claim.

    TensorFlow Federated's runtime has to be there. One seed gives the same numbers again, except for the mechanisms
    ``local`` and ``distributed``, whose clients draw noise of their own.

    Args:
        claim: Of a run.
        seed: Of the audit.
        level: Confidence of the bound.
    """
    window = claim.config.privacy.level == "window"
    observer = "server" if window or claim.config.privacy.mechanism == "local" else "model"
    if math.isinf(claim.guarantee.epsilon):
        return _nothing_promised(claim, observer)
    evidence = _window_evidence(claim, seed, level) if window else _user_evidence(claim, seed, level)
    stated = replace(claim.stated, level=level)
    if twice := _twice_in_a_pass(claim):
        stated = replace(stated, contradictions=(*stated.contradictions, twice))
    return epsilon_finding(stated, evidence, PRIVATE_FEDERATED, observer)


def _nothing_promised(claim: Claim, observer: str) -> Finding:
    sentence = "claimed epsilon inf: nothing is promised, and nothing was attacked"
    return Finding(
        "epsilon", "privacy mechanism", PRIVATE_FEDERATED, observer, "none", "lower bound of epsilon", 0.0, 0.0,
        sentence, best=math.inf, level=LEVEL, details={"claimed": "inf", "rounds": claim.recounted.rounds},
    )  # fmt: skip


def _user_evidence(claim: Claim, seed: int, level: float) -> Evidence:
    privacy, sampling = claim.config.privacy, claim.sampling
    sampled = claim.public_sampling.scheme in ("poisson", "fixed-size") and privacy.mechanism != "local"
    level = level if not sampled else (1 + level) / 2
    noise = derived_seed(seed, "audit noise")
    moved = user_movement(privacy, claim.shapes, sampling.expected, sampling.rounds_of_a_pass, noise, level)
    share, draws = _client_share(sampling, seed, level) if sampled else (1.0, 0)
    again = derived_seed(seed, "one run noise")
    release = user_release(privacy, claim.shapes, sampling.expected, again, sampling.rounds_of_a_pass)
    rounds, taken = claim.recounted.rounds, sampling.expected / len(sampling.clients)
    one_run = None if privacy.mechanism == "local" else _one_run(claim, release, rounds, taken, seed)
    return _evidence(moved, share, draws, claim.epsilon_of(moved.mu, share), one_run)


def _window_evidence(claim: Claim, seed: int, level: float) -> Evidence:
    privacy, batch = claim.config.privacy, claim.config.training.batch_size
    sampled, expected = claim.windows > batch, float(min(batch, claim.windows))
    level = level if not sampled else (1 + level) / 2
    moved = window_movement(privacy, claim.shapes, expected, derived_seed(seed, "audit noise"), level)
    share, draws = 1.0, 0
    if sampled:
        hits = window_hits(claim.windows, batch, DRAWS, derived_seed(seed, "audit draws"))
        share, draws = share_bound(hits, DRAWS, level), DRAWS
    release = window_release(privacy, claim.shapes, expected, derived_seed(seed, "one run noise"))
    one_run = _one_run(claim, release, claim.steps, expected / claim.windows, seed)
    return _evidence(moved, share, draws, claim.epsilon_of(moved.mu, share), one_run)


def _evidence(moved: Movement, share: float, draws: int, epsilon: float, one_run: float | None) -> Evidence:
    return Evidence(moved.mu, share, epsilon, moved.group, moved.rounds, draws, moved.direction, one_run)


def _client_share(sampling: ClientSampling, seed: int, level: float) -> tuple[float, int]:
    """Lower bound of the share of rounds that a client is drawn for, and the number of draws."""
    draws = max(500, min(DRAWS, _CLIENT_DRAWS // len(sampling.clients)))
    drawn = replace(sampling, seed=derived_seed(seed, "audit draws"))
    client = sorted(sampling.clients)[derived_seed(seed, "audit client") % len(sampling.clients)]
    return share_bound(client_hits(drawn.cohort, client, draws), draws, level), draws


def _one_run(claim: Claim, release: Release, rounds: int, share: float, seed: int) -> float:
    """Of some of the rounds where there are many; what is known of some is known of all."""
    rounds = min(rounds, _ONE_RUN_ROUNDS)
    scores, included = one_run_scores(release, claim.shapes, rounds, share, derived_seed(seed, "one run"))
    return best_bound(scores, included, claim.guarantee.delta, LEVEL)


def _twice_in_a_pass(claim: Claim) -> str:
    """Whether a client of a tree's pass comes into it more often than once, which its account rules out."""
    rounds = claim.sampling.rounds_of_a_pass
    if claim.config.privacy.mechanism != "tree" or rounds == 1:
        return ""
    passes = -(-claim.recounted.rounds // rounds)
    for first in range(0, passes * rounds, rounds):
        drawn = Counter(c for number in range(first + 1, first + rounds + 1) for c in claim.sampling.cohort(number))
        if max(drawn.values()) > 1:
            return f"a client takes part {max(drawn.values())} times in a pass, of which once is accounted"
    return ""
