"""The processes of a session, as a test looks at them."""

import os

import psutil


def alive_in(session: int) -> list[int]:
    """The processes of a session that are no zombies."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getsid(process.pid) == session and process.info["status"] != "zombie":
                found.append(process.pid)
        except OSError:
            continue
    return found
