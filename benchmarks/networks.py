"""Time the influence of every training row of a network on every test row, and test it.

python benchmarks/networks.py [--jobs D E E-last] [--engines rows kronfluence ...] [--device cuda]

For each job a network is trained, and retrained on random halves of its rows. Every contestant runs
in a new process, on the same data and the same weights. network_contestants.py has a function for
each, network_jobs.py the data, the networks and the linear datamodeling score (LDS).
"""

import argparse
import os
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from device import check_device, computer, machine, peak_memory, synchronize, told
from engine import LIBRARIES, contest_parser, save
from isolate import run_isolated
from network_contestants import CONTESTANTS, Contestant
from network_jobs import FEW, JOBS, SUBSETS, Job, Problem, linear_datamodeling_score, prepare
from prettytable import PrettyTable

from common.cli import whole_number

TRAINING = 3_600  # seconds after which the training of a job is stopped
HIGHEST = 1e6  # the damping at which a contestant that fails on all smaller ones is given up


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    return told(lambda: checked_run(options))


def checked_run(options: argparse.Namespace) -> int:
    """``run``, if the device and the folders are there. Raises UserError if not."""
    check_device(options.device)
    from common.files import prepare_folder  # late, as in engine.py

    for folder in (options.keep, options.out):
        if folder:
            prepare_folder(folder.resolve())
    run(options)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = contest_parser(__doc__, list(JOBS), list(CONTESTANTS))
    add, count = parser.add_argument, whole_number(1)
    add("--repeats", type=count, default=3, help="timed calls, of which the fastest counts")
    add("--limit", type=count, default=1_200, help="seconds after which a contestant is stopped")
    add("--threads", type=count, default=os.cpu_count(), help="threads of each contestant")
    add("--shrink", type=count, default=1, help="divide rows and epochs, for a quick look")
    add("--keep", type=Path, help="folder that keeps the trained networks for the next call")
    add("--out", type=Path, help="folder for the figures, a JSON file for each job")
    return parser.parse_args(argv)


def run(options: argparse.Namespace) -> None:
    """Measure, save and print one job after another."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(options.threads)  # a process reads it when it starts
    os.environ["TQDM_DISABLE"] = "1"  # the libraries print bars
    chosen = {k: v for k, v in vars(options).items() if k not in ("jobs", "out", "keep")}
    facts = machine(options.device, LIBRARIES + ("kronfluence", "traker"))
    print(header(options, facts))
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.jobs:
            job = JOBS[name] if options.shrink == 1 else JOBS[name].shrunk(options.shrink)
            trained = name.partition("-")[0]  # E-last has the network of E
            path = options.keep or Path(scratch)
            path /= f"{trained}-{options.dtype}-{options.shrink}.pt"
            if not is_trained(job, path):
                made = run_isolated(prepare, TRAINING, job, options.dtype, options.device, path)
                if "status" in made:
                    print(f"\n{name}: {job}: training: {made['status']}")
                    continue
            training = torch.load(path, weights_only=False)["training"]
            print(f"\n{name}: {job}; " + described(job, training))
            records: dict[str, dict[str, Any]] = {}
            figures = {"options": chosen, "machine": facts, **training, "contestants": records}
            for engine in options.engines:
                records[engine] = contest(engine, job, path, options)
                save(options.out and options.out / f"{name}.json", figures)
            print(contest_table(records))


def header(options: argparse.Namespace, facts: dict[str, Any]) -> str:
    """What is measured, how, and on which machine."""
    versions = ", ".join(f"{name} {number or '-'}" for name, number in facts["versions"].items())
    text = f"""
        The influence of every training row on the loss of every test row, from trained weights, in
        {options.dtype}, with {options.threads} threads. LDS: rank correlation, over {SUBSETS}
        random halves of the training rows, of the sum of a half's influences with the test loss of
        a network retrained on it, the mean over the test rows. Damping: a multiple of the
        training's l2, the best for every contestant on other halves and other test rows, -: the
        library's own. Seconds: the fastest of {options.repeats} calls, without the choice; CPU s:
        those of the processor. ×: the cost over that of the first contestant, by CPU s on one
        thread, which another program does not lengthen, else by seconds. ~: a contestant that
        solves a system for each test row ran for the first {FEW} rows, and its seconds are scaled
        to all; the second LDS is on these rows. MB: peak memory of the process, or of the card,
        above that with data and library loaded.
        {computer(facts)}, {versions}"""
    load = facts["load"] or 0.0
    busy = f"\nnote: other programs run on this machine (load {load:.1f}): the times are too long"
    return textwrap.fill(" ".join(text.split()), 100) + busy * (load > 1)


def is_trained(job: Job, path: Path) -> bool:
    """Whether the file holds the networks of this job, trained as it says."""
    if not path.is_file():
        return False
    saved = torch.load(path, weights_only=False)["problem"].job
    return replace(saved, last="") == replace(job, last="")


def described(job: Job, training: dict[str, float]) -> str:
    """What is printed of the training of a job."""
    network = job.build()
    count = sum(p.numel() for n, p in network.named_parameters() if n.startswith(job.last))
    return (
        f"{count:,} parameters may change; accuracy {training['accuracy']:.3f}, norm of the "
        f"gradient {training['slope']:.0e}; halves retrained {job.inits} times, of which half and "
        f"half agree by {training['agreement']:.2f}, so that a perfect LDS is "
        f"{training['ceiling']:.2f}"
    )


def contest(engine: str, job: Job, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one contestant on the job saved at ``path``, or why it has none."""
    contestant = CONTESTANTS[engine]
    if find_spec(contestant.module) is None:
        record = {"status": "not installed (pip install --no-deps -r requirements-bench.txt)"}
    else:
        arguments = engine, job, path, options.device, options.threads, options.repeats
        record = run_isolated(measure, options.limit, *arguments)
    return {"title": contestant.title} | record


