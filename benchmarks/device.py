"""--device and --dtype of the benchmarks, the machine, and the clock and memory of a device.

A card works on after a call returns, so that a clock is read after ``synchronize``.
"""

import argparse
import os
import platform
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from common.errors import UserError

FLOOR_BYTES = 2**30  # of the tensor that is summed to measure how fast a card reads


def add_device(parser: argparse.ArgumentParser, dtype: str) -> None:
    """Add --device, and --dtype with the default ``dtype``."""
    types = ("float32", "float64")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute")
    parser.add_argument("--dtype", choices=types, default=dtype, help="type of the numbers")


def check_device(device: str) -> None:
    """Raise UserError if there is no such device here."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no CUDA device here; use --device cpu")


def told(action: Callable[[], int]) -> int:
    """The exit code of ``action()``; 2 and one line for a UserError, 130 for Ctrl-C."""
    try:
        return action()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped by Ctrl-C", file=sys.stderr)
        return 130


def synchronize(device: str) -> None:
    """Wait until a card has done its work."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_of(action: Callable[[], object], device: str) -> float:
    """The seconds of a call, until a card has done its work."""
    synchronize(device)
    start = perf_counter()
    action()
    synchronize(device)
    return perf_counter() - start


def peak_memory(device: str = "cpu") -> int:
    """The largest memory so far, in bytes, of this process or on the card.

    Linux counts the memory of the process that started this one in ru_maxrss, but not in VmHWM.
    """
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(x for x in status.read_text("utf-8").splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource  # Unix only

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def machine(device: str, libraries: Sequence[str] = ()) -> dict[str, Any]:
    """What the figures depend on: processor, cores, load, versions, and the card if it computes."""
    names = [line for line in cpu_lines() if line.startswith("model name")]
    versions: dict[str, str | None] = {}
    for library in libraries:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = None
    facts = {
        "processor": names[0].split(":")[1].strip() if names else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": versions,
    }
    if device == "cuda":
        facts |= {"card": torch.cuda.get_device_name(), "card_reads": read_speed(device)}
    return facts


def cpu_lines() -> list[str]:
    """The lines of /proc/cpuinfo; none if this is not Linux."""
    path = Path("/proc/cpuinfo")
    return path.read_text("utf-8").splitlines() if path.is_file() else []


def read_speed(device: str) -> float:
    """The bytes that are read in a second if a large tensor is summed: the floor of every score."""
    numbers = torch.ones(FLOOR_BYTES // 4, device=device)
    numbers.sum()
    return FLOOR_BYTES / min(seconds_of(numbers.sum, device) for _ in range(5))


def computer(facts: dict[str, Any]) -> str:
    """What computes, for the head of a table."""
    if "card" in facts:
        return f"{facts['card']}, which reads {facts['card_reads'] / 1e9:,.0f} GB a second"
    return f"{facts['processor']}, {facts['cores']} cores"
