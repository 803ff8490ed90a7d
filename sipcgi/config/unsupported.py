"""What a configuration may say and this version does not do yet: refused, so that nothing is read and then ignored.

Each works as soon as nothing here names it any more. Every function raises ValueError.
"""


def without_reroute(on: bool) -> bool:
    if on:
        raise ValueError("true is not supported yet")
    return on
