"""What a worker's TLS demands of its peers, kept up to date with the files of its certificates."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from tff_affect.errors import InputError
from tff_affect.workers import certificates
from tff_affect.workers.hosts import AUTHORITY

_CIPHERS_OF_TLS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
_LOG = logging.getLogger(__name__)


class ServerContext:
    """The TLS settings of a worker whose certificates lie in ``folder``; new files are taken up as they come."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp: tuple[object, ...] = ()
        self._context: ssl.SSLContext | None = None

    def current(self) -> ssl.SSLContext:
        """The settings for the next peer; where new files are not in order, the ones before, with a warning.

        Raises:
            InputError: If there are none before.
        """
        stamp = tuple(_stamp(self._folder / name) for name in (AUTHORITY, "worker.pem", "worker.key"))
        if self._context is not None and stamp == self._stamp:
            return self._context
        replaces = self._context is not None
        try:
            self._context = server_context(self._folder)
            if replaces:
                _LOG.info("took up new certificates")
        except InputError as error:
            if self._context is None:
                raise
            _LOG.warning("the certificates changed and are not in order; the ones before stay in use: %s", error)
        self._stamp = stamp
        return self._context


def server_context(folder: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer for HTTP/2, with the worker's certificate, for peers with a driver's certificate.

    Raises:
        InputError: If the certificates are not in order.
    """
    certificates.check(folder, "worker")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.set_ciphers(_CIPHERS_OF_TLS_1_2)
    context.set_alpn_protocols(["h2"])
    # A resumed session would not look at the certificate again, which may have expired meanwhile.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0  # type: ignore[attr-defined]
    try:
        context.load_cert_chain(folder / "worker.pem", folder / "worker.key")
        context.load_verify_locations(folder / AUTHORITY)
    except OSError as error:
        raise InputError(f"the certificates cannot be used: {error.strerror or error}", file=folder) from error
    return context


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_ino, status.st_size, status.st_mode
