"""The keyed token in our Record-Route: what tells a request in a dialog that we know from one that only looks like it.

The token proves that this server, or one with the same key, put the Record-Route on the request that made the dialog.
Nothing is stored for it.
"""

from hashlib import blake2s
from hmac import compare_digest

_LEAST_KEY = 16
_OCTETS = 10  # 80 bits, that can only be guessed by asking the server


class TokenKey:
    """Makes and checks tokens with a secret of 16 to 32 octets (ValueError for any other length)."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        if not _LEAST_KEY <= len(key) <= blake2s.MAX_KEY_SIZE:
            raise ValueError(f"a token key has {_LEAST_KEY} to {blake2s.MAX_KEY_SIZE} octets, not {len(key)}")
        self._keyed = blake2s(key=key, digest_size=_OCTETS, person=b"route")

    def mint(self, call_id: str, tag: str) -> str:
        """The token for the dialogs that the owner of `tag` initiates in the call: 20 digits and letters a to f.

        `tag` is empty for a client of RFC 2543 that has none.
        """
        digest = self._keyed.copy()
        # The length keeps apart what would read the same when joined. No text fails to be encoded like this.
        digest.update(f"{len(call_id)}:{call_id}{tag}".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def valid(self, token: str, call_id: str, from_tag: str, to_tag: str) -> bool:
        """Whether the token is of a dialog that the owner of either tag initiated.

        Either side may send a request in a dialog, so the initiator's tag is in From or in To. Any text may be asked
        about, and the answer takes the same time for all wrong tokens of the right length.
        """
        given = token.encode("utf-8", "surrogatepass")
        by_sender = compare_digest(given, self.mint(call_id, from_tag).encode())
        by_receiver = compare_digest(given, self.mint(call_id, to_tag).encode())
        return by_sender or by_receiver
