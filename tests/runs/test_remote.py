"""A study over three workers with TLS in front, each with a third of the clients on its own disk."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from benchmarks.remote_services import Site, running, wait_for, write_shard
from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from experiments.train import train
from tff_affect.cli import app
from tff_affect.cohort import Cohort
from tff_affect.config import StudyConfig
from tff_affect.config_file import load_config
from tff_affect.doctor_workers import diagnose_workers
from tff_affect.errors import InputError, RunError
from tff_affect.run_folder import read_json
from tff_affect.splits import make_splits
from tff_affect.workers.hosts import Deadlines, split_address

SETTINGS = [
    "methods=[federated]", "model.name=gru", "model.units=8", "training.rounds=4", "training.weighting=uniform",
    "data.window=100", "data.hop=50", "data.target_delay=0.4", "training.checkpoint_every=2",
]  # fmt: skip
DEADLINES = Deadlines(heartbeat=0.5, silent=10.0, call=120.0, returning=3.0, give_up=60.0)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return write_synthetic_cohort(tmp_path_factory.mktemp("data") / "cohort", SyntheticConfig(subjects=9, seconds=30.0))


@pytest.fixture(scope="module")
def shards(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sites")
    return {f"site-{n}": write_shard(cohort, folder / f"site-{n}", cohort.subjects[n::3]) for n in range(3)}


@pytest.fixture(scope="module")
def site(shards: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("services") / "here", shards, secure=True, deadlines=DEADLINES) as found:
        yield found


def settings(cohort: str | Path, *more: str) -> StudyConfig:
    return load_config(None, [*SETTINGS, *more], cohort)


def weights_of(run: Path, method: str = "federated") -> list[np.ndarray]:
    with np.load(run / "weights" / f"{method}.npz") as stored:
        return [stored[name] for name in stored.files]


def largest_difference(a: Path, b: Path) -> float:
    return max(float(np.abs(x - y).max()) for x, y in zip(weights_of(a), weights_of(b), strict=True))


@pytest.fixture(scope="module")
def here(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study on this machine."""
    run = tmp_path_factory.mktemp("runs") / "here"
    train(settings(cohort.path), run)
    return run


