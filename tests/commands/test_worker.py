"""``tff-affect worker``: certificates made, shown and replaced from the command line; bad options are one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tff_affect.workers import service
from tff_affect.workers.service import ServiceConfig


@pytest.fixture
def call(command_line: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: command_line("worker", *arguments)


def is_refused(said: Any, *words: str) -> None:
    assert (said.code, said.out) == (2, ""), said
    assert said.err.startswith("tff-affect: ")
    assert said.err.count("\n") == 1
    for word in words:
        assert word in said.err


def test_certificates_are_made_shown_and_replaced(call: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "certificates"
    assert call("cert", "authority", folder).out.startswith(f"{folder}/authority.pem: authority, good until 20")
    worker = ("cert", "worker", folder, "--name", "a", "--address", "a.example.org", "--address", "192.0.2.1")
    assert call(*worker, "--days", "30").out.startswith(f"{folder}/a/worker.pem: worker a, good until 20")
    assert call("cert", "driver", folder).out.startswith(f"{folder}/driver/driver.pem: driver, good until 20")

    rows = json.loads(call("cert", "show", folder, "--json").out)
    assert [(row["kind"], row["name"], row["addresses"]) for row in rows] == [
        ("authority", "tff-affect authority", []),
        ("worker", "a", ["a.example.org", "192.0.2.1"]),
        ("driver", "driver", []),
    ]
    assert [row["days_left"] in (days - 1, days) for row, days in zip(rows, (3650, 30, 90), strict=True)] == [True] * 3
    assert [row["file"] for row in rows] == ["authority.pem", "a/worker.pem", "driver/driver.pem"]
    table = call("cert", "show", folder / "a").out
    for word in ("worker", "a.example.org", rows[1]["until"]):
        assert word in table

    before = (folder / "a" / "worker.pem").read_bytes()
    is_refused(call(*worker), "a/worker.pem: there is a certificate already", "--rotate")
    assert (folder / "a" / "worker.pem").read_bytes() == before
    assert call(*worker, "--rotate").code == 0
    assert (folder / "a" / "worker.pem").read_bytes() != before


def test_bad_certificates_are_one_line(call: Callable[..., Any], tmp_path: Path) -> None:
    is_refused(call("cert", "driver", tmp_path), "authority.pem", "worker cert authority DIR")
    is_refused(call("cert", "show", tmp_path), "expected certificates")
    call("cert", "authority", tmp_path)
    is_refused(call("cert", "worker", tmp_path, "--name", "a b", "--address", "localhost"), "found 'a b'")
    is_refused(call("cert", "worker", tmp_path, "--name", "a", "--address", "localhost:80"), "found 'localhost:80'")
    (tmp_path / "file").touch()
    is_refused(call("cert", "authority", tmp_path / "file"), "cannot write here")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], ("expected either --certificates DIR or --plain-loopback",)),
        (["--plain-loopback", "--certificates", "x"], ("expected either",)),
        (["--plain-loopback", "--memory-mark", "0"], ("--memory-mark: expected GB above 0",)),
        (["--plain-loopback", "--memory-mark", "nan"], ("--memory-mark: expected GB above 0",)),
        (["--plain-loopback", "--subjects", "a", "--subjects-file", "b"], ("found both",)),
        (["--plain-loopback", "--subjects", " , "], ("expected at least one subject",)),
        (["--plain-loopback", "--subjects-file", "missing"], ("missing: expected a readable UTF-8 file",)),
        (["--plain-loopback"], ("0.0.0.0:0 is beyond this machine", "TLS")),
        (["--certificates", "missing"], ("missing/authority.pem: expected a certificate",)),
    ],
)
def test_bad_options_of_serve_are_one_line(
    options: list[str], words: tuple[str, ...], call: Callable[..., Any], tmp_path: Path
) -> None:
    is_refused(call("serve", tmp_path, "--listen", "0.0.0.0:0", *options), *words)


def test_options_of_serve_arrive(call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[ServiceConfig] = []
    monkeypatch.setattr(service, "serve", lambda config, say: served.append(config) or say("ready"))
    (tmp_path / "subjects").write_text("P1\n\n P2 \n", encoding="utf-8")
    listen = ("serve", tmp_path, "--listen", "127.0.0.1:0")
    assert call(*listen, "--plain-loopback").out == "ready\n"
    options = ("--isolation", "none", "--memory-mark", "2.5", "--concurrent", "3", "--certificates", tmp_path)
    call(*listen, *options, "--subjects-file", tmp_path / "subjects")
    call(*listen, *options, "--subjects", "P1, P2")
    plain = ServiceConfig(tmp_path, "127.0.0.1:0", None)
    full = ServiceConfig(tmp_path, "127.0.0.1:0", tmp_path, ["P1", "P2"], "none", 2_500_000_000, 3)
    assert served == [plain, full, full]


def test_an_interrupted_service_ends_well(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(service, "serve", interrupted)
    assert call("serve", tmp_path, "--listen", "127.0.0.1:0", "--plain-loopback").code == 0
