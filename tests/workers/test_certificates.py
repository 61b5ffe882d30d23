"""Certificates: good for what they are made for, guarded, replaced when asked, and every fault named."""

from __future__ import annotations

import datetime
import shutil
import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sample_workers import client_context, make_certificates

from tff_affect.errors import InputError
from tff_affect.workers import certificates
from tff_affect.workers.certificates import check, find, make_authority, make_driver, make_worker


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_certificates(tmp_path / "certificates")


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """A whole handshake in memory, as OpenSSL judges it.

    Raises:
        ssl.SSLError: From the end that refuses.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                pass


def server_of(folder: Path, certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    context.load_verify_locations(folder / "authority.pem")
    return context


def test_worker_and_driver_meet_at_every_address(folder: Path) -> None:
    make_worker(folder, "wide", ["a.example.org", "192.0.2.1", "2001:db8::1"])
    server = server_of(folder / "wide", folder / "wide" / "worker.pem")
    client = client_context(folder / "driver" / "authority.pem", folder / "driver" / "driver.pem")
    for name in ("a.example.org", "192.0.2.1", "2001:db8::1"):
        shake_hands(server, client, name)
    for name in ("b.example.org", "192.0.2.2", "localhost"):
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            shake_hands(server, client, name)


def test_neither_does_for_the_other(folder: Path) -> None:
    worker, driver = folder / "here" / "worker.pem", folder / "driver" / "driver.pem"
    authority = folder / "authority.pem"
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        shake_hands(server_of(folder, worker), client_context(authority, worker), "localhost")
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        shake_hands(server_of(folder, driver), client_context(authority, driver), "localhost")


def test_a_leaf_signs_nothing(folder: Path) -> None:
    """A worker that signs a driver's certificate with its own key gets nobody in."""
    rogue = folder / "rogue"
    rogue.mkdir()
    for made, name in (("worker.pem", "authority.pem"), ("worker.key", "authority.key")):
        shutil.copy(folder / "here" / made, rogue / name)
    make_driver(rogue)
    chain = rogue / "driver" / "driver.pem"
    chain.write_bytes(chain.read_bytes() + (rogue / "authority.pem").read_bytes())
    server = server_of(folder, folder / "here" / "worker.pem")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client_context(folder / "authority.pem", chain), "localhost")


