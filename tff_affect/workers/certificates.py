"""Certificates of workers and drivers, and the authority of one's own that signs them.

    DIR/authority.pem, authority.key     stays with whoever runs the study; the key goes nowhere
    DIR/NAME/worker.pem, worker.key      goes to the worker NAME, with a copy of authority.pem
    DIR/driver/driver.pem, driver.key    goes to the driver, with a copy of authority.pem

Elliptic curve P-256. A worker's certificate is good for serving alone and a driver's for asking alone, so that no
worker can command another. Nothing is revoked: who loses a key makes a new authority, and short lives help.
"""

from __future__ import annotations

import ipaddress
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tff_affect.atomic import replace_bytes
from tff_affect.errors import InputError
from tff_affect.workers.hosts import AUTHORITY, NAME, is_host

AUTHORITY_DAYS, LEAF_DAYS = 3650, 90
_AUTHORITY_KEY = "authority.key"
_USES = {"worker": ExtendedKeyUsageOID.SERVER_AUTH, "driver": ExtendedKeyUsageOID.CLIENT_AUTH}
# Clocks of two machines differ.
_BACKDATED = timedelta(hours=1)


@dataclass(frozen=True)
class Certificate:
    """What a certificate says.

    Attributes:
        kind: ``authority``, ``worker`` or ``driver``.
        name: Of its owner.
        addresses: Names and IP addresses that a worker answers to.
        until: The last instant at which it is good.
        file: Where it lies.
    """

    kind: str
    name: str
    addresses: tuple[str, ...]
    until: datetime
    file: Path

    @property
    def days_left(self) -> int:
        """Whole days for which it is good; negative once it has expired."""
        return (self.until - _now()).days


def make_authority(folder: Path, days: int = AUTHORITY_DAYS, replace: bool = False) -> Certificate:
    """Makes an authority in ``folder``.

    Args:
        folder: Made if it is missing.
        days: For which it is good.
        replace: Replace one that is there; all its certificates are worthless then.

    Raises:
        InputError: If there is one, or the folder cannot be written.
    """
    _require_days(days)
    _require_free(folder / AUTHORITY, replace, "replacing an authority makes all its certificates worthless")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tff-affect authority")])
    usage = _key_usage(signs_certificates=True)
    certificate = (
        _builder(name, name, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(folder, _AUTHORITY_KEY, key, AUTHORITY, certificate)
    return _describe(certificate, "authority", folder / AUTHORITY)


def make_worker(
    folder: Path, name: str, addresses: Sequence[str], days: int = LEAF_DAYS, replace: bool = False
) -> Certificate:
    """Makes a worker's key and certificate in ``folder/name``, signed by the authority in ``folder``.

    Args:
        folder: The authority's.
        name: The worker's.
        addresses: Names and IP addresses by which drivers reach it.
        days: For which it is good.
        replace: Replace what is there: a worker that is serving takes the new one up by itself.

    Raises:
        InputError: For a name or address that is wrong, a missing authority, or a certificate that is there.
    """
    if not NAME.fullmatch(name) or name == "driver":
        raise InputError(f"expected a worker's name of letters, digits, '.', '_' or '-', found {name!r}")
    if not addresses:
        raise InputError("expected the names or IP addresses by which drivers reach the worker, found none")
    for address in addresses:
        if not is_host(address):
            raise InputError(f"expected a host name or an IP address without a port, found {address!r}")
    return _make_leaf(folder, "worker", name, addresses, days, replace)


def make_driver(folder: Path, days: int = LEAF_DAYS, replace: bool = False) -> Certificate:
    """Makes a driver's key and certificate in ``folder/driver``, signed by the authority in ``folder``.

    Raises:
        InputError: For a missing authority, or a certificate that is there and not to be replaced.
    """
    return _make_leaf(folder, "driver", "driver", (), days, replace)


def check(folder: Path, kind: str) -> Certificate:
    """The certificate of a ``worker`` or ``driver`` in its folder, once all is seen to be in order.

    Raises:
        InputError: If a file is missing or damaged, the key is readable by others or another one's, the certificate is
            expired, of another kind or not by the authority beside it.
    """
    authority, leaf = _read(folder / AUTHORITY), _read(folder / f"{kind}.pem")
    _require_key(folder / f"{kind}.key", leaf)
    found = _describe(leaf, _kind(leaf), folder / f"{kind}.pem")
    _require_good(found)
    _require_good(_describe(authority, "authority", folder / AUTHORITY))
    if found.kind != kind:
        raise InputError(f"expected a {kind}'s certificate, found one of kind {found.kind}", file=found.file)
    _require_issuer(leaf, authority, found.file)
    return found


def find(folder: Path) -> tuple[Certificate, ...]:
    """All certificates in ``folder`` and the folders in it, the authority's first.

    Raises:
        InputError: If there is none, or one cannot be read.
    """
    found = [_describe(certificate, _kind(certificate), file) for file, certificate in _all(folder)]
    if not found:
        raise InputError("expected certificates (*.pem), found none", file=folder)
    return tuple(found)


def _all(folder: Path) -> Iterator[tuple[Path, x509.Certificate]]:
    for file in (*sorted(folder.glob("*.pem")), *sorted(folder.glob("*/*.pem"))):
        if file.name != AUTHORITY or file.parent == folder:
            yield file, _read(file)


def _make_leaf(folder: Path, kind: str, name: str, addresses: Sequence[str], days: int, replace: bool) -> Certificate:
    _require_days(days)
    authority = _read(folder / AUTHORITY, hint="; make it with 'tff-affect worker cert authority DIR'")
    authority_key = _require_key(folder / _AUTHORITY_KEY, authority)
    _require_good(_describe(authority, "authority", folder / AUTHORITY))
    target = folder / name
    _require_free(target / f"{kind}.pem", replace, "the one there stays good until it expires")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _builder(subject, authority.subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_USES[kind]]), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    if addresses:
        names = x509.SubjectAlternativeName([_general_name(address) for address in addresses])
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(authority_key, hashes.SHA256())
    _write(target, f"{kind}.key", key, f"{kind}.pem", certificate)
    replace_bytes(target / AUTHORITY, authority.public_bytes(serialization.Encoding.PEM))
    return _describe(certificate, kind, target / f"{kind}.pem")


def _now() -> datetime:
    return datetime.now(UTC)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = _now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address.rstrip("."))


