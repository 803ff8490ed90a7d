"""What a configuration may say and this version does not do yet: refused, so that nothing is read and then ignored.

Each works as soon as nothing here names it any more. Every function raises ValueError.
"""

STORES = frozenset(("sqlite",))


def with_store(url: str) -> str:
    scheme = url.partition(":")[0]
    if scheme in STORES:
        raise ValueError(f"{scheme}:// is not supported yet: leave it out for memory://")
    return url


def without_reroute(on: bool) -> bool:
    if on:
        raise ValueError("true is not supported yet")
    return on