def test_what_is_made_is_said_and_guarded(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "certificates"
    today = datetime.datetime.now(datetime.UTC)
    made = [make_authority(folder), make_worker(folder, "a", ["localhost"]), make_driver(folder, days=7)]
    assert [(one.kind, one.name, one.addresses) for one in made] == [
        ("authority", "tff-affect authority", ()),
        ("worker", "a", ("localhost",)),
        ("driver", "driver", ()),
    ]
    for one, days in zip(made, (3650, 90, 7), strict=True):
        assert abs(one.until - today - datetime.timedelta(days=days)) < datetime.timedelta(hours=1)
        assert one.days_left in (days - 1, days)
    for key in ("authority.key", "a/worker.key", "driver/driver.key"):
        assert stat.S_IMODE((folder / key).stat().st_mode) == 0o600
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    assert files == [
        *("a/authority.pem", "a/worker.key", "a/worker.pem", "authority.key", "authority.pem"),
        *("driver/authority.pem", "driver/driver.key", "driver/driver.pem"),
    ]
    assert find(folder) == (made[0], made[1], made[2])
    assert check(folder / "a", "worker") == made[1]
    assert check(folder / "driver", "driver") == made[2]


def test_nothing_is_replaced_unasked(folder: Path) -> None:
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    makers: list[Callable[[bool], object]] = [
        lambda replace: make_authority(folder, replace=replace),
        lambda replace: make_worker(folder, "here", ["localhost"], replace=replace),
        lambda replace: make_driver(folder, replace=replace),
    ]
    for make in makers:
        with pytest.raises(InputError, match="there is a certificate already; --rotate replaces it"):
            make(False)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    for make in makers[1:]:
        make(True)
    assert (folder / "authority.key").read_bytes() == before[folder / "authority.key"]
    for name in ("here/worker", "driver/driver"):
        for suffix in (".pem", ".key"):
            assert (folder / f"{name}{suffix}").read_bytes() != before[folder / f"{name}{suffix}"]
    check(folder / "here", "worker")
    check(folder / "driver", "driver")


# Faults.


def another_key(folder: Path) -> None:
    (folder / "here" / "worker.key").write_bytes((folder / "driver" / "driver.key").read_bytes())


def another_authority(folder: Path) -> None:
    make_authority(folder, replace=True)
    shutil.copy(folder / "authority.pem", folder / "here")


def another_kind(folder: Path) -> None:
    for suffix in (".pem", ".key"):
        shutil.copy(folder / "driver" / f"driver{suffix}", folder / "here" / f"worker{suffix}")


def expired(folder: Path) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=91)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificates, "_now", lambda: past)
        make_worker(folder, "here", ["localhost"], replace=True)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "here" / "worker.pem").unlink(), "worker.pem: expected a certificate, found no file"),
        (lambda folder: (folder / "here" / "worker.key").unlink(), "worker.key: expected a private key, found no file"),
        (lambda folder: (folder / "here" / "authority.pem").unlink(), "authority.pem: expected a certificate"),
        (lambda folder: (folder / "here" / "worker.pem").write_text("x"), "worker.pem: expected a certificate in PEM"),
        (lambda folder: (folder / "here" / "worker.key").write_text("x"), "worker.key: expected a private key in PEM"),
        (lambda folder: (folder / "here" / "worker.key").chmod(0o640), "worker.key: .* can be read by others"),
        (lambda folder: (folder / "here" / "worker.key").chmod(0o604), "worker.key: .* can be read by others"),
        (another_key, "worker.key: the private key is not that of the certificate"),
        (another_authority, "worker.pem: the certificate is not by the authority.pem beside it"),
        (another_kind, "worker.pem: expected a worker's certificate, found one of kind driver"),
        (expired, r"worker.pem: the certificate expired on \d{4}-\d\d-\d\d; make a new one with --rotate"),
    ],
)
def test_a_folder_that_is_not_in_order_is_refused(damage: Callable[[Path], object], words: str, folder: Path) -> None:
    check(folder / "here", "worker")
    damage(folder)
    with pytest.raises(InputError, match=words):
        check(folder / "here", "worker")


def test_an_authority_must_be_there_whole_and_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"authority.pem: .*; make it with 'tff-affect worker cert authority DIR'"):
        make_driver(tmp_path)
    make_authority(tmp_path, days=1)
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "_now", lambda: later)
        with pytest.raises(InputError, match=r"expired on .*; make a new authority with --rotate"):
            make_driver(tmp_path)
    (tmp_path / "authority.key").chmod(0o644)
    with pytest.raises(InputError, match="can be read by others"):
        make_driver(tmp_path)
    (tmp_path / "authority.key").unlink()
    with pytest.raises(InputError, match=r"authority\.key"):
        make_driver(tmp_path)
    assert not (tmp_path / "driver").exists()


@pytest.mark.parametrize("name", ["", "a b", "../a", "a/b", ".a", "driver", "a" * 64])
def test_a_wrong_name_is_refused(name: str, folder: Path) -> None:
    with pytest.raises(InputError, match="expected a worker's name"):
        make_worker(folder, name, ["localhost"])


@pytest.mark.parametrize("addresses", [[], [""], ["a:1"], ["localhost", "a b"], ["999.1.1.1"], ["*"], ["http://a"]])
def test_a_wrong_address_is_refused(addresses: list[str], folder: Path) -> None:
    with pytest.raises(InputError, match="expected"):
        make_worker(folder, "new", addresses)
    assert not (folder / "new").exists()


@pytest.mark.parametrize("days", [0, -1, 36501])
def test_wrong_days_are_refused(days: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"expected from 1 to 36500 days, found {days}"):
        make_authority(tmp_path / "new", days)
    assert not (tmp_path / "new").exists()


def test_an_expired_one_is_still_shown(folder: Path) -> None:
    expired(folder)
    assert {one.name: one.days_left < 0 for one in find(folder)} == {
        "tff-affect authority": False,
        "driver": False,
        "here": True,
    }


def test_a_folder_without_any_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected certificates \(\*.pem\), found none"):
        find(tmp_path)
