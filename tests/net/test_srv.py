"""RFC 2782: which server of a service is tried first."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.net.srv import Srv, in_order

weights = st.lists(st.integers(0, 50), min_size=1, max_size=8)
records = st.lists(st.builds(Srv, st.integers(0, 3), st.integers(0, 65535), st.just(5060), st.just("a")), max_size=12)


def servers(weights):
    return [Srv(0, weight, 5060, f"server{number}") for number, weight in enumerate(weights)]


@pytest.mark.rfc("2782", "Weight")
@given(weights)
def test_a_server_is_first_as_often_as_its_weight_says(weights):
    """Each number from 0 to the sum of all weights is drawn once: the running sums share them out."""
    total = sum(weights)
    group = servers(weights)
    first = Counter(in_order(group, lambda drawn=drawn: (drawn + 0.5) / (total + 1))[0] for drawn in range(total + 1))
    lightest = min(group, key=lambda server: server.weight)
    if total:
        assert first == Counter({one: one.weight + (one is lightest) for one in group if one.weight or one is lightest})


@pytest.mark.rfc("2782", "Weight")
def test_the_shares_of_many_calls():
    draw = Random(1).random
    heavy, light, none = servers([3, 1, 0])
    orders = Counter(tuple(in_order([heavy, light, none], draw)) for _ in range(10_000))
    assert sum(orders.values()) == 10_000
    # drawn from 0 to 4: the server of weight 0 has one of five, the lighter one the next, the heavy one the rest
    assert 1900 < sum(count for order, count in orders.items() if order[0] is none) < 2100
    assert 5850 < sum(count for order, count in orders.items() if order[0] is heavy) < 6150
    # what is left over is drawn in the same way: 0 to 1 between `none` and `light`
    rest = [order[1] for order in orders.elements() if order[0] is heavy]
    assert 0.45 < rest.count(light) / len(rest) < 0.55


def test_without_weights_all_are_alike():
    draw = Random(1).random
    first = Counter(in_order(servers([0, 0, 0]), draw)[0].target for _ in range(3000))
    assert all(900 < count < 1100 for count in first.values())
    assert len(first) == 3


@pytest.mark.rfc("2782", "Priority")
@given(records, st.randoms(use_true_random=False))
def test_every_server_has_its_turn_and_a_lower_priority_comes_first(records, random):
    ordered = in_order(records, random.random)
    assert Counter(ordered) == Counter(records)
    assert [one.priority for one in ordered] == sorted(one.priority for one in records)
