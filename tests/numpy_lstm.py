"""An independent oracle: LSTM with a dense head, mean squared error and plain SGD, by hand, in numpy float64.

Weights are in Keras order and layout: kernel ``[features, 4 units]``, recurrent kernel ``[units, 4 units]``, bias, head
kernel ``[units, dimensions]``, head bias; gates in the order input, forget, cell, output.
"""

from __future__ import annotations

import numpy as np

Weights = list[np.ndarray]


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def forward(weights: Weights, features: np.ndarray) -> tuple[np.ndarray, list]:
    """Predictions ``[batch, time, dimension]`` and what the backward pass needs."""
    kernel, recurrent, bias, head, head_bias = weights
    batch, time, _ = features.shape
    units = len(recurrent)
    h, c = np.zeros((batch, units)), np.zeros((batch, units))
    steps, outputs = [], []
    for t in range(time):
        z = features[:, t] @ kernel + h @ recurrent + bias
        i, f, o = (_sigmoid(z[:, k * units : (k + 1) * units]) for k in (0, 1, 3))
        g = np.tanh(z[:, 2 * units : 3 * units])
        before, c = (h, c), f * c + i * g
        h = o * np.tanh(c)
        steps.append((before, i, f, g, o, c, h))
        outputs.append(h @ head + head_bias)
    return np.stack(outputs, axis=1), steps


def gradients(weights: Weights, features: np.ndarray, labels: np.ndarray) -> Weights:
    """Gradients of the mean squared error over all frames and dimensions, by back-propagation through time."""
    _, recurrent, _, head, _ = weights
    predicted, steps = forward(weights, features)
    error = 2 * (predicted - labels) / labels.size
    found = [np.zeros_like(w) for w in weights]
    dh_later, dc_later = 0.0, 0.0
    for t in reversed(range(features.shape[1])):
        (h_before, c_before), i, f, g, o, c, h = steps[t]
        found[3] += h.T @ error[:, t]
        found[4] += error[:, t].sum(0)
        dh = error[:, t] @ head.T + dh_later
        dc = dh * o * (1 - np.tanh(c) ** 2) + dc_later
        gates = (dc * g * i * (1 - i), dc * c_before * f * (1 - f), dc * i * (1 - g**2), dh * np.tanh(c) * o * (1 - o))
        dz = np.concatenate(gates, axis=1)
        found[0] += features[:, t].T @ dz
        found[1] += h_before.T @ dz
        found[2] += dz.sum(0)
        dh_later, dc_later = dz @ recurrent.T, dc * f
    return found


def sgd(
    weights: Weights,
    features: np.ndarray,
    labels: np.ndarray,
    rate: float,
    steps: int,
    proximal_strength: float = 0.0,
) -> Weights:
    """Weights after full-batch steps of plain SGD, with FedProx's pull towards the first weights."""
    start = [np.asarray(w, np.float64) for w in weights]
    current = start
    for _ in range(steps):
        found = gradients(current, features, labels)
        pull = [proximal_strength * (w - w0) for w, w0 in zip(current, start, strict=True)]
        current = [w - rate * (g + p) for w, g, p in zip(current, found, pull, strict=True)]
    return current
