"""Call a function in a new process with a time limit. No library is loaded here."""

import multiprocessing
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


def run_isolated(action: Callable[..., Any], limit: float, *arguments: Any) -> Any:
    """What ``action(*arguments)`` returns in a new process.

    If it takes longer than ``limit`` seconds, raises an exception, or ends the process, the result
    is {"status": a text that says so}.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, action, *arguments))
    process.start()
    sender.close()
    try:
        if not receiver.poll(limit):
            return {"status": f"not finished in {limit:g} s"}
        result = receiver.recv()
        process.join(10)  # it may have files to remove before it is killed
        return result
    except EOFError:  # the process was killed, perhaps for want of memory
        process.join()
        return {"status": f"ended with exit code {process.exitcode}"}
    finally:
        process.kill()
        process.join()


def _send(sender: Connection, action: Callable[..., Any], *arguments: Any) -> None:
    warnings.simplefilter("ignore")  # the libraries import what their dependencies deprecate
    try:
        sender.send(action(*arguments))
    except (Exception, SystemExit) as error:  # that a library fails is a result too
        sender.send({"status": f"failed: {type(error).__name__}: {error}"[:200]})
