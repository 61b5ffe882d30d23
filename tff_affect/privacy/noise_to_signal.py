"""How loud the noise of differential privacy is beside what it is added to.

A mean update is at most as long as the clipping norm C, and its noise about ``z sqrt(d) / m`` times C long, with noise
multiplier z, d weights and m clients a round (``z sqrt(d) / sqrt(m)`` where each client adds noise of its own). From 1
upwards the noise is longer than any signal can be, and models trained so have learnt next to nothing (5.3, at 27
subjects); below 0.25 they lose little (0.09); between the two lies what has to be tried (0.56).
"""

from __future__ import annotations

import math

USELESS = 1.0
"""From this ratio on a model learns next to nothing."""
FINE = 0.25
"""Below this ratio it loses little."""


def noise_to_signal(
    noise_multiplier: float, parameters: int | None, clients_per_round: int, mechanism: str = "fixed"
) -> float | None:
    """Length of the noise in the mean update over the clipping norm, the longest that the mean update can be.

    Args:
        noise_multiplier: Standard deviation of the noise over the clipping norm.
        parameters: Trainable weights; None gives None.
        clients_per_round: Expected clients of a round.
        mechanism: With ``local`` each client adds the noise, otherwise their sum is given it once.
    """
    if parameters is None:
        return None
    divisor = math.sqrt(clients_per_round) if mechanism == "local" else clients_per_round
    return noise_multiplier * math.sqrt(parameters) / divisor


def judge(ratio: float | None, clients: int) -> str:
    """A noise-to-signal ratio in plain words; the limits are ``USELESS`` and ``FINE``."""
    if ratio is None:
        return "name the model or its number of weights to compare noise and signal"
    said = f"at {clients:,} subjects this noise is {ratio:.2g} times the signal"
    if ratio >= USELESS:
        return f"{said}: the model will learn next to nothing"
    if ratio >= FINE:
        return f"{said}: borderline, expect a clear loss and try it"
    return f"{said}: fine, expect a small loss"
