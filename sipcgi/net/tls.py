"""TLS: certificates, and what they do to the octets of a connection (RFC 3261 26.2.1, 26.3.1)."""

import ssl
from pathlib import Path
from typing import NamedTuple

from sipcgi.errors import Unreachable
from sipcgi.net.coding import Coding, Ended
from sipcgi.net.endpoint import TlsSettings
from sipcgi.sip.framing import Item

SLICE = 1024  # octets that the inner coding gets in one go: a record of 16 KiB may hold thousands of frames
LARGEST_FILE = 4 * 1024 * 1024  # octets of a file with certificates
_WORDS = {
    "NO_CERTIFICATE_OR_CRL_FOUND": "holds no certificate in PEM form",
    "KEY_VALUES_MISMATCH": "is not the key of the certificate",
    "KEY_TYPE_MISMATCH": "is not the key of the certificate",
    "EE_KEY_TOO_SMALL": "holds a certificate whose key is too short",
    "CA_KEY_TOO_SMALL": "holds a certificate whose key is too short",
    "CA_MD_TOO_WEAK": "holds a certificate whose signature is too weak",
}


class Contexts(NamedTuple):
    """For the connections that we accept, and for those that we open."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def contexts(settings: TlsSettings | None) -> Contexts:
    """Reads the files, and takes some milliseconds for the system's authorities. Raises OSError.

    TLS 1.2 at least, with the cipher suites that Python trusts: TLS_RSA_WITH_AES_128_CBC_SHA, which RFC 3261 26.2.1
    asks for, is none of them any more (RFC 9325 4.2). Others need no certificate to come to us; we show ours both ways.
    """
    if settings is None or settings.certificate is None:
        raise OSError("there is no certificate for it")
    if wrong := mistakes(settings):
        key, text = wrong[0]
        raise OSError(f"tls.{key}: {getattr(settings, key)} {text}")
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context in (server, client):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.load_cert_chain(settings.certificate, settings.key, _no_password)
    if settings.ca is not None:
        client.load_verify_locations(settings.ca)
    else:
        client.load_default_certs()
    return Contexts(server, client)


def mistakes(settings: TlsSettings) -> list[tuple[str, str]]:
    """What is wrong with the files: `certificate`, `key` or `ca`, and a text to put after the name of the file."""
    found = []
    if settings.ca is not None and (wrong := _unreadable(settings.ca) or _no_certificates(settings.ca)):
        found.append(("ca", wrong))
    if settings.certificate is not None:
        if wrong := _unreadable(settings.certificate) or _no_certificates(settings.certificate):
            found.append(("certificate", wrong))
        elif settings.key is not None and (wrong := _unreadable(settings.key)):
            found.append(("key", wrong))
        elif wrong := _no_key(settings.certificate, settings.key):
            found.append(("certificate" if settings.key is None else "key", wrong))
    return found


def _unreadable(path: Path) -> str:
    try:
        if not path.is_file():
            return "is no file" if path.exists() else "is not there"
        with path.open("rb") as file:
            return "is too large" if len(file.read(LARGEST_FILE + 1)) > LARGEST_FILE else ""
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _no_certificates(path: Path) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        return _file_error(error, "holds no certificate in PEM form")
    return ""


def _no_key(certificate: Path, key: Path | None) -> str:
    try:
        if b"PRIVATE KEY-----" not in (key or certificate).read_bytes():
            return "holds no private key, and no key file is named" if key is None else "holds no private key"
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, _no_password)
    except _ProtectedError:
        return "holds a key that is protected by a password"
    except (ssl.SSLError, OSError) as error:
        return _file_error(error, "holds no private key in PEM form")
    return ""


def _file_error(error: OSError, usual: str) -> str:
    return _WORDS.get(getattr(error, "reason", None) or "", usual)


class _ProtectedError(Exception):
    """A key has a password."""


def _no_password() -> str:
    """In place of OpenSSL's question at the terminal."""
    raise _ProtectedError


class Tls:
    """A coding inside TLS: `name` makes it the client's side, and is what the server's certificate must be for.

    Raises Unreachable for a name that no certificate can have.
    """

    __slots__ = ("_incoming", "_inner", "_outgoing", "_shaken", "_tls", "more")

    def __init__(self, inner: Coding, context: ssl.SSLContext, name: str | None = None) -> None:
        self._inner = inner
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._shaken = self.more = False
        try:
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=name is None, server_hostname=name)
        except ValueError as error:
            raise Unreachable(f"{name!r} is no name of a TLS server") from error

    @property
    def ready(self) -> bool:
        return self._shaken and self._inner.ready

    @property
    def pending(self) -> bool:
        return not self._shaken or self._inner.pending

    def feed(self, octets: bytes) -> list[Item]:
        self._incoming.write(octets)
        if not self._shaken:
            self._shake()
            if not self._shaken:
                return []
        items = self._inner.feed(b"")
        return items or self._inner.feed(self._read())

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            raise Ended(f"no TLS handshake: {_words(error)}") from error
        self._shaken = True

    def _read(self) -> bytes:
        """What comes next, b"" when nothing does now. Raises Ended."""
        self.more = False
        try:
            clear = self._tls.read(SLICE)
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            raise Ended(f"TLS failed: {_words(error)}") from error
        if not clear:
            raise Ended("closed", orderly=True)  # close_notify (RFC 8446 6.1)
        self.more = True
        return clear

    def message(self, message: bytes) -> bytes:
        self._write(self._inner.message(message))
        return self._outgoing.read()

    def _write(self, clear: bytes) -> None:
        rest = memoryview(clear)
        try:
            while rest:
                rest = rest[self._tls.write(rest) :]
        except ssl.SSLError as error:
            raise Ended(f"TLS failed: {_words(error)}") from error

    def answer(self) -> bytes:
        clear = self._inner.answer()
        if clear:
            self._write(clear)
        return self._outgoing.read()

    def probe(self) -> None:
        self._inner.probe()

    def close(self) -> None:
        if not self._shaken:
            return
        self._inner.close()
        try:
            self._write(self._inner.answer())
            self._tls.unwrap()
        except (ssl.SSLError, Ended):  # it waits for the peer's goodbye, and we do not
            pass


def _words(error: ssl.SSLError) -> str:
    """Why, without the place in OpenSSL's source."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason or str(error)).replace("_", " ").lower()
