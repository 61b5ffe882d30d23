"""Which worker computes what when workers are lost and clients fail; with workers that compute in this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import grpc
import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from tff_affect.errors import RunError
from tff_affect.learning.placement import Placement, client_of
from tff_affect.learning.worker_calls import Traffic, WorkerLostError
from tff_affect.learning.worker_pool import Task, WorkerPool
from tff_affect.workers.hosts import Deadlines

QUICK = Deadlines(heartbeat=0.1, silent=0.2, call=5.0, returning=0.3, give_up=1.5)
TASK = Task(1, "the computation", "the probe", ("weights",))


class Failed(grpc.RpcError):
    pass


class FakeLink:
    """A worker that gives back the clients it was asked for.

    Attributes:
        lives: Whether it can be reached.
        losses: How many of its next calls are lost.
        bad: Clients whose computation fails.
        calls: The clients of every call whose results are seen.
        probes: Those of every other call.
    """

    def __init__(self, name: str) -> None:
        self.name, self.lives, self.losses = name, True, 0
        self.bad: dict[str, str] = {}
        self.calls: list[list[str]] = []
        self.probes: list[list[str]] = []
        self.last_words, self.traffic = f"{name} is silent", Traffic()

    def reachable(self) -> bool:
        return self.lives

    def call(self, computation: Any, *arguments: Any) -> list[str]:
        assert computation in ("the computation", "the probe")
        assert arguments[0] == "weights"
        clients = [client_of(key) for key in arguments[1]]
        calls = self.calls if computation == "the computation" else self.probes
        calls.append([client for client in clients if client])
        if self.losses:
            self.losses -= 1
            raise WorkerLostError("it was killed")
        for client in clients:
            if client in self.bad:
                raise Failed(f"{self.bad[client]}\nmore lines")
        return [f"{client} at {self.name}" for client in clients]


@pytest.fixture
def links() -> list[FakeLink]:
    return [FakeLink(name) for name in ("w0", "w1", "w2")]


@pytest.fixture
def pools(links: list[FakeLink]) -> Iterator[Any]:
    made: list[WorkerPool] = []

    def make(holders: dict[str, tuple[int, ...]] | None = None, deadlines: Deadlines = QUICK) -> WorkerPool:
        made.append(WorkerPool(links, Placement(len(links), holders or {}), deadlines))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def computed(pool: WorkerPool, clients: Sequence[str]) -> dict[str, str]:
    """Client -> the worker that computed it, of those that took part."""
    found = {}
    for part, results in pool.run(TASK, [f"{client}#1" for client in clients]):
        for key, result in zip(part.keys, results, strict=False):
            if client_of(key):
                client, worker = result.split(" at ")
                assert client == client_of(key)
                found[client] = worker
    return found


def test_each_worker_computes_its_own(pools: Any, links: list[FakeLink]) -> None:
    pool = pools({"a": (0,), "b": (1,), "c": (2,), "d": (1,)})
    assert computed(pool, "abcd") == {"a": "w0", "b": "w1", "c": "w2", "d": "w1"}
    assert [link.calls for link in links] == [[["a"]], [["b", "d"]], [["c"]]]


def test_a_lost_part_moves_as_a_whole_to_a_replica(pools: Any, links: list[FakeLink]) -> None:
    pool = pools(dict.fromkeys("abcdef", (0, 1, 2)))
    before = {part.keys for part in pool.placement.parts("abcdef")}
    links[1].lives = False
    assert sorted(computed(pool, "abcdef")) == list("abcdef")
    assert {tuple(call) for link in links for call in link.calls} == before, "other sums would be other bits"
    assert not links[1].calls


def test_a_call_that_is_lost_is_made_again(pools: Any, links: list[FakeLink]) -> None:
    links[0].losses = 3
    assert computed(pools({"a": (0,)}), "a") == {"a": "w0"}
    assert links[0].calls == [["a"]] * 4


def test_a_part_that_kills_every_worker_ends_with_one_error(pools: Any, links: list[FakeLink]) -> None:
    links[0].losses = 1000
    with pytest.raises(RunError, match="a round cannot be computed: worker w0"):
        computed(pools({"a": (0,)}, replace(QUICK, give_up=60.0)), "a")
    assert 3 < len(links[0].calls) < 30


def test_a_worker_that_returns_in_time_loses_nobody(pools: Any, links: list[FakeLink]) -> None:
    links[0].lives = False
    timer = threading.Timer(0.3, setattr, (links[0], "lives", True))
    timer.start()
    assert computed(pools({"a": (0,), "b": (1,)}, replace(QUICK, returning=30.0, give_up=60.0)), "ab") == {
        "a": "w0",
        "b": "w1",
    }
    timer.join()


def test_clients_that_nobody_holds_drop_out_and_come_back(
    pools: Any, links: list[FakeLink], caplog: pytest.LogCaptureFixture
) -> None:
    pool = pools({"a": (0, 1), "b": (0,), "c": (2,), "d": (0, 2)})
    links[0].lives = False
    with caplog.at_level(logging.WARNING):
        assert computed(pool, "abcd") == {"a": "w1", "c": "w2", "d": "w2"}
        assert "client b takes no part: no live worker holds it (worker w0: w0 is silent" in caplog.text
        assert caplog.text.count("takes no part") == 1
        caplog.clear()
        assert computed(pool, "abcd") == {"a": "w1", "c": "w2", "d": "w2"}
        assert caplog.text == "", "said once"
        links[0].lives = True
        links[0].calls.clear()
        assert computed(pool, "abcd")["b"] == "w0"
        assert "client b takes part again" in caplog.text
        assert (links[0].probes, len(links[0].calls)) == ([], 1), "a client that returns is not computed alone"


def test_without_any_worker_it_ends_with_one_error(pools: Any, links: list[FakeLink]) -> None:
    for link in links:
        link.lives = False
    with pytest.raises(RunError, match=r"worker w0: w0 is silent; worker w1: .*; start the workers and resume"):
        computed(pools(), "abc")
    assert all(link.calls == [] for link in links)


@settings(deadline=None, max_examples=60)
@given(st.sets(st.sampled_from("abcdefghij"), max_size=9))
def test_exactly_the_failing_clients_drop_out(bad: set[str]) -> None:
    links = [FakeLink(name) for name in ("w0", "w1")]
    for link in links:
        link.bad = dict.fromkeys(bad, "the stored sequence is damaged")
    pool = WorkerPool(links, Placement(2), QUICK)  # type: ignore[arg-type]
    try:
        assert sorted(computed(pool, "abcdefghij")) == sorted(set("abcdefghij") - bad)
        seen = [call for link in links for call in link.calls if not set(call) & bad]
        assert len(seen) <= 4, "no more sums than parts are seen"
        for link in links:
            link.calls.clear()
            link.probes.clear()
        assert sorted(computed(pool, "abcdefghij")) == sorted(set("abcdefghij") - bad)
        assert not any(link.probes for link in links), "a client that failed just now is not tried at once"
        for link in links:
            link.bad = {}
        make_due(pool)
        assert sorted(computed(pool, "abcdefghij")) == list("abcdefghij")
        assert all(len(call) == 1 for link in links for call in link.probes), "it is tried alone, unseen"
    finally:
        pool.close()


def make_due(pool: WorkerPool) -> None:
    """As if the time had come to try those again that failed."""
    failures = pool._failing._failures
    for key, failure in failures.items():
        failures[key] = replace(failure, again=0.0)


def test_a_client_that_fails_at_one_worker_is_computed_at_another(pools: Any, links: list[FakeLink]) -> None:
    links[0].bad = {"a": "the stored sequence is damaged"}
    pool = pools({"a": (0, 1), "b": (0,), "c": (2,)})
    for _ in range(2):
        assert computed(pool, "abc") == {"a": "w1", "b": "w0", "c": "w2"}


def test_a_round_of_clients_that_are_away_is_computed_without_anybody(pools: Any, links: list[FakeLink]) -> None:
    pool = pools({"a": (0,), "b": (1,)})
    links[0].lives = False
    assert computed(pool, "a") == {}
    assert computed(pool, "ab") == {"b": "w1"}


def test_what_takes_too_long_twice_is_an_error(pools: Any, links: list[FakeLink]) -> None:
    def late(*arguments: Any) -> list[str]:
        raise WorkerLostError("a computation took longer than the 5 s of deadlines.call", late=True)

    links[0].call = late  # type: ignore[method-assign]
    with pytest.raises(RunError, match=r"took longer than the 5 s of deadlines\.call, twice; raise it"):
        computed(pools({"a": (0,)}), "a")


def test_what_fails_at_every_client_is_an_error(pools: Any, links: list[FakeLink]) -> None:
    for link in links:
        link.bad = dict.fromkeys("abc", "out of memory")
    with pytest.raises(RunError, match=r"no client can take part; client a: out of memory$"):
        computed(pools(), "abc")


def test_what_fails_without_clients_is_raised(pools: Any, links: list[FakeLink]) -> None:
    for link in links:
        link.bad = {"": "a wrong graph", "a": "a wrong graph"}
    with pytest.raises(Failed, match="a wrong graph"):
        computed(pools(), "a")


def test_results_keep_the_order_of_the_parts(pools: Any, links: list[FakeLink]) -> None:
    pool = pools({"a": (2,), "b": (1,), "c": (0,)})
    slow = threading.Event()
    original = links[0].call

    def late(*arguments: Any) -> list[str]:
        slow.wait(5)
        return original(*arguments)

    links[0].call = late  # type: ignore[method-assign]
    threading.Timer(0.3, slow.set).start()
    assert [part.home for part, _ in pool.run(TASK, ["a#1", "b#1", "c#1"])] == [0, 1, 2]
