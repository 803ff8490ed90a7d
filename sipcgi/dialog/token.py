"""The keyed tokens in our Record-Route and Path: what tells that we put them there, and over which flows they lead.

Nothing is stored for them: a server with the same key knows them again.
"""

from __future__ import annotations

from hashlib import blake2s
from hmac import compare_digest
from typing import NamedTuple

from sipcgi.compiled import compiled
from sipcgi.dialog.flow_text import flow_text, read_flow
from sipcgi.flow import Flow

_LEAST_KEY = 16
_OCTETS = 10  # 80 bits, that can only be guessed by asking the server
_PATH = "flow."
"""What the token of a Path begins with, so that one that was tampered with is still seen to be one."""


class Sides(NamedTuple):
    """The flows to the two sides of a dialog; None for a side to which its Contact, or a route, leads."""

    initiator: Flow | None = None
    recipient: Flow | None = None


NO_FLOWS = Sides()


class TokenKey:
    """Makes and checks tokens with a secret of 16 to 32 octets (ValueError for any other length)."""

    __slots__ = ("_flows", "_own", "_path", "dialog")

    def __init__(self, key: bytes) -> None:
        if not _LEAST_KEY <= len(key) <= blake2s.MAX_KEY_SIZE:
            raise ValueError(f"a token key has {_LEAST_KEY} to {blake2s.MAX_KEY_SIZE} octets, not {len(key)}")
        # By their persons no token can be taken for one of another kind
        self.dialog = blake2s(key=key, digest_size=_OCTETS, person=b"route")
        """For tokens without a flow."""
        self._flows = blake2s(key=key, digest_size=_OCTETS, person=b"flows")
        self._path = blake2s(key=key, digest_size=_OCTETS, person=b"path")
        self._own = blake2s(key=key, digest_size=_OCTETS, person=b"own")

    # In a Record-Route

    def mint(self, call_id: str, tag: str, sides: Sides = NO_FLOWS) -> str:
        """The token for the dialogs that the owner of `tag` initiates in the call: 20 digits and letters a to f.

        Behind it, each after a dot, the flows to the two sides (RFC 5626 5.3), if there is one. `tag` is empty for a
        client of RFC 2543 that has none.
        """
        if sides is NO_FLOWS or sides == NO_FLOWS:
            return keyed_digits(self.dialog, call_id, tag)
        texts = ["" if flow is None else flow_text(flow) for flow in sides]
        flows = ".".join(texts)
        return f"{self._mint(call_id, tag, flows)}.{flows}"

    def _mint(self, call_id: str, tag: str, flows: str) -> str:
        # The lengths keep apart what would read the same when joined
        return keyed_digits(self._flows, call_id, f"{len(tag)}:{tag}{flows}")

    def valid(self, token: str, call_id: str, from_tag: str, to_tag: str) -> bool:
        """Whether the token is of a dialog that the owner of either tag initiated.

        Either side may send a request in a dialog, so the initiator's tag is in From or in To. Any text may be asked
        about, and the answer takes the same time for all wrong tokens of the right length.
        """
        given, _, flows = token.partition(".")
        if not given.isascii():
            return False
        if flows:
            return any(compare_digest(given, self._mint(call_id, tag, flows)) for tag in (from_tag, to_tag))
        return compare_digest(given, keyed_digits(self.dialog, call_id, from_tag)) or compare_digest(
            given, keyed_digits(self.dialog, call_id, to_tag)
        )

    def flow(self, token: str, call_id: str, from_tag: str) -> Flow | None:
        """The flow to the side that a request in the dialog of a valid `token` goes to, if the token has one.

        The sender is told by its tag, not by where the request came from: that may change during a call.
        """
        given, _, flows = token.partition(".")
        if not flows:
            return None
        initiator, _, recipient = flows.partition(".")
        text = recipient if _same(given, self._mint(call_id, from_tag, flows)) else initiator
        return read_flow(text) if text else None

    # In the branch of a request of our own

    def mark(self, call_id: str, tag: str) -> str:
        """What tells, when it comes back, that we have made a request of that Call-ID and From tag ourselves."""
        return keyed_digits(self._own, call_id, tag)

    def marks(self, branch: str, call_id: str, tag: str) -> bool:
        """Whether a branch ends with that mark."""
        return _same(branch.rpartition(".")[2], self.mark(call_id, tag))

    # In a Path

    def path(self, flow: Flow) -> str:
        """The token of our value of Path, for requests that are to go over `flow` (RFC 5626 5.1, 5.2)."""
        text = flow_text(flow)
        return f"{_PATH}{self._sign(text)}.{text}"

    def path_flow(self, token: str) -> Flow | None:
        """The flow of the token of a Path; None for another kind of text.

        Raises ValueError for one that was tampered with (RFC 5626 5.3.1).
        """
        if not token.startswith(_PATH):
            return None
        given, _, text = token[len(_PATH) :].partition(".")
        if not _same(given, self._sign(text)):
            raise ValueError("not ours")
        return read_flow(text)

    def _sign(self, text: str) -> str:
        digest = self._path.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


@compiled
def keyed_digits(hasher: blake2s, call_id: str, tag: str) -> str:
    """Hexadecimal digits over both. The length keeps apart what would read the same when joined."""
    digest = hasher.copy()
    digest.update(f"{len(call_id)}:{call_id}{tag}".encode("utf-8", "surrogatepass"))  # which no text fails
    return digest.hexdigest()


def _same(given: str, made: str) -> bool:
    return given.isascii() and compare_digest(given, made)