@pytest.mark.slow
def test_three_workers_train_and_score_what_this_machine_does(site: Site, here: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(settings(site.hosts), run, hosts=site.hosts)
    assert largest_difference(run, here) < 1e-6
    assert (run / "rounds.csv").read_text().splitlines()[0] == (here / "rounds.csv").read_text().splitlines()[0]
    for row, expected in zip(table(run / "per_client.csv"), table(here / "per_client.csv"), strict=True):
        assert row[:5] == expected[:5]
        np.testing.assert_allclose([float(x) for x in row[5:8]], [float(x) for x in expected[5:8]], atol=1e-5)
    assert not (run / "predictions").exists(), "predictions stay with the workers"
    assert "SYNTHETIC" in (run / "report.html").read_text()


def table(file: Path) -> list[list[str]]:
    return [line.split(",") for line in file.read_text().splitlines()[1:]]


@pytest.mark.slow
def test_federated_scaling_is_found_without_the_data(site: Site, cohort: Cohort, tmp_path: Path) -> None:
    more = ("data.scaling=federated", "training.rounds=2")
    train(settings(site.hosts, *more), tmp_path / "remote", hosts=site.hosts)
    train(settings(cohort.path, *more), tmp_path / "here")
    assert largest_difference(tmp_path / "remote", tmp_path / "here") < 1e-6


@pytest.mark.slow
def test_the_ledger_of_private_training_is_that_of_one_machine(site: Site, cohort: Cohort, tmp_path: Path) -> None:
    more = (
        "methods=[]", "privacy.noise_multiplier=1.0", "privacy.reproducible_noise=true", "privacy.force=true",
        "training.clients_per_round=3", "training.rounds=3",
    )  # fmt: skip
    train(settings(site.hosts, *more), tmp_path / "remote", hosts=site.hosts)
    train(settings(cohort.path, *more), tmp_path / "here")
    assert read_json(tmp_path / "remote" / "privacy.json") == read_json(tmp_path / "here" / "privacy.json")
    found, expected = (weights_of(tmp_path / run, "federated-dp") for run in ("remote", "here"))
    assert max(float(np.abs(a - b).max()) for a, b in zip(found, expected, strict=True)) < 1e-6


@pytest.mark.slow
def test_a_lost_worker_takes_its_clients_out_of_the_rounds(cohort: Cohort, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (split,) = make_splits(cohort, settings("").split)
    lost, kept = split.train[:2], (*split.train[2:], *split.development, *split.test)
    shards = {n: write_shard(cohort, tmp_path / n, held) for n, held in (("lost", lost), ("kept", kept))}
    with running(tmp_path / "services", shards, secure=False, deadlines=DEADLINES) as site:
        killing = threading.Thread(target=kill_in_round_two, args=(site, run))
        killing.start()
        train(settings(site.hosts, "training.rounds=8", "training.patience=0"), run, hosts=site.hosts)
        killing.join()
        clients = [int(row[1]) for row in table(run / "rounds.csv")]
        assert (clients[0], clients[-1]) == (len(split.train), len(split.train) - 2)
        scored = {row[2] for row in table(run / "per_client.csv") if row[1] == "train"}
        assert scored == set(split.train) - set(lost)
        with pytest.raises(RunError, match="not all workers answer: worker lost: "):
            train(settings(site.hosts), tmp_path / "new", hosts=site.hosts)
        assert not (tmp_path / "new").exists()


def kill_in_round_two(site: Site, run: Path) -> None:
    wait_for(lambda: (run / "rounds.csv").is_file() and len(table(run / "rounds.csv")) >= 2, 120)
    site.services["lost"].kill()


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("methods=[federated,centralised]", "methods: 'centralised' reads the clients' data in one place"),
        ("postprocess=[median]", "postprocess: the chain is fitted on predictions"),
        ("privacy.mechanism=distributed", "privacy.mechanism: 'distributed' is simulated"),
    ],
)
def test_what_needs_the_data_in_one_place_is_refused(setting: str, reason: str, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yaml"
    hosts.write_text("security: none-loopback\nworkers: [{name: a, address: 'localhost:9'}]\n")
    more = ["privacy.noise_multiplier=1.0", "privacy.adjacency=replace-one"] if "privacy" in setting else []
    arguments = ["train", str(tmp_path / "run"), "--workers", str(hosts)]
    result = CliRunner().invoke(app, arguments + [p for s in [*SETTINGS, *more, setting] for p in ("-o", s)])
    assert isinstance(result.exception, InputError), result.output
    assert str(result.exception).startswith(reason)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("other", [["--cohort", "x"], ["--processes", "2"]])
def test_workers_stand_alone(other: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", str(tmp_path / "run"), "--workers", "hosts.yaml", *other])
    assert isinstance(result.exception, InputError)
    assert f"expected --workers alone, found {other[0]}" in str(result.exception)


@pytest.mark.slow
def test_the_doctor_looks_at_workers(site: Site) -> None:
    checks = {check.name: check for check in diagnose_workers(site.hosts)}
    assert all(check.ok for check in checks.values()), checks
    assert checks["worker site-1"].found.startswith("3 subjects, answers in ")
    assert checks["the workers' data"].found == "9 subjects, 0 of them with several workers"
    assert "refused" in checks["worker site-0, a stranger without a certificate"].found
    assert "refused" in checks["worker site-0, a stranger without TLS"].found


@pytest.mark.slow
def test_the_doctor_sees_a_worker_that_answers_everybody(site: Site, shards: dict[str, Path], tmp_path: Path) -> None:
    """One without TLS, named where TLS is expected, and one that nobody started."""
    with running(tmp_path / "plain", {"open": shards["site-0"]}, secure=False) as plain:
        open_address = plain.services["open"].address
        content = yaml.safe_load(site.hosts.read_text())
        content["workers"] = [{"name": "open", "address": open_address}, {"name": "absent", "address": "localhost:9"}]
        content["certificates"] = str(site.hosts.parent / "certificates" / "driver")
        (tmp_path / "hosts.yaml").write_text(yaml.safe_dump(content))
        checks = {check.name: check for check in diagnose_workers(tmp_path / "hosts.yaml", seconds=1.0)}
    assert not checks["worker open"].ok
    assert not checks["worker absent"].ok
    assert "anybody can compute there" in checks["worker open, a stranger without TLS"].fix


class Recorder:
    """Passes everything on to a worker without TLS, and keeps what passed.

    Attributes:
        port: Where it listens.
        up: What drivers sent.
        down: What the worker sent.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self._to = address
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.up, self.down = bytearray(), bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                caller = self._listener.accept()[0]
            except OSError:
                return
            worker = socket.create_connection(self._to)
            for source, target, kept in ((caller, worker, self.up), (worker, caller, self.down)):
                threading.Thread(target=self._copy, args=(source, target, kept), daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
        try:
            while data := source.recv(1 << 16):
                kept += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        """Accepts no more."""
        self._listener.close()


@contextmanager
def recorded(site: Site) -> Iterator[dict[str, Recorder]]:
    recorders = {name: Recorder(split_address(s.address)) for name, s in site.services.items()}
    content = yaml.safe_load(site.hosts.read_text())
    content["workers"] = [{"name": name, "address": f"localhost:{r.port}"} for name, r in recorders.items()]
    before = site.hosts.read_text()
    site.hosts.write_text(yaml.safe_dump(content))
    try:
        yield recorders
    finally:
        site.hosts.write_text(before)
        for recorder in recorders.values():
            recorder.close()


@pytest.mark.slow
def test_no_window_is_on_the_wire(
    cohort: Cohort, shards: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tff_affect.client_data import stage_cohort

    config = settings(cohort.path)
    (tmp_path / "staged").mkdir()
    staged = stage_cohort(cohort, tmp_path / "staged", config.data)
    with running(tmp_path / "services", shards, secure=False, deadlines=DEADLINES) as site, recorded(site) as wires:
        train(settings(site.hosts), tmp_path / "run", hosts=site.hosts)
        said = b"".join(bytes(r.up) + bytes(r.down) for r in wires.values())
        rounds = len(table(tmp_path / "run" / "rounds.csv"))
    sequences = {client: staged.sequence(client).numpy()[:, : staged.features] for client in cohort.subjects}
    for client in cohort.subjects:
        table_of = cohort.load(client)
        for rows in (table_of.features, sequences[client]):
            assert leaked(said, rows) == 0, f"frames of {client} are on the wire"
    assert leaked(said + sequences["P101"].tobytes(), sequences["P101"]) > 100, "what is searched for cannot be found"
    assert all(client.encode() in said for client in cohort.subjects), "the recorder heard nothing"
    with capsys.disabled():
        print(f"\n{len(said) / rounds / 1e3:.0f} kB a round over {len(wires)} workers, all messages of the study")


def leaked(said: bytes, rows: np.ndarray) -> int:
    """How many frames of ``[frames, column]`` occur in what was said, as float32 or float64."""
    finite = rows[np.isfinite(rows).all(axis=1)]
    return sum(row.tobytes() in said for kind in ("<f4", "<f8") for row in finite.astype(kind)[::3])
