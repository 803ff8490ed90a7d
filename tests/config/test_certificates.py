"""Which listener has which certificate, and every mistake in their files."""

from pathlib import Path
from typing import Any

import pytest
import trustme

from sipcgi.config.load import load
from sipcgi.config.mistakes import ConfigErrors
from sipcgi.net.endpoint import TlsSettings


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of certificates."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("sip", "web"):
        certificate = authority.issue_cert(f"{name}.example.com")
        certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        certificate.private_key_pem.write_to_path(folder / f"{name}.key")
        certificate.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}-both.pem")
    return folder


@pytest.fixture
def tls(site: Any, made: Path) -> Path:
    """The folder `tls` beside `conf`."""
    folder = site.root / "tls"
    folder.symlink_to(made)
    (site.root / "conf").mkdir()
    return made


def mistakes(path: Path | None = None, **overrides: Any) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load(path, **overrides)
    return [str(error).removeprefix(str(path)) for error in caught.value.errors]


def test_of_the_listener_or_of_all(site: Any, tls: Path) -> None:
    configuration = load(
        site.configure(
            """\
            listen:
              - udp://0.0.0.0
              - tls://0.0.0.0
              - {url: "wss://0.0.0.0", advertise: web.example.com, tls: {certificate: ../tls/web-both.pem}}
              - {url: "tls://0.0.0.0:5062", tls: {ca: ../tls/web.pem}}
              - {url: "tls://0.0.0.0:5063", tls: }
              - ws://0.0.0.0
            tls:
              certificate: ../tls/sip.pem
              key: ../tls/sip.key
              ca: ../tls/ca.pem
            """
        )
    )
    both = TlsSettings(tls / "sip.pem", tls / "sip.key", tls / "ca.pem")
    assert [listener.tls for listener in configuration.listen] == [
        None,
        both,
        TlsSettings(tls / "web-both.pem", None, tls / "ca.pem"),
        TlsSettings(tls / "sip.pem", tls / "sip.key", tls / "web.pem"),
        both,
        None,
    ]
    assert [listener.scheme for listener in configuration.listen] == ["udp", "tls", "wss", "tls", "tls", "ws"]


def test_of_one_listener_that_is_no_list(site: Any, tls: Path) -> None:
    for text in (
        f"listen: {{url: tls://0.0.0.0, tls: {{certificate: {tls}/sip-both.pem}}}}\n",
        f"listen: tls://0.0.0.0\ntls: {{certificate: {tls}/sip-both.pem}}\n",
    ):
        (listener,) = load(site.configure(text)).listen
        assert listener.tls == TlsSettings(tls / "sip-both.pem")


def test_of_one_of_the_command_line(site: Any, tls: Path) -> None:
    path = site.configure(f"tls: {{certificate: {tls}/sip-both.pem}}\n")
    configuration = load(path, listen=["tls://127.0.0.1", "ws://127.0.0.1"])
    assert [listener.tls for listener in configuration.listen] == [TlsSettings(tls / "sip-both.pem"), None]
    path.unlink()
    assert mistakes(listen=["udp://127.0.0.1", "wss://127.0.0.1"]) == [
        "command line:2: --listen: wss:// needs a certificate: write `tls: {certificate: FILE, key: FILE}`"
        " into the configuration"
    ]


def test_every_mistake_at_once(site: Any, tls: Path) -> None:
    path = site.configure(
        """\
        tls:
          key: ../tls/sip.key
          ca: ../tls/sip.key
        listen:
          - tls://0.0.0.0
          - url: wss://0.0.0.0
            tls:
              certificate: ../tls/none.pem
          - url: wss://0.0.0.0:444
            tls:
              certificate: ../tls/web.pem
              key: ../tls/sip.key
          - url: wss://0.0.0.0:445
            tls: {certificate: ../tls/web.pem}
          - {url: "udp://0.0.0.0", tls: {certificate: ../tls/web-both.pem}}
          - {url: "wss://0.0.0.0:446", tls: {key: ../tls/web.key}}
          - {url: "wss:0.0.0.0", tls: {ca: ../tls}}
        """
    )
    needs = "write `tls: {certificate: FILE, key: FILE}` into the configuration"
    assert mistakes(path) == [
        ":2: tls.key: is there without a certificate",
        f":3: tls.ca: {tls}/sip.key holds no certificate in PEM form",
        f":5: listen.0: tls:// needs a certificate: {needs}",
        f":8: listen.1.tls.certificate: {tls}/none.pem is not there",
        f":12: listen.2.tls.key: {tls}/sip.key is not the key of the certificate",
        f":14: listen.3.tls.certificate: {tls}/web.pem holds no private key, and no key file is named",
        ":15: listen.4.tls: means nothing to udp://",
        ":16: listen.5.tls.key: is there without a certificate",
        f":16: listen.5.url: wss:// needs a certificate: {needs}",
        ":17: listen.6.url: 'wss:0.0.0.0' is no listener: write it like udp://0.0.0.0:5060 or tcp://[::]:5060",
        f":17: listen.6.tls.ca: {site.root}/tls is no file",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tls: x", ":1: tls: must be a mapping: lines of 'key: value', indented below it"),
        ("tls: {certificate: }", ":1: tls.certificate: has no value"),
        ('tls: {certificate: ""}', ":1: tls.certificate: is no file"),
        ('tls: {key: "a\\0b"}', ":1: tls.key: is no file"),
        ("listen: [{url: tls://x, tls: {keys: y}}]", ":1: listen.0.tls.keys: unknown key; did you mean 'key'?"),
        ("tls: {ca: [x]}", ":1: tls.ca: must be one value, not a list"),
        ("listen: {url: udp://x, tls: {ca: [x]}}", ":1: listen.0.tls.ca: must be one value, not a list"),
        ("tls: {certificate: " + "x" * 300 + "}", "x cannot be read: File name too long"),
    ],
)
def test_what_is_no_file(site: Any, text: str, said: str) -> None:
    assert any(said in mistake for mistake in mistakes(site.configure(text)))


@pytest.mark.parametrize("text", ["tls:\n", "tls: {}\n", "listen: [{url: tls://x, tls: }]\ntls: {certificate: CERT}\n"])
def test_a_key_with_nothing_below_it_is_as_good_as_none(site: Any, tls: Path, text: str) -> None:
    load(site.configure(text.replace("CERT", str(tls / "sip-both.pem"))))
