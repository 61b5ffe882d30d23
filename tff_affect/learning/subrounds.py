"""TensorFlow Federated computations over clients, cut so that several workers can share them.

A round is TensorFlow Federated's own map-reduce form: what the server prepares, what clients do with it, a sum, and
what the server makes of that. Workers get what was prepared, and nothing else of the server's state: not the noise of
a tree, nor what an optimizer keeps. They send back one sum each; sums are merged, noised and applied on the driver's
machine, in an order that does not depend on which worker was first. (`MergeableCompExecutionContext` merges and applies
at the workers in the order of completion, and returns clients' results in that order too.)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property, reduce
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.errors import RunError
from tff_affect.learning.worker_calls import WorkerLostError
from tff_affect.learning.worker_links import WorkerLink
from tff_affect.learning.worker_pool import Task, WorkerPool

_PAUSE = 0.05
"""Seconds before a computation is repeated."""
_MOST_LOSSES = 100
"""How often it is repeated at most; a worker that is just dying may be found lost a few times."""
_KEYS = tff.FederatedType(np.str_, tff.CLIENTS)


def _at_clients(type_spec: tff.Type | None) -> bool:
    """Whether something of a type is placed at clients."""
    return type_spec is not None and tff.types.contains(
        type_spec, lambda t: isinstance(t, tff.FederatedType) and t.placement is tff.CLIENTS
    )


class SubroundContext(tff.framework.SyncContext):
    """Computes over several workers.

    Clients have to be strings: ids, or `training_key` strings.

    Args:
        server: A worker of the driver's own machine, for what happens at the server.
        pool: The workers that hold clients.
    """

    def __init__(self, server: WorkerLink, pool: WorkerPool) -> None:
        self._server, self._pool = server, pool
        self._cuts: dict[int, _Cut] = {}

    def invoke(self, comp: Any, arg: Any) -> Any:
        """The result of a computation.

        Raises:
            RunError: If no worker comes back in time, or all clients fail.
            grpc.RpcError: If the computation fails.
        """
        if not _at_clients(comp.type_signature.parameter):
            return repeated(lambda: self._server.invoke(comp, arg))
        if id(comp) not in self._cuts:
            self._cuts[id(comp)] = _cut(comp)
        return self._cuts[id(comp)].result(arg, self._server, self._pool)


def repeated(compute: Callable[[], Any]) -> Any:
    """What an own worker computes, which is started again if it dies.

    Raises:
        RunError: If it died, or was lost, too often.
    """
    for _ in range(_MOST_LOSSES):
        try:
            return compute()
        except WorkerLostError as error:
            said = str(error)
            time.sleep(_PAUSE)
    raise RunError(f"a computation loses its worker again and again: {said}; see the system's log, then resume")


class _Cut:
    """A computation that is cut. It keeps the computation, by whose identity it is found.

    Args:
        computation: Takes client strings, alone or after something at the server.
    """

    def __init__(self, computation: Any) -> None:
        self.computation = computation
        parameter = computation.type_signature.parameter
        self._alone = isinstance(parameter, tff.FederatedType)
        expected = [_KEYS] if self._alone else [parameter[0], _KEYS]
        if list(parameter if not self._alone else [parameter]) != expected or _at_clients(expected[0]) != self._alone:
            raise NotImplementedError(f"expected a value at the server and strings at clients, found {parameter}")

    def result(self, argument: Any, server: WorkerLink, pool: WorkerPool) -> Any:
        """The result of the computation."""
        raise NotImplementedError

    def _parts_of(self, argument: Any) -> tuple[Any, list[str]]:
        """What is at the server (0 where nothing is), and the client strings."""
        if self._alone:
            return 0, list(argument)
        return argument[0], list(argument[1])


class _ResultsAtClients(_Cut):
    """Its results stay with the clients: each worker computes those of its own."""

    def result(self, argument: Any, server: WorkerLink, pool: WorkerPool) -> list[Any]:
        """A result for each client, in their order."""
        sent, keys = self._parts_of(argument)
        # What it gives are scores or counts of single clients anyhow.
        task = Task(id(self.computation), self.computation, self.computation, () if self._alone else (sent,))
        found: dict[int, Any] = {}
        for part, results in pool.run(task, keys):
            found |= dict(zip(part.positions, results, strict=False))
        return [found[position] for position in range(len(keys))]


class _RoundOfSums(_Cut):
    """Its result is at the server, made of sums over clients."""

    def __init__(self, computation: Any) -> None:
        super().__init__(computation)
        signature = computation.type_signature
        self._stateful = not self._alone and _returns_state(signature)
        self._form = tff.backends.mapreduce.get_map_reduce_form_for_computation(
            computation if self._stateful else _with_state(computation, self._alone)
        )
        self._finish: dict[int, Any] = {}

    @cached_property
    def _at_worker(self) -> Any:
        """``(<prepared@SERVER, {str}@CLIENTS> -> sum@SERVER)``, of the clients of one worker."""
        form = self._form
        total = form.accumulate.type_signature.result

        @tff.tensorflow.computation(total)
        def as_it_is(value: Any) -> Any:
            return value

        @tff.federated_computation(tff.FederatedType(form.prepare.type_signature.result, tff.SERVER), _KEYS)
        def at_worker(prepared: Any, keys: Any) -> Any:
            done = tff.federated_map(form.work, (keys, tff.federated_broadcast(prepared)))
            return tff.federated_aggregate(done[0], form.zero(), form.accumulate, form.merge, as_it_is)

        return at_worker

    @cached_property
    def _probe(self) -> Any:
        """``(<prepared@SERVER, {str}@CLIENTS> -> int32@SERVER)``: does what clients do, and tells how many did it."""
        work = self._form.work

        @tff.tensorflow.computation(work.type_signature.result)
        def one(done: Any) -> Any:
            tensors = tff.structure.flatten(tff.structure.from_container(done, recursive=True))
            with tf.control_dependencies(tensors):
                return tf.constant(1)

        @tff.federated_computation(tff.FederatedType(self._form.prepare.type_signature.result, tff.SERVER), _KEYS)
        def probe(prepared: Any, keys: Any) -> Any:
            done = tff.federated_map(work, (keys, tff.federated_broadcast(prepared)))
            return tff.federated_sum(tff.federated_map(one, done))

        return probe

    def _finish_of(self, count: int) -> Any:
        """``(<state, <sum, ...>> -> <state, output>)`` for so many sums."""
        if count not in self._finish:
            form = self._form
            state, total = form.prepare.type_signature.parameter, form.accumulate.type_signature.result

            @tff.federated_computation(state, tff.StructType([(None, total)] * count))
            def finish(before: Any, sums: Any) -> Any:
                merged = reduce(form.merge, [sums[number] for number in range(count)])
                return form.update(before, (form.report(merged), (), (), ()))

            self._finish[count] = finish
        return self._finish[count]

    def result(self, argument: Any, server: WorkerLink, pool: WorkerPool) -> Any:
        """The result, in the containers of the computation."""
        state, keys = self._parts_of(argument)
        prepared = repeated(lambda: server.call(self._form.prepare, state))
        task = Task(id(self.computation), self._at_worker, self._probe, (prepared,))
        sums = [total for _, total in pool.run(task, keys)]
        found = repeated(lambda: server.call(self._finish_of(len(sums)), state, sums))
        # Without containers all the way down: those of a map-reduce form are not those of the computation.
        after, output = tff.structure.from_container(found, recursive=True)
        signature = self.computation.type_signature.result
        if not self._stateful:
            return tff.types.type_to_py_container(output, signature)
        names = tff.structure.name_list_with_nones(signature)
        return tff.types.type_to_py_container(tff.structure.Struct(zip(names, (after, output), strict=True)), signature)


def _cut(computation: Any) -> _Cut:
    return (_ResultsAtClients if _at_clients(computation.type_signature.result) else _RoundOfSums)(computation)


def _returns_state(signature: tff.FunctionType) -> bool:
    """Whether a computation gives the state that it takes, and something beside it."""
    result = signature.result
    return isinstance(result, tff.StructType) and len(result) == 2 and result[0] == signature.parameter[0]


def _with_state(computation: Any, alone: bool) -> Any:
    """A computation that gives only a result, as one that also gives back what it takes at the server."""
    kept = tff.FederatedType(np.int32, tff.SERVER) if alone else computation.type_signature.parameter[0]

    @tff.federated_computation(kept, _KEYS)
    def stateful(state: Any, keys: Any) -> Any:
        return state, computation(keys) if alone else computation(state, keys)

    return stateful
