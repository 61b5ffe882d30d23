"""Several workers that compute parts of a round: a part whose worker is lost moves on, a client that fails drops out.

Every wait has an end: a call by its deadline, a worker that is silent by its heartbeat, clients that nobody else holds
after ``deadlines.returning``, and a part that gets nowhere after ``deadlines.give_up``, with one error.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc

from tff_affect.client_data import ABSENT
from tff_affect.errors import RunError
from tff_affect.learning.failing_clients import FailingClients, find_failing
from tff_affect.learning.placement import Part, Placement, Slots, client_of
from tff_affect.learning.worker_calls import Traffic, WorkerLostError, reason_of
from tff_affect.learning.worker_links import WorkerLink
from tff_affect.tff_context import ENDED
from tff_affect.workers.hosts import Deadlines

_LOG = logging.getLogger(__name__)
_MOST_LOSSES = 10
"""How often a part may lose the worker that computes it."""
_PAUSE = 0.1
"""Seconds between looks at whether a worker is back."""


@dataclass(frozen=True)
class Task:
    """A computation at clients.

    Attributes:
        kind: Number of the computation; each has a number of slots of its own.
        computation: What a worker computes.
        probe: Takes the same, fails where it fails, and tells nothing that was made of a client's data but that it
            could be made: a client that fails is sought among others, and nobody's update may be seen alone for that.
        sent: Its arguments before the keys, the same for all parts.
    """

    kind: int
    computation: Any
    probe: Any
    sent: tuple[Any, ...] = ()


@dataclass
class _Patience:
    """What a part has cost so far.

    Attributes:
        waited: Seconds without a worker.
        losses: Workers lost while they computed it.
        late: Of those, how many answered and only took too long.
    """

    waited: float = 0.0
    losses: int = 0
    late: int = 0

    def lose(self, error: WorkerLostError) -> None:
        """A worker was lost.

        Raises:
            RunError: If it is the second time that it only took too long: it would do so again.
        """
        self.losses += 1
        self.late += error.late
        if self.late > 1:
            raise RunError(f"{error}, twice; raise it in the file that lists the workers, and resume")

    def wait(self, ending: threading.Event) -> None:
        """Waits a moment.

        Raises:
            RunError: If everything ends meanwhile.
        """
        began = time.monotonic()
        if ending.wait(_PAUSE):
            raise RunError(ENDED)
        self.waited += time.monotonic() - began


class WorkerPool:
    """Workers that share the clients.

    Args:
        links: The workers, in the order of their numbers.
        placement: Who holds whom.
        deadlines: What is waited for.
    """

    def __init__(self, links: Sequence[WorkerLink], placement: Placement, deadlines: Deadlines) -> None:
        self.links = tuple(links)
        self.placement = placement
        self._deadlines = deadlines
        self._slots, self._failing, self._ending = Slots(), FailingClients(), threading.Event()
        self._threads = ThreadPoolExecutor(4 * len(links), "worker-pool")
        # Workers that were waited for in vain: until they are back, no round waits for them again.
        self._missed: set[int] = set()
        # Clients that no live worker holds.
        self._away: set[str] = set()

    @property
    def traffic(self) -> Traffic:
        """Bytes of the messages of all workers so far."""
        return sum((link.traffic for link in self.links), Traffic())

    def close(self) -> None:
        """Ends the threads: whoever waits for a worker waits no more."""
        self._ending.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def run(self, task: Task, keys: Sequence[str]) -> list[tuple[Part, Any]]:
        """Computes all parts of a round side by side.

        Returns:
            Parts, in an order that does not depend on which was done first, each with its result. The result of a part
            has a value for each of its keys, and then for those that filled it up. A client that failed at one worker
            and not at another stands in two parts, the later of which has its value.

        Raises:
            RunError: If no worker came back in time, or the computation fails at every client.
            grpc.RpcError: If the computation fails without any client.
        """
        parts = self.placement.parts(keys)
        futures = [self._threads.submit(self._computed, part, task) for part in parts]
        done = [found for future in futures for found in future.result()]
        clients = {client for part in parts for client in part.clients}
        took_part = {client for part, _ in done for client in part.clients}
        self._return(took_part)
        if clients and not took_part and not clients & self._away:
            client = min(clients)
            reasons = (self._failing.get(link.name, client) for link in self.links)
            said = next((failure.reason for failure in reasons if failure is not None), "")
            raise RunError(f"no client can take part; client {client}: {said}")
        return done

    def _return(self, clients: set[str]) -> None:
        for client in sorted(clients & self._away):
            self._away.discard(client)
            _LOG.warning("client %s takes part again", client)

    def _computed(self, part: Part, task: Task) -> list[tuple[Part, Any]]:
        """A part with its result; several where it had to be divided among workers."""
        patience = _Patience()
        while patience.losses <= _MOST_LOSSES and patience.waited <= self._deadlines.give_up:
            worker = self._living(part)
            if worker is not None:
                try:
                    return self._attempt(worker, part, task)
                except WorkerLostError as error:
                    _LOG.info("worker %s was lost: %s", self.links[worker].name, error)
                    patience.lose(error)
                    patience.wait(self._ending)
            elif self._waited_enough(part, patience) and (divided := self._divided(part)):
                return [found for smaller in divided for found in self._computed(smaller, task)]
            else:
                patience.wait(self._ending)
        raise RunError(f"a round cannot be computed: {self._complaint(part)}; start the workers and resume")

    def _waited_enough(self, part: Part, patience: _Patience) -> bool:
        if patience.waited > self._deadlines.returning:
            self._missed.add(part.home)
        return part.home in self._missed

    def _living(self, part: Part) -> int | None:
        """A worker that can be reached and holds all clients of a part: its own, or the first of the others."""
        others = [number for number in range(len(self.links)) if number != part.home]
        for number in (part.home, *others):
            holds_all = all(self.placement.holds(number, client) for client in part.clients)
            if holds_all and self.links[number].reachable():
                self._missed.discard(number)
                return number
        return None

    def _divided(self, part: Part) -> list[Part]:
        """The part in smaller ones for the workers that live; its clients that none of them holds are left out.

        Empty where no worker lives.
        """
        living = [number for number, link in enumerate(self.links) if link.reachable()]
        if not living:
            return []
        found = self._shared_out(part, range(len(part.keys)), living)
        lost = sorted(set(range(len(part.keys))) - {place for places in found.values() for place in places})
        for client in {client_of(part.keys[place]) for place in lost} - self._away:
            self._away.add(client)
            _LOG.warning("client %s takes no part: no live worker holds it (%s)", client, self._complaint(part))
        left_out = [_piece(part, living[0], lost, (ABSENT,) * len(part.keys))] if lost else []
        return [_piece(part, holder, places, part.keys) for holder, places in found.items()] + left_out

    def _shared_out(self, part: Part, places: Iterable[int], workers: Sequence[int]) -> dict[int, list[int]]:
        """Some clients of a part, by the first of some workers that holds each."""
        found: dict[int, list[int]] = {}
        for place in places:
            holder = next((n for n in workers if self.placement.holds(n, client_of(part.keys[place]))), None)
            if holder is not None:
                found.setdefault(holder, []).append(place)
        return found

    def _complaint(self, part: Part) -> str:
        """Which workers should hold a part, and why they do not answer."""
        wanted = sorted({number for client in part.clients for number in self.placement.holders_of(client)})
        links = [self.links[number] for number in wanted or range(len(self.links))]
        return "; ".join(f"worker {link.name}: {link.last_words}" for link in links)

    def _attempt(
        self, worker: int, part: Part, task: Task, tried: frozenset[int] = frozenset()
    ) -> list[tuple[Part, Any]]:
        """A part as one worker computed it, without the clients that fail there; those as others that hold them did."""
        link = self.links[worker]

        def computed(computation: Any, keys: Sequence[str]) -> Any:
            return link.call(computation, *task.sent, self._slots.filled(task.kind, worker, keys))

        def reason(places: Sequence[int]) -> str | None:
            keys = [key if place in places else ABSENT for place, key in enumerate(part.keys)]
            return _failure(lambda: computed(task.probe, keys))

        failing = self._known(link.name, part, reason)
        try:
            result = computed(task.computation, part.without(failing).keys)
        except WorkerLostError:
            raise
        except grpc.RpcError:
            failing |= find_failing(reason, [place for place in range(len(part.keys)) if place not in failing])
            result = computed(task.computation, part.without(failing).keys)
        self._note(link.name, part, failing)
        others = [n for n, other in enumerate(self.links) if n not in {worker, *tried} and other.reachable()]
        found = [(part.without(failing), result)]
        for holder, places in self._shared_out(part, failing, others).items():
            found += self._attempt(holder, _piece(part, holder, places, part.keys), task, tried | {worker})
        return found

    def _known(self, worker: str, part: Part, reason: Callable[[Sequence[int]], str | None]) -> dict[int, str]:
        """Of the clients that failed before, those that are not due to be tried again, or fail again."""
        found = {}
        for place, key in enumerate(part.keys):
            failure = self._failing.get(worker, client_of(key))
            said = failure and (reason([place]) if failure.due else failure.reason)
            if said:
                found[place] = said
        return found

    def _note(self, worker: str, part: Part, failing: Mapping[int, str]) -> None:
        for place, key in enumerate(part.keys):
            client = client_of(key)
            failure = self._failing.get(worker, client)
            if place not in failing:
                self._failing.clear(worker, client)
            elif failure is None or failure.due:
                self._failing.add(worker, client, failing[place])


def _piece(part: Part, home: int, places: Sequence[int], keys: Sequence[str]) -> Part:
    """Some places of a part, with keys of theirs."""
    return Part(home, tuple(part.positions[place] for place in places), tuple(keys[place] for place in places))


def _failure(compute: Callable[[], Any]) -> str | None:
    """Why a computation fails; None if it does not."""
    try:
        compute()
    except WorkerLostError:
        raise
    except grpc.RpcError as error:
        return reason_of(error)
    return None
