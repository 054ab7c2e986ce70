"""How much the landing page brings over the wire."""

from typing import Any

from playwright.sync_api import Page

LIMIT = 40_000  # bytes, in all, with nothing cached


def test_the_landing_page_weighs_less_than_forty_kilobytes(guest: Page) -> None:
    received: dict[str, float] = {}
    kinds: dict[str, str] = {}

    def begun(event: dict[str, Any]) -> None:
        kinds[event["requestId"]] = event.get("type", "")

    def done(event: dict[str, Any]) -> None:
        received[event["requestId"]] = event["encodedDataLength"]

    session = guest.context.new_cdp_session(guest)
    session.send("Network.enable")
    session.on("Network.responseReceived", begun)
    session.on("Network.loadingFinished", done)
    guest.goto("/", wait_until="networkidle")

    assert sum(received.values()) < LIMIT, {kinds[name]: size for name, size in received.items()}
    assert list(kinds.values()).count("Document") == 1
    assert list(kinds.values()).count("Stylesheet") == 1
    assert list(kinds.values()).count("Script") == 2  # htmx, and ours


def test_a_second_page_brings_itself_alone(guest: Page) -> None:
    guest.goto("/", wait_until="networkidle")
    sizes: dict[str, float] = {}
    session = guest.context.new_cdp_session(guest)
    session.send("Network.enable")
    session.on(
        "Network.loadingFinished",
        lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}),
    )
    guest.goto("/request", wait_until="networkidle")
    assert len([size for size in sizes.values() if size]) == 1
