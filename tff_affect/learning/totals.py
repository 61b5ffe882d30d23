"""Sums over clients, each term made where the client's sequence is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.client_data import ABSENT
from tff_affect.errors import RunError


def total_over(clients: Sequence[str], at_client: Callable[[tf.Tensor], tf.Tensor]) -> np.ndarray:
    """The sum of what ``at_client`` makes of each client's id, by one federated computation.

    Type: ``({str}@CLIENTS -> <total=tensor, clients=int64>@SERVER)``; only the total is seen.

    Args:
        clients: All of them have to contribute: with one less the sum would be another, and what follows from it.
        at_client: In a graph; zeros for `ABSENT`.

    Raises:
        RunError: If a client's sequence could not be read.
    """

    @tff.tensorflow.computation(np.str_)
    def contribution(client: tf.Tensor) -> OrderedDict:
        there = tf.cast(tf.not_equal(client, ABSENT), tf.int64)
        return OrderedDict(total=at_client(client), clients=there)

    @tff.federated_computation(tff.FederatedType(np.str_, tff.CLIENTS))
    def total(ids: tff.Value) -> tff.Value:
        return tff.federated_sum(tff.federated_map(contribution, ids))

    found = total(list(clients))
    read = int(found["clients"])
    if read != len(clients):
        raise RunError(
            f"expected the sums of {len(clients)} clients, found those of {read}; see which could not be read in the "
            "log, mend that and resume"
        )
    return np.asarray(found["total"])
