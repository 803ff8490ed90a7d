"""The certificates that a configuration names: which listener has which, and what is wrong with their files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path as FilePath

from sipcgi.config.document import Document, Path
from sipcgi.config.place import Listener, listener
from sipcgi.net.endpoint import SECURE, TlsSettings
from sipcgi.net.tls import mistakes

KEYS = ("certificate", "key", "ca")


class Certificates:
    """Those of a document, whose mistakes are noted there; `absolute` completes the name of a file."""

    def __init__(self, document: Document, absolute: Callable[[str], FilePath]) -> None:
        self._document = document
        self._absolute = absolute
        self.general = self._section(("tls",))
        """For every listener that has none of its own."""
        self._own: list[TlsSettings | None] = []
        entries = document.at("listen")
        if isinstance(entries, list):
            for number in range(len(entries)):
                self._own.append(self._entry(("listen", number)))
        else:
            self._own.append(self._entry(("listen",)))

    def of(self, number: int) -> TlsSettings | None:
        """The settings of a listener of the document; None where it takes none."""
        return self._own[number]

    def complete(self, one: Listener) -> Listener:
        """A listener that is not in the document, with what it needs. Raises ValueError."""
        if not is_secure(one):
            return one
        if self.general.certificate is None:
            raise ValueError(_needs(one))
        return replace(one, tls=self.general)

    def _entry(self, path: Path) -> TlsSettings | None:
        entry = self._document.at(*path)
        key = (*path, "url") if isinstance(entry, dict) else path
        own = self._section((*path, "tls"))
        try:
            one = listener(self._document.at(*key))
        except ValueError:
            return None  # the schema says so
        if not is_secure(one):
            if self._document.at(*path, "tls") is not None:
                self._document.add((*path, "tls"), f"means nothing to {one.scheme}://")
            return None
        if own.certificate is None:
            own = TlsSettings(self.general.certificate, self.general.key, own.ca or self.general.ca)
        if own.certificate is None:
            self._document.add(key, _needs(one))
        return own if own.ca is not None else TlsSettings(own.certificate, own.key, self.general.ca)

    def _section(self, path: Path) -> TlsSettings:
        files = {key: self._file((*path, key)) for key in KEYS}
        if files["key"] is not None and files["certificate"] is None:
            self._document.add((*path, "key"), "is there without a certificate")
        settings = TlsSettings(**files)
        for key, text in mistakes(settings):
            self._document.add((*path, key), f"{files[key]} {text}")
        return settings

    def _file(self, path: Path) -> FilePath | None:
        name = self._document.at(*path)
        return self._absolute(name) if isinstance(name, str) and name and "\0" not in name else None


def is_secure(one: Listener) -> bool:
    return one.scheme.upper() in SECURE


def _needs(one: Listener) -> str:
    return f"{one.scheme}:// needs a certificate: write `tls: {{certificate: FILE, key: FILE}}` into the configuration"
