"""What a configuration says of each domain."""

from typing import Any

import pytest

from sipcgi.config.load import load
from sipcgi.config.mistakes import ConfigErrors
from sipcgi.engine.domains import DomainSettings
from sipcgi.registrar.register import Limits


def mistakes(site: Any, text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load(site.configure(text))
    return [str(error).removeprefix(str(site.file)) for error in caught.value.errors]


def test_a_domain_has_what_it_says_and_else_what_is_said_for_all(site: Any) -> None:
    configuration = load(
        site.configure(
            """\
            domains:
              - example.com
              - name: Example.ORG.
                default_action: redirect
                recurse: false
                group_timeout: 10s
                min_expires: 2m
                max_expires: 1h
                service_route: "<sip:hsp.example.org;lr>"
                flow_timer: 4m
              - {name: "[2001:DB8::1]", default_expires: 600, max_contacts: 3}
            recurse: true
            group_timeout: 20s
            max_contacts: 5
            service_route: [sip:p2.example.com;lr, "sips:hsp.example.com:5061;lr"]
            flow_timer: 30s
            """
        )
    )
    assert configuration.domains == ("example.com", "example.org", "2001:db8::1")
    general = DomainSettings(
        recurse=True,
        group_timeout=20.0,
        limits=Limits(most_contacts=5),
        service_route=("sip:p2.example.com;lr", "sips:hsp.example.com:5061;lr"),
        flow_timer=30,
    )
    assert configuration.of_domain() == configuration.of_domain("example.com") == general
    assert configuration.of_domain("example.org") == DomainSettings(
        redirect=True,
        group_timeout=10.0,
        limits=Limits(minimum=120, maximum=3600, most_contacts=5),
        service_route=("sip:hsp.example.org;lr",),
        flow_timer=240,
    )
    assert configuration.of_domain("2001:db8::1").limits == Limits(default=600, most_contacts=3)


def test_nothing_said(site: Any) -> None:
    configuration = load(site.configure("domains: {name: example.com}\n"))
    assert configuration.of_domain("example.com") == configuration.of_domain() == DomainSettings()
    assert not configuration.of_domain().redirect
    assert configuration.of_domain().group_timeout is None


def test_the_command_line_names_domains_and_the_file_says_what_they_are_like(site: Any) -> None:
    site.configure("default_action: redirect\ndomains: [{name: a.example, default_action: proxy}, b.example]\n")
    configuration = load(site.file, domains=["a.example", "c.example"])
    assert configuration.domains == ("a.example", "c.example")
    assert [configuration.of_domain(name).redirect for name in configuration.domains] == [False, True]


@pytest.mark.rfc("3608", "5-2", "6.3-3")
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("domains: [{default_action: proxy}]", ":1: domains.0.name: is missing"),
        (
            "domains:\n- name: a\n  default_action: relay",
            ":3: domains.0.default_action: 'relay' is neither proxy nor redirect",
        ),
        ("domains: true", ":1: domains: 'true' says nothing here: write the name of a host or domain"),
        ("domains: [Off]", ":1: domains.0: 'Off' says nothing here: write the name of a host or domain"),
        ("domains:\n- name: a b", ":2: domains.0.name: 'a b' is neither a host name nor an address"),
        ("domains:\n- name: a\n  recurs: yes", ":3: domains.0.recurs: unknown key; did you mean 'recurse'?"),
        (
            "domains:\n- name: a\n  group_timeout: soon",
            ":3: domains.0.group_timeout: 'soon' is no duration: write a number with ms, s, m or h, like 500ms or 5s",
        ),
        ("domains:\n- a\n- name: A\n  recurse: yes", ":3: domains.1: a is there twice, first in line 2"),
        (
            "min_expires: 2h",
            ":1: min_expires: must be at most 1h: no registrar refuses an hour as too brief (RFC 3261 10.3)",
        ),
        ("default_expires: 500ms", ":1: default_expires: must be at least 1s"),
        ("max_expires: 30", ":1: max_expires: max_expires is 30 s and min_expires 60 s, which is more"),
        (
            "max_expires: 600\ndomains:\n- name: a\n  min_expires: 700",
            ":4: domains.0.min_expires: max_expires is 600 s and min_expires 700 s, which is more",
        ),
        ("default_expires: 30", ":1: default_expires: default_expires is 30 s and min_expires 60 s, which is more"),
        ("flow_timer: 241", ":1: flow_timer: must be at most 4m: a silent connection is closed after 5 minutes"),
        ("service_route: sip:p;l", ":1: service_route: 'sip:p;l' must name a loose router: append ;lr"),
        ("service_route: tel:1", ":1: service_route: 'tel:1' is no SIP URI: write it like sip:proxy.example.com;lr"),
        (
            "service_route:\n- sip:p;lr\n- p;lr",
            ":3: service_route.1: 'p;lr' is no SIP URI: write it like sip:proxy.example.com;lr",
        ),
        ("max_contacts: 0", ":1: max_contacts: '0' is no whole number from 1 to 10000"),
    ],
)
def test_mistakes(site: Any, text: str, wrong: str) -> None:
    assert mistakes(site, text) == [wrong]


def test_a_name_twice_with_nothing_of_its_own_is_no_mistake(site: Any) -> None:
    assert load(site.configure("domains: [a, A, b]\n")).domains == ("a", "b")
