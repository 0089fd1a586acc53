"""Time one round of influence scoring by this engine, by three libraries, and its arithmetic alone.

python benchmarks/engine.py [--jobs A B C] [--engines auto pydvl-cg ...]
    [--dtype float64] [--device cuda]

Every contestant runs in a new process, on the same data and at the same weights. contestants.py has
a function for each contestant, problems.py the data of the jobs, measure.py and isolate.py the
measurement of time and memory.
"""

import argparse
import os
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import growth
from contestants import CONTESTANTS, FLOORS
from device import add_device, check_device, computer, machine, told
from isolate import run_isolated
from measure import TOP, measure
from prettytable import PrettyTable
from problems import JOBS, L2, SEPARATION, TOLERANCE, prepare

from common.cli import whole_number

AGREE = 1e-4  # most error, as a share of the largest score, at which times are compared
LIBRARIES = ("torch", "numpy", "pyDVL", "dattri", "captum")


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    return told(lambda: checked_run(options))


def checked_run(options: argparse.Namespace) -> int:
    """``run``, if the device and the folder of --out are there. Raises UserError if not."""
    check_device(options.device)
    if options.out:
        # Late, because it loads pandas: the contestants' processes load this module too.
        from common.files import prepare_folder

        prepare_folder(options.out.resolve().parent)
    run(options)
    return 0


def contest_parser(about: str, jobs: list[str], engines: list[str]) -> argparse.ArgumentParser:
    """The options of every contest: its jobs, its contestants, the device and type of numbers."""
    parser = argparse.ArgumentParser(
        description=about.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--jobs", nargs="+", choices=jobs, default=jobs, help="jobs to run")
    add("--engines", nargs="+", choices=engines, default=engines, help="contestants to run")
    add_device(parser, dtype="float32")
    return parser


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = contest_parser(__doc__, list(JOBS), list(CONTESTANTS))
    add, count = parser.add_argument, whole_number(1)
    add(
        "--repeats", type=count, default=5, help="timed calls at least, of which the fastest counts"
    )
    add("--limit", type=count, default=300, help="seconds after which a contestant is stopped")
    add("--threads", type=count, default=os.cpu_count(), help="threads of each contestant")
    add("--shrink", type=count, default=1, help="divide all row counts, for a quick look")
    add("--no-growth", action="store_true", help="do not measure the growth in n, D and K")
    add("--out", type=Path, help="JSON file for the figures")
    return parser.parse_args(argv)


def save(path: Path | None, result: dict[str, Any]) -> None:
    """Write the figures so far to the JSON file ``path``, if there is one."""
    if path:
        from common.files import json_bytes, write_files  # late, see main

        write_files(path.resolve().parent, {path.name: json_bytes(result)})


def run(options: argparse.Namespace) -> None:
    """Measure, save and print one job after another, and then the growth."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(options.threads)  # a process reads it when it starts
    chosen = {name: value for name, value in vars(options).items() if name != "out"}
    facts = machine(options.device, LIBRARIES)
    result: dict[str, Any] = {"options": chosen, "machine": facts, "jobs": {}}
    print(header(options, facts))
    with tempfile.TemporaryDirectory() as folder:
        for name in options.jobs:
            job = JOBS[name].shrunk(options.shrink)
            path = Path(folder) / f"{name}.pt"
            facts = run_isolated(prepare, options.limit, job, options.dtype, path)
            if "status" in facts:
                print(f"\n{name}: {job}: drawing and fitting: {facts['status']}")
                continue
            print(
                f"\n{name}: {job}; {facts['parameters']:,} parameters, mean confidence on the pool "
                f"{facts['confidence']:.2f}, plain CG needs {facts['cg_steps']} steps"
            )
            records = {engine: contest(engine, path, options) for engine in options.engines}
            result["jobs"][name] = {"sizes": vars(job), **facts, "contestants": records}
            save(options.out, result)
            print(contest_table(records, options.engines))
            path.unlink()
    if not options.no_growth:
        result["growth"] = run_isolated(growth.times, options.limit, options)
        save(options.out, result)
        print("\n" + growth.table(result["growth"]))


def header(options: argparse.Namespace, facts: dict[str, Any]) -> str:
    """What is measured, how, and on which machine."""
    versions = ", ".join(f"{name} {number or '-'}" for name, number in facts["versions"].items())
    text = f"""
        One round: from fitted weights, the validation gradient, H over the labeled set, the solve,
        the benefit of every pool row under every class, and the {TOP} best. The same for all: data,
        weights, rows of H, penalty (l2 = {L2:g}, no intercept), {options.dtype} numbers,
        {options.threads} threads, and CG to a residual of {TOLERANCE[options.dtype]:g} of the
        gradient's norm (this engine by its own rule). Data: Gaussian classes whose means are
        {SEPARATION:g} deviations apart, so that few probabilities are near 0 or 1.
        Seconds: the fastest of the calls stated, {options.repeats} or more and for 0.5 s or more,
        fewer if they take more than 30 s, after a small and a whole call that are not timed.
        ×: seconds over those of this engine. Error: largest difference from the reference, this
        engine's float64 Cholesky scores, over the largest score. Top {TOP}: how many of the {TOP}
        best pairs of row and label equal those of the reference, place by place. MB: peak memory of
        the contestant's process, or of the card, less its peak when data and library were loaded.
        {computer(facts)}, Python {facts["python"]}, {versions}"""
    load = facts["load"] or 0.0
    busy = f"\nnote: other programs run on this machine (load {load:.1f}): the times are too long"
    return textwrap.fill(" ".join(text.split()), 100) + busy * (load > 1)


def contest(engine: str, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one contestant on the problem saved at ``path``, or why it has none."""
    contestant = CONTESTANTS[engine]
    if find_spec(contestant.module) is None:
        record = {"status": "not installed (pip install --no-deps -r requirements-bench.txt)"}
    else:
        arguments = engine, path, options.threads, options.repeats, options.device
        record = run_isolated(measure, options.limit, *arguments)
    return {"title": contestant.title} | record


def contest_table(records: dict[str, dict[str, Any]], engines: Sequence[str]) -> str:
    """The figures as a table, a row for each contestant."""
    table = PrettyTable(
        ["contestant", "float", "seconds", "×", "error", f"top {TOP}", "MB", "calls"]
    )
    table.align = "r"
    table.align["contestant"] = "l"
    ours = [e for e in ("auto", "cholesky", "cg") if "seconds" in records.get(e, {})]
    for engine in engines:
        record = records[engine]
        if "status" in record:
            table.add_row([f"{record['title']}: {record['status']}", *[""] * 7])
            continue
        ratio = record["seconds"] / records[ours[0]]["seconds"] if ours else None
        floor = engine in FLOORS
        table.add_row(
            [
                record["title"],
                record["float"].removeprefix("float"),
                f"{record['seconds']:.2g}" if record["seconds"] < 1 else f"{record['seconds']:.1f}",
                (f"{ratio:,.0f}" if ratio >= 99.5 else f"{ratio:.2g}") if ours else "",
                "" if floor else f"{record['error']:.0e}" + "!" * (not record["error"] <= AGREE),
                "" if floor else record["same_top"],
                f"{record['extra_mb']:.0f}",
                record["calls"],
            ]
        )
    wrong = any(not record.get("error", 0) <= AGREE for record in records.values())
    note = f"\n!: error above {AGREE:g}, so that its time does not count" if wrong else ""
    return table.get_string() + note


if __name__ == "__main__":
    sys.exit(main())
