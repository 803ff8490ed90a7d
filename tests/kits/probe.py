"""Reads what it is given when a response comes, and asks for everything that can be asked for when a request does.

When an ACK comes, its body goes into a request.
"""

import os

import sipcgi_kit
from sipcgi_kit import Call


def show(*values: object) -> None:
    print(*("-" if value is None else value for value in values), sep="\t")


def read(call: Call) -> None:
    show(call.event, call.method, call.uri, call.status, call.reason, call.pending, call.target, call.token)
    show(call.header("subject"), call.header("X-None"))
    for element in call.headers("X-List"):
        show(element)
    for each in call.addresses("X-List"):
        show(each.display, each, each.scheme, each.user, each.host, each.port, each.tag, each.params.get("n"))
    for each in call.get_regs():
        show(each, f"{each.q:g}", each.expires)
    if call.cookie:
        show(call.cookie["n"])


def ask(call: Call, value: dict[str, str]) -> None:
    call.proxy(
        call.uri,
        {value["NAME"]: value["VALUE"]},
        timeout=int(value["SECONDS"]),
        expires=30,
        token=value["TOKEN"],
        remove=["Subject", value["REMOVE"]],
        content_type=value["TYPE"],
        body=value["BODY"],
    )
    contact = sipcgi_kit.address(
        f"sip:{sipcgi_kit.escape(value['USER'])}@example.com", value["DISPLAY"], {"p": value["PARAM"]}
    )
    call.reply(int(value["STATUS"]), value["REASON"], {"Contact": contact}, body="")
    call.request(
        value["METHOD"],
        value["URI"],
        {"Subject": value["VALUE"]},
        timeout=int(value["SECONDS"]),
        expires=60,
        token=value["TOKEN"],
        content_type=value["TYPE"],
        body=value["BODY"],
    )
    call.request("BYE", token=value["TOKEN"])
    call.forward(value["TOKEN"])
    call.forward()
    call.again(after=int(value["SECONDS"]))
    call.cookie = {"n": value["COOKIE"]}


with Call() as call:
    if call.event == "ack":
        call.request("INFO", token="t", content_type="a/b", body=call.body)
    elif call.is_response:
        read(call)
    else:
        ask(call, dict(os.environ))
