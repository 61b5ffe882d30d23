"""How what clients send becomes the mean update of a round.

Three ways, after what is protected: nothing (a weighted mean, and what training measured), windows (each client has
noised its own steps; a plain mean, and nothing else is told) and subjects (clipped updates, noise added to their sum by
`tff_affect.privacy.mechanisms`, and nothing else is told).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff


@dataclass(frozen=True)
class RoundAggregation:
    """An aggregation, and how its result is read.

    Attributes:
        process: Aggregates what the clients send.
        mean: From its result to the mean update, a list of tensors.
        measured: From its result to what training measured; an empty structure where that is withheld.
    """

    process: tff.templates.AggregationProcess
    mean: tff.Computation
    measured: tff.Computation


def weighted_mean(sent: tff.Type) -> RoundAggregation:
    """The weighted mean of updates, float32; all that a client sends travels in one sum, float64.

    Each computation more per client costs as much as a step of a small network.

    Args:
        sent: ``<update=weights, weight=float32>``, each update times its weight; with ``loss``, ``windows`` and
            ``clients`` where they are told.
    """
    process = tff.aggregators.SumFactory().create(sent)

    @tff.tensorflow.computation(sent)
    def mean(total: Any) -> Any:
        return [tf.cast(tf.math.divide_no_nan(u, total["weight"]), tf.float32) for u in total["update"]]

    told = "loss" in tff.structure.name_list(sent)
    return RoundAggregation(process, mean, _measured(sent) if told else _withheld(sent))


def _measured(sent: tff.Type) -> tff.Computation:
    @tff.tensorflow.computation(sent)
    def measured(total: Any) -> Any:
        loss = tf.math.divide_no_nan(total["loss"], tf.cast(total["windows"], tf.float64))
        return OrderedDict(train=OrderedDict(num_clients=total["clients"], num_examples=total["windows"], loss=loss))

    return measured


def private_mean(sent: tff.Type, factory: tff.aggregators.UnweightedAggregationFactory) -> RoundAggregation:
    """The mean update as a private mechanism gives it.

    Args:
        sent: Type of an update, a list of tensors.
        factory: The mechanism; its result is the mean, over a fixed number of clients.
    """
    process = factory.create(sent)

    @tff.tensorflow.computation(process.next.type_signature.result.result.member)
    def mean(found: Any) -> Any:
        return [tf.identity(update) for update in found]

    return RoundAggregation(process, mean, _withheld(process.next.type_signature.result.result.member))


def _withheld(total: tff.Type) -> tff.Computation:
    @tff.tensorflow.computation(total)
    def nothing(_: Any) -> Any:
        return OrderedDict()

    return nothing
