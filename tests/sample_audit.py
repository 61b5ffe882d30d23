"""What a made-up audit found, for tests of what is made of it; the numbers are nobody's."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from tff_affect.privacy.audit.finding import Finding
from tff_affect.runs.audit.result import AuditFacts, AuditResult

FACTS = AuditFacts(
    cohort="toy cohort", synthetic=True, subjects=27, run="seed-0", train=12, test=8,
    methods=("federated", "federated + DP"), seed=7, shadows=16,
)  # fmt: skip
ROC = [[0.0, 0.0], [0.0, 0.25], [0.0625, 0.5], [0.25, 0.75], [1.0, 1.0]]


def recognition(target: str, method: str, observer: str, value: float, p: float) -> Finding:
    """A finding of re-identification among 27."""
    figures = {"top1": value, "p": p, "top1_interval": [value - 0.0625, value + 0.0625], "top5": None}
    return Finding(
        attack="re-identification", target=target, method=method, observer=observer, attacker="random forest",
        measure="top-1", value=value, chance=1 / 27, interval=(value - 0.0625, value + 0.0625), p=p,
        sentence=f"a classifier that sees {target} picks the right person out of 27 in {100 * value:.3g} % of cases",
        details={
            "people": 27, "session": "same session", "left out": {},
            "attackers": {"random forest": figures, "nearest mean": figures | {"top1": value / 2}},
        },
    )  # fmt: skip


def membership(method: str, value: float, p: float, refuted: bool = False) -> Finding:
    """A finding of membership inference, with its curve."""
    return Finding(
        attack="membership", target=f'models of "{method}"', method=method, observer="model", refuted=refuted,
        attacker="likelihood ratio", measure="AUC", value=value, chance=0.5, interval=(value - 0.125, value + 0.125),
        p=p, sentence=f"of two people the attacker picks the member in {100 * value:.3g} % of cases",
        details={"roc": ROC, "outsiders": 16, "attackers": {"loss": {"AUC": 0.5}, "likelihood ratio": {"AUC": value}}},
    )  # fmt: skip


def epsilon(method: str, claimed: float, bound: float, refuted: bool, **details: Any) -> Finding:
    """A finding of the gate."""
    sentence = f"claimed epsilon {claimed:.3g} at delta 0.01 for one subject; canaries show at least {bound:.3g}"
    return Finding(
        attack="epsilon", target="privacy mechanism", method=method, observer="model", attacker="canaries in kernel",
        measure="lower bound of epsilon", value=bound, chance=0.0, best=math.inf, level=0.99,
        refuted=refuted, sentence=f"REFUTED: {sentence}" if refuted else f"{sentence}: not refuted",
        details={"claimed": claimed, "accounted": claimed, "one_run_epsilon": bound / 2, "reasons": []} | details,
    )  # fmt: skip


REFUTED = epsilon("federated + DP", 4.0, 9.5, True)
FINDINGS = (
    membership("federated + DP", 0.53125, 0.4375),
    epsilon("centralised + DP", 8.0, 2.25, False),
    recognition('predictions of "federated"', "federated", "outputs", 0.125, 0.03125),
    recognition("action units", "", "data", 0.8125, 0.0001),
    recognition('updates in the first round, "federated"', "federated", "server", 0.6875, 0.0001),
    membership("federated", 0.78125, 0.001),
    REFUTED,
)
RESULT = AuditResult(FACTS, FINDINGS, {"inversion": "expected windows of one client, found none"})
NOTHING = AuditResult(
    replace(FACTS, synthetic=False),
    (
        recognition("action units", "", "data", 0.0625, 0.5),
        membership("federated", 0.5, 0.75),
        epsilon("federated + DP", 4.0, 0.0, False),
    ),
)
"""Where no attacker beat chance."""
