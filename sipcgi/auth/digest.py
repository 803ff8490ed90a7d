"""Digest credentials: the answer to a 401 or 407 (RFC 3261 22.2, 22.3; RFC 7616 3.4; RFC 8760)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import md5, sha256

from sipcgi.errors import ParseError
from sipcgi.sip.authentication import Challenge, Credentials
from sipcgi.sip.message import Request, Response

FIELDS = (("www-authenticate", "Authorization"), ("proxy-authenticate", "Proxy-Authorization"))
"""Where a challenge stands, by its canonical name, and where its answer does."""
FIRST = "00000001"
"""nc: each nonce is used once here."""


def _md5(text: bytes) -> str:
    return md5(text, usedforsecurity=False).hexdigest()  # what many servers ask for, and nothing else (RFC 8760 2.1)


def _sha256(text: bytes) -> str:
    return sha256(text).hexdigest()


_SESSION = "-sess"
_HASHES: dict[str, Callable[[bytes], str]] = {"md5": _md5, "sha-256": _sha256}


@dataclass(frozen=True, slots=True)
class Account:
    """What the server answers the challenges of one realm with."""

    realm: str
    user: str
    password: str = field(repr=False)


def authorizations(
    response: Response, request: Request, accounts: Sequence[Account], cnonce: str
) -> list[tuple[str, str]] | None:
    """The header fields with which `request` is sent again after a 401 or 407; None when there is no answer.

    Only a realm that has an account is answered. Of several challenges of a realm the first one that is understood
    counts, for the server prefers it (RFC 8760 2.4). Credentials that were refused are not tried again (22.2), unless
    just their nonce was stale. Those of other realms, which the request has already, are kept (22.3).
    """
    made: list[tuple[str, str]] = []
    new = False
    for challenged, name in FIELDS:
        known = _given(request, name)
        for challenge in _understood(response, challenged):
            realm = challenge.params["realm"]
            account = next((account for account in accounts if account.realm == realm), None)
            if account is None or (name, realm) in [(one, _realm(value)) for one, value in made]:
                continue
            if known.pop(realm, None) is not None and challenge.params.get("stale", "").lower() != "true":
                return None
            made.append((name, str(answer(challenge, account, request, cnonce))))
            new = True
        made += [(name, value) for value in known.values()]
    return made if new else None


def answer(challenge: Challenge, account: Account, request: Request, cnonce: str) -> Credentials:
    """RFC 7616 3.4.1 to 3.4.3, with RFC 2069 for a challenge without qop. `challenge` is one of `_challenges`."""
    params = challenge.params
    algorithm = params.get("algorithm", "MD5")
    hashed = _HASHES[algorithm.lower().removesuffix(_SESSION)]
    session = algorithm.lower().endswith(_SESSION)

    def digest(*parts: str) -> str:
        return hashed(":".join(parts).encode("utf-8", "surrogateescape"))

    nonce, qop = params["nonce"], _qop(params.get("qop"))
    secret = digest(account.user, account.realm, account.password)
    if session:
        secret = digest(secret, nonce, cnonce)
    what = [request.method, request.uri]
    if qop == "auth-int":
        what.append(hashed(request.body))
    between = [nonce, FIRST, cnonce, qop] if qop else [nonce]
    made = {
        "username": account.user,
        "realm": account.realm,
        "nonce": nonce,
        "uri": request.uri,
        "response": digest(secret, *between, digest(*what)),
    }
    made |= {name: params[name] for name in ("algorithm", "opaque") if name in params}
    if qop:
        made |= {"qop": qop, "nc": FIRST}
    if qop or session:
        made["cnonce"] = cnonce
    return Credentials("Digest", made)


def _understood(response: Response, name: str) -> list[Challenge]:
    """The challenges that there is an answer to, in their order: each has a realm and a nonce."""
    found = []
    for value in response.headers.all(name):
        try:
            challenge = Challenge.parse(value)
        except ParseError:
            continue
        params = challenge.params
        hashed = params.get("algorithm", "MD5").lower().removesuffix(_SESSION) in _HASHES
        protected = "qop" not in params or _qop(params["qop"])
        if challenge.scheme.lower() == "digest" and {"realm", "nonce"} <= params.keys() and hashed and protected:
            found.append(challenge)
    return found


def _qop(offered: str | None) -> str:
    """RFC 7616 3.3: of the offered ones; "" for an offer of RFC 2069, or of others alone."""
    words = [word.strip(" ") for word in (offered or "").lower().split(",")]
    return next((word for word in ("auth", "auth-int") if word in words), "")


def _given(request: Request, name: str) -> dict[str, str]:
    """The credentials that a request has, by realm."""
    return {_realm(value): value for value in request.headers.all(name.lower())}


def _realm(credentials: str) -> str:
    try:
        return Credentials.parse(credentials).params.get("realm", "")
    except ParseError:  # a script may have printed anything
        return ""