def _describe(certificate: x509.Certificate, kind: str, file: Path) -> Certificate:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        alternatives = x509.SubjectAlternativeName([])
    addresses = tuple(str(name.value) for name in alternatives)
    name = str(names[0].value) if names else ""
    return Certificate(kind, name, addresses, certificate.not_valid_after_utc, file)


def _kind(certificate: x509.Certificate) -> str:
    try:
        if certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return "authority"
        uses = list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return "unknown"
    return next((kind for kind, use in _USES.items() if uses == [use]), "unknown")


def _read(file: Path, hint: str = "") -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except OSError as error:
        raise InputError(f"expected a certificate, found no file that can be read{hint}", file=file) from error
    except ValueError as error:
        raise InputError("expected a certificate in PEM, found something else", file=file) from error


def _require_key(file: Path, certificate: x509.Certificate) -> ec.EllipticCurvePrivateKey:
    """The key in ``file``, which is the certificate's and nobody else's to read."""
    try:
        content = file.read_bytes()
        mode = file.stat().st_mode
    except OSError as error:
        raise InputError("expected a private key, found no file that can be read", file=file) from error
    if mode & 0o077:
        raise InputError(
            f"the private key can be read by others; 'chmod 600 {file.name}', or make a new one", file=file
        )
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise InputError("expected a private key in PEM without a password, found something else", file=file) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise InputError("the private key is not that of the certificate beside it; make both anew", file=file)
    return key


def _require_good(found: Certificate) -> None:
    if found.days_left < 0:
        hint = "make a new one with --rotate" if found.kind != "authority" else "make a new authority with --rotate"
        raise InputError(f"the certificate expired on {found.until:%Y-%m-%d}; {hint}", file=found.file)


def _require_issuer(leaf: x509.Certificate, authority: x509.Certificate, file: Path) -> None:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise InputError(f"the certificate is not by the {AUTHORITY} beside it; copy both again", file=file) from error


def _require_days(days: int) -> None:
    if not 1 <= days <= 36500:
        raise InputError(f"expected from 1 to 36500 days, found {days}")


def _require_free(file: Path, replace: bool, consequence: str) -> None:
    if file.exists() and not replace:
        raise InputError(f"there is a certificate already; --rotate replaces it ({consequence})", file=file)


def _write(
    folder: Path, key_name: str, key: ec.EllipticCurvePrivateKey, name: str, certificate: x509.Certificate
) -> None:
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror}", file=folder) from error
    _replace_private(folder / key_name, encoded)
    replace_bytes(folder / name, certificate.public_bytes(serialization.Encoding.PEM))


def _replace_private(file: Path, content: bytes) -> None:
    """As `replace_bytes`, for this user's eyes alone at every instant."""
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, file)
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror}", file=file) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
