"""The cost model finds what was planted, bounds are judged, the slow line is slow, and rounds run on real workers."""

from __future__ import annotations

import argparse
import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import workers
from benchmarks.workers_cost import Case, CostModel, Measured, TrafficModel, over_line, table
from benchmarks.workers_fleet import Data, averaging, fleet, parameters, rounds, server_link
from benchmarks.workers_line import Line, slowed
from tff_affect.cohort import Cohort
from tff_affect.errors import InputError
from tff_affect.learning.sampling import ClientSampling
from tff_affect.learning.worker_calls import Traffic

PLANTED = (0.03, 0.5, 0.01, 0.2, 0.0006, 0.001, 0.1)
CASES = [
    Case(w, n, p, f)
    for w, n, p, f in itertools.product((1, 2, 4), (4, 12, 32), (2e3, 2e4, 3e5), (750.0, 3000.0))  # type: ignore[arg-type]
]


def planted_seconds(case: Case) -> float:
    """The formula of the module's docstring, written out."""
    a, b, c, d, e, f, g = PLANTED
    millions, thousands = case.parameters / 1e6, case.frames / 1e3
    at_busiest = next(n for n in itertools.count() if n * case.workers >= case.clients)
    turns = next(n for n in itertools.count() if n * case.concurrent >= at_busiest)
    client = e + f * thousands + g * thousands * millions
    return a + b * millions + case.workers * (c + d * millions) + turns * client


def planted_traffic(case: Case) -> Traffic:
    size = 4 * case.parameters
    return Traffic(round(case.workers * (size + 490) + 42 * case.clients), round(case.workers * (size + 230)))


def test_planted_costs_are_found() -> None:
    found = [Measured(case, (planted_seconds(case),) * 3, planted_traffic(case)) for case in CASES]
    assert CostModel.fit(found).coefficients == pytest.approx(PLANTED, rel=1e-6)
    model = TrafficModel.fit(found)
    assert model.sent == pytest.approx((4, 490, 42), rel=1e-3)
    assert model.received == pytest.approx((4, 230, 0), abs=1e-3)
    assert workers.most_apart(found, model) < 1e-4
    assert all(abs(row["residual"]) < 1e-3 for row in table(found, CostModel.fit(found)))


def test_the_residual_is_a_share_of_the_fastest_repeat() -> None:
    found = Measured(Case(1, 1, 1000, 1000.0), (2.0, 5.0, 90.0), Traffic(1, 2))
    (row,) = table([found], CostModel((2.2, 0, 0, 0, 0, 0, 0)))
    assert (row["median"], row["fastest"], row["fitted"], row["residual"]) == (5.0, 2.0, 2.2, 0.1)


@pytest.mark.parametrize(("count", "concurrent", "turns"), [(4, 1, 2), (5, 1, 3), (5, 2, 2), (1, 4, 1)])
def test_clients_in_turn_at_the_busiest_of_two_workers(count: int, concurrent: int, turns: int) -> None:
    assert Case(2, count, 1, 1.0, concurrent).in_turn == turns


def test_a_line_adds_its_round_trips_and_one_workers_bytes() -> None:
    assert over_line(1.0, Traffic(300, 100), 2, Line(0.05, 100.0), 4) == pytest.approx(1.0 + 0.2 + 2.0)
    assert over_line(1.0, Traffic(300, 100), 2, Line(0.05), 4) == pytest.approx(1.2)


def test_the_busiest_worker_is_found() -> None:
    assert workers.busiest_since([1.0, 5.0, 0.0], [2.0, 6.5, 1.0]) == 1.5


