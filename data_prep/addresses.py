"""Addresses that a user's environment gives: the archive, the hub, a proxy."""

import os
import socket
import threading
import urllib.request
from urllib.parse import SplitResult, urlsplit

from common.errors import UserError

PROBE_LIMIT = 1.5  # seconds to reach a host: without a network a script ends within ten


def address_in(variable: str, default: str) -> str:
    """The address that an environment variable holds, or the default one.

    Raises UserError, which does not repeat the address, if it is none, or has a password in it.
    """
    text = os.environ.get(variable) or default
    parts = _parts(text)
    if parts is None or parts.scheme not in ("http", "https"):
        raise UserError(f"{variable} is no address: give one such as https://host:8080")
    if "@" in parts.netloc:  # urllib would take it for a part of the host's name
        raise UserError(f"{variable} holds a user or a password: give the address alone")
    return text.rstrip("/")


def _parts(text: str) -> SplitResult | None:
    """The parts of an address; None if it is none."""
    try:
        parts = urlsplit(text)
        return parts if parts.hostname and parts.port != 0 and text.isprintable() else None
    except ValueError:  # brackets that do not match, or a port that is no number
        return None


def unreachable(address: str) -> str | None:
    """Why the host of ``address``, or the proxy before it, takes no connection; None if it does."""
    parts = _parts(address)
    proxy = urllib.request.getproxies().get(parts.scheme) if parts else None
    if parts and proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = _parts(proxy if "//" in proxy else f"//{proxy}")
        if parts is None:
            return "the proxy that the environment names is no address"
    if parts is None:
        return "this is no address"
    host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    answer: list[str | None] = [f"no answer within {PROBE_LIMIT:g} s"]

    def probe() -> None:
        try:
            socket.create_connection((host, port), PROBE_LIMIT).close()
            answer[0] = None
        except (OSError, ValueError) as error:  # a name too long to look up is a ValueError
            answer[0] = str(error)

    # in a thread, because looking up a name has no limit of its own
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(PROBE_LIMIT + 0.2)
    return answer[0]


def out_of_reach(address: str) -> str | None:
    """As ``unreachable``, but asked a second time before the answer is believed."""
    return unreachable(address) and unreachable(address)
