"""How loud the noise of differential privacy is beside what it is added to.

A mean update is at most as long as the clipping norm C, and its noise about ``z sqrt(d) / m`` times C long, with noise
multiplier z, d weights and m clients a round (``z sqrt(d) / sqrt(m)`` where each client adds noise of its own). Noise
is spread over all weights and averages out over rounds while a signal adds up, so that a ratio above 1 is not yet the
end. In the SYNTHETIC trade-off study (LSTM of 24 units, 30 rounds) ratios of 0.65, 1.1 and 1.5 left 97, 93 and 87 % of
the CCC without privacy, 4.7, 7.5 and 13 left 72, 49 and 23 %, 37 left 6 %. The limits here are judgements from these.
"""

from __future__ import annotations

import math

USELESS = 10.0
"""From this ratio on a model learns next to nothing."""
FINE = 1.0
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
        return f"{said}: expect a clear loss"
    return f"{said}: expect a small loss"