@pytest.fixture
def echo() -> Iterator[str]:
    """The address of what sends everything back."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as peer:
            while data := peer.recv(1 << 16):
                peer.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.parametrize(("line", "least"), [(Line(0.4), 0.4), (Line(0.0, 400_000.0), 0.5), (Line(), 0.0)])
def test_a_slow_line_delays_and_throttles_but_alters_nothing(line: Line, least: float, echo: str) -> None:
    sent = os.urandom(200_000)
    with slowed(echo, line) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=60) as peer:
            start = time.perf_counter()
            threading.Thread(target=peer.sendall, args=(sent,), daemon=True).start()
            back = b""
            while len(back) < len(sent):
                back += peer.recv(1 << 16)
            assert time.perf_counter() - start >= least
    assert back == sent


def test_memory_is_compared_around_round_fifty_and_at_the_end() -> None:
    values = [500.0] * 300
    values[:40], values[60:280], values[290:] = [100.0] * 40, [900.0] * 220, [510.0] * 10
    assert workers.early_and_late(values) == (500.0, 510.0)
    with pytest.raises(InputError, match="at least 100"):
        workers.memory(None, argparse.Namespace(rounds=99))  # type: ignore[arg-type]


def test_all_kinds_of_rounds_are_timed_in_turn() -> None:
    calls: list[str] = []
    times = workers.in_turn([lambda: calls.append("a"), lambda: calls.append("b")], 3)
    assert calls == ["a", "b"] * 5
    assert [(len(seconds), foreign >= 0) for seconds, foreign in times] == [(2, True)] * 3


def test_disturbed_repeats_are_left_out_where_there_are_others() -> None:
    times = [((2.0, 1.0), 0.0), ((3.0, 3.0), 0.5), ((2.0, 1.0), 0.01), ((2.2, 1.0), 0.04)]
    assert workers.undisturbed(times) == ([(2.0, 1.0), (2.0, 1.0), (2.2, 1.0)], True)
    assert workers.undisturbed(times[:3]) == ([(2.0, 1.0), (3.0, 3.0), (2.0, 1.0)], False)


def test_more_clients_than_there_are_is_said(small_cohort: Cohort, tmp_path: Path) -> None:
    data = Data(small_cohort.path, tmp_path)
    with pytest.raises(InputError, match="expected at least 5 subjects, found 4"):
        workers.speedup(data, argparse.Namespace(clients=5))


def test_divided_data_have_one_holder_each(small_cohort: Cohort, tmp_path: Path) -> None:
    data = Data(small_cohort.path, tmp_path)
    assert [data.placement(2, True).holders_of(client) for client in data.clients] == [(0,), (1,), (0,), (1,)]
    assert {data.placement(2, False).holders_of(client) for client in data.clients} == {(0, 1)}


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True])
def test_rounds_on_real_workers_send_the_weights_and_no_data(tls: bool, small_cohort: Cohort, tmp_path: Path) -> None:
    data = Data(small_cohort.path, tmp_path)
    with server_link() as server, fleet(data, server, 2, tls=tls, divided=True) as where:
        process = averaging(data.served(), units=32)
        size = parameters(process)
        assert size == 4 * 32 * (3 + 32 + 1) + 2 * (32 + 1)
        run = rounds(process, ClientSampling(data.clients, 0, 0), where)
        run()
        before = where.pool.traffic
        run()
        moved = where.pool.traffic - before
        assert len(where.pids) >= where.workers == 2
    # Weights as float32 to each of two workers, the sum as float64 from each; 2,000 are keys, losses and envelopes.
    assert moved.sent == pytest.approx(2 * 4 * size, abs=2000)
    assert moved.received == pytest.approx(2 * 8 * size, abs=2000)


@pytest.mark.slow
def test_the_speedup_is_measured_on_workers_with_a_core_each(
    small_cohort: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core")
    cores = os.sched_getaffinity(0)
    options = argparse.Namespace(clients=4, units=4, epochs=1, repeats=2)
    found = workers.speedup(Data(small_cohort.path, tmp_path), options)
    assert len(found["times"]) == 2
    assert all(seconds >= 0 for seconds in found["busiest"])
    assert found["met"] == (found["ratio"] >= 1.7)
    assert "times as fast" in capsys.readouterr().out
    assert os.sched_getaffinity(0) == cores