def measure(
    engine: str, job: Job, path: Path, device: str, threads: int, repeats: int
) -> dict[str, Any]:
    """LDS, time and memory of one contestant, in a process that does nothing else."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    contestant, saved = CONTESTANTS[engine], torch.load(path, weights_only=False)
    problem, other = (saved[part].of(job).to(device) for part in ("problem", "other"))
    count = len(problem.X_test)
    problem, other = (p.with_rows(contestant.rows or count) for p in (problem, other))
    before = peak_memory(device)
    tried = choose_damping(contestant, other)
    damping = max((d for d in tried if tried[d] is not None), key=lambda d: tried[d])
    scores, times = torch.empty(0), []
    for _call in range(repeats):
        synchronize(device)
        start = perf_counter(), process_time()
        scores = contestant.scores(problem, damping).cpu()  # waits for a card
        times.append((perf_counter() - start[0], process_time() - start[1]))
    scale = count / len(problem.X_test)
    seconds, processor = (scale * min(column) for column in zip(*times, strict=True))
    return {
        "damping": damping,
        "tried": list(tried.items()),
        "lds": linear_datamodeling_score(scores, problem),
        "lds_few": linear_datamodeling_score(scores[:FEW], problem.with_rows(FEW)),
        "seconds": seconds,
        "processor": processor,
        "cost": processor if threads == 1 and device == "cpu" else seconds,
        "scaled": len(problem.X_test) < count,
        "extra_mb": (peak_memory(device) - before) / 1e6,
    }


def choose_damping(contestant: Contestant, other: Problem) -> dict[float | None, float | None]:
    """The LDS on ``other`` of every damping tried; None if it is too small for the contestant.

    From the start, one step of about 3 at a time, until the neighbours of the best are worse: so
    the best damping never lies at the edge. Raises LinAlgError if every damping is too small.
    """
    found: dict[float | None, float | None] = {}

    def lds(damping: float | None) -> float:
        if damping not in found:
            try:
                scores = contestant.scores(other, damping)
                found[damping] = linear_datamodeling_score(scores, other)
            except np.linalg.LinAlgError:
                if damping is not None and damping >= HIGHEST:
                    raise
                found[damping] = None
        score = found[damping]
        return -2.0 if score is None else score

    best = contestant.start
    while lds(best) == -2.0:
        best = next_damping(best, up=True)
    moved = True
    while moved:
        nearby = (best, next_damping(best, up=False), next_damping(best, up=True))
        moved, best = (top := max(nearby, key=lds)) != best, top
    for damping in contestant.own:
        lds(damping)
    return found


def next_damping(damping: float, up: bool) -> float:
    """The next larger or smaller of ..., 1, 3, 10, 30, 100, ..."""
    place = round(2 * np.log10(damping)) + (1 if up else -1)
    return float(f"{10.0 ** (place // 2) * (3 if place % 2 else 1):.0e}")


def contest_table(records: dict[str, dict[str, Any]]) -> str:
    """The figures as a table, a row for each contestant."""
    table = PrettyTable(
        ["contestant", "damping", "LDS", f"LDS {FEW}", "seconds", "CPU s", "×", "MB"]
    )
    table.align = "r"
    table.align["contestant"] = "l"
    first = next((r["cost"] for r in records.values() if "cost" in r), None)
    for record in records.values():
        if "status" in record:
            title = textwrap.shorten(f"{record['title']}: {record['status']}", 90)
            table.add_row([title, *[""] * 7])
            continue
        damping, about = record["damping"], "~" * record["scaled"]
        numbers = record["seconds"], record["processor"], record["cost"] / first
        table.add_row(
            [
                record["title"],
                "-" if damping is None else f"{damping:g}",
                "" if about else f"{record['lds']:.3f}",
                f"{record['lds_few']:.3f}",
                *(about + (f"{x:.2g}" if x < 99.5 else f"{x:,.0f}") for x in numbers),
                f"{record['extra_mb']:,.0f}",
            ]
        )
    return table.get_string()


if __name__ == "__main__":
    sys.exit(main())
