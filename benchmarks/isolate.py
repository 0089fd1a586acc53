"""A call in a fresh process with a time limit; no library is loaded here."""

import multiprocessing
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection


def alone(action: Callable, limit: float, *arguments) -> dict:
    """What ``action(*arguments)`` returns in a fresh process, or {"status": why it did not}."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, action, *arguments))
    process.start()
    sender.close()
    try:
        if not receiver.poll(limit):
            return {"status": f"not finished in {limit:g} s"}
        answer = receiver.recv()
        process.join(10)  # else it could not tidy up
        return answer
    except EOFError:  # killed, perhaps for want of memory
        process.join()
        return {"status": f"ended with exit code {process.exitcode}"}
    finally:
        process.kill()
        process.join()


def _send(sender: Connection, action: Callable, *arguments) -> None:
    warnings.simplefilter("ignore")  # the libraries': of what is deprecated in their own imports
    try:
        sender.send(action(*arguments))
    except (Exception, SystemExit) as error:  # a library's failure is a result too
        sender.send({"status": f"failed: {type(error).__name__}: {error}"[:200]})
