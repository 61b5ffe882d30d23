"""``hosts.yaml``: read as it is meant, and what is wrong named with its entry."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_affect.errors import InputError
from tff_affect.workers.hosts import Deadlines, Host, Hosts, is_loopback, read_hosts, split_address

GOOD = """
certificates: certificates
workers:
  - {name: ward-a, address: "ward-a.example.org:8470"}
  - {name: ward-b, address: "[2001:db8::1]:8470"}
deadlines: {silent: 30, call: 100.5}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "certificates").mkdir()
    for name in ("authority.pem", "driver.pem", "driver.key"):
        (tmp_path / "certificates" / name).touch()
    return tmp_path


def read(folder: Path, text: str) -> Hosts:
    file = folder / "hosts.yaml"
    file.write_text(text, encoding="utf-8")
    return read_hosts(file)


def test_it_is_read(folder: Path) -> None:
    assert read(folder, GOOD) == Hosts(
        (Host("ward-a", "ward-a.example.org:8470"), Host("ward-b", "[2001:db8::1]:8470")),
        folder / "certificates",
        Deadlines(heartbeat=5.0, silent=30.0, call=100.5, returning=60.0, give_up=600.0),
    )


def test_loopback_may_do_without_tls(tmp_path: Path) -> None:
    text = "security: none-loopback\nworkers: [{name: a, address: '127.0.0.1:1'}, {name: b, address: 'localhost:1'}]"
    assert read(tmp_path, text) == Hosts((Host("a", "127.0.0.1:1"), Host("b", "localhost:1")), None, Deadlines())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("certificates: certificates", "", "certificates: expected the driver's folder"),
        ("certificates: certificates", "certificates: other", "other holds no authority.pem"),
        ("certificates: certificates", "certificate: x", "the file: unknown key 'certificate'; known are certificates"),
        ("certificates: certificates", "security: none", "security: expected tls or none-loopback, found 'none'"),
        (
            "certificates: certificates",
            "security: none-loopback",
            r"workers\[0\] \(ward-a\): ward-a.example.org:8470 is beyond this machine",
        ),
        ("ward-b", "ward-a", r"workers\[1\] \(ward-a\): name 'ward-a' is also that of ward-a"),
        ("[2001:db8::1]", "WARD-A.example.org", r"workers\[1\] \(ward-b\): address .* is also that of ward-a"),
        ("[2001:db8::1]", "2001:db8::1", r"workers\[1\] \(ward-b\): address: expected \[IPv6 address\]:port"),
        ("[2001:db8::1]", "[2001:db8]", r"workers\[1\] \(ward-b\): address: expected an IPv6 address in brackets"),
        ("ward-a.example.org:8470", "ward-a", r"workers\[0\] \(ward-a\): address: expected host:port"),
        ("ward-a.example.org:8470", "ward-a:0", "a port from 1 to 65535, found 'ward-a:0'"),
        ("ward-a.example.org:8470", "ward-a:65536", "a port from 1 to 65535"),
        ("ward-a.example.org:8470", "https://ward-a:80", "expected"),
        ("ward-a.example.org:8470", "999.1.1.1:80", "expected a host name or an IP address"),
        ('"ward-a.example.org:8470"', "8470", r"workers\[0\] \(ward-a\): address: expected host:port, found 8470"),
        ("name: ward-a", "name: 'ward a'", r"workers\[0\]: name: expected letters"),
        ("name: ward-a", "nam: ward-a", r"workers\[0\]: unknown key 'nam'; known are name, address"),
        ("silent", "quiet", "deadlines: unknown key 'quiet'"),
        ("silent: 30", "silent: -1", "deadlines: silent: expected seconds above 0, found -1"),
        ("silent: 30", "silent: .nan", "deadlines: silent: expected seconds above 0"),
        ("silent: 30", "silent: .inf", "deadlines: silent: expected seconds above 0"),
        ("silent: 30", "silent: yes", "deadlines: silent: expected seconds above 0"),
        ("silent: 30", "silent: 5", "silent: expected more than the heartbeat of 5, found 5"),
        ("{silent: 30, call: 100.5}", "[1]", "deadlines: expected heartbeat, .* found a list"),
        ("workers:", "workers: []\nworkers_:", "unknown key 'workers_'"),
        ("deadlines", "- deadlines", "not valid YAML"),
        ("certificates: certificates", "certificates: !!python/object:os.system {}", "not valid YAML"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, words: str, folder: Path) -> None:
    assert old in GOOD
    with pytest.raises(InputError, match=words) as raised:
        read(folder, GOOD.replace(old, new, 1))
    assert "hosts.yaml" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["authority.pem", "driver.pem", "driver.key"])
def test_a_missing_certificate_is_named(name: str, folder: Path) -> None:
    (folder / "certificates" / name).unlink()
    with pytest.raises(InputError, match=f"certificates holds no {name}; name the folder"):
        read(folder, GOOD)


@pytest.mark.parametrize("text", ["", "workers:", "workers: []", "- a", "workers: {a: b}", "workers: [a]"])
def test_no_workers_are_refused(text: str, folder: Path) -> None:
    with pytest.raises(InputError, match="expected"):
        read(folder, text)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_bytes(b"\xff\xfe")
    for file in (tmp_path, tmp_path / "hosts.yaml"):
        with pytest.raises(InputError, match="expected a readable UTF-8 YAML file"):
            read_hosts(file)
    with pytest.raises(InputError, match="no such file"):
        read_hosts(tmp_path / "none.yaml")


@given(
    st.one_of(
        st.ip_addresses(v=4).map(str),
        st.ip_addresses(v=6).map(str),
        st.from_regex(r"[a-z][a-z0-9]{0,10}(\.[a-z]{2,5}){0,2}", fullmatch=True),
    ),
    st.integers(1, 65535),
)
def test_an_address_is_split_as_it_was_joined(host: str, port: int) -> None:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    assert split_address(address) == (host, port)


@given(st.text(max_size=20))
def test_no_text_fails_otherwise(text: str) -> None:
    try:
        host, port = split_address(text)
    except ValueError:
        return
    assert host
    assert 0 < port < 65536


def test_loopback_is_known() -> None:
    for host in ("127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST", "localhost."):
        assert is_loopback(host), host
    for host in ("0.0.0.0", "::", "192.0.2.1", "localhost.example.org", "example.org", "127.0.0.1.example.org"):
        assert not is_loopback(host), host
