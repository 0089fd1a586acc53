"""One round of influence scoring by this engine, by three libraries and by the bare arithmetic.

python benchmarks/engine.py [--jobs A B C] [--engines auto pydvl-cg ...] [--float float64]

Every contestant runs in a process of its own, on the same data from the same weights. How each
library is asked: contestants.py; the jobs: problems.py; time and memory: measure.py,
isolate.py.
"""

import argparse
import os
import platform
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import growth
from contestants import CONTESTANTS, FLOORS
from isolate import alone
from measure import TOP, measure
from prettytable import PrettyTable
from problems import JOBS, L2, SEPARATION, TOLERANCE, prepare

AGREE = 1e-4  # largest error over the largest score: the accuracy at which times are compared
LIBRARIES = ("torch", "numpy", "pyDVL", "dattri", "captum")


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    import report  # pandas, which the contestants' processes need not load
    from sources import UserError

    try:
        if options.out:
            report.open_folder(options.out.resolve().parent)
        result = run(options)
        if options.out:
            text = report.as_json(result)
            report.write(options.out.resolve().parent, {options.out.name: text})
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped by Ctrl-C", file=sys.stderr)
        return 130
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--jobs", nargs="+", choices=list(JOBS), default=list(JOBS), help="jobs to run")
    add("--engines", nargs="+", choices=list(CONTESTANTS), default=list(CONTESTANTS), help="who")
    add("--float", choices=list(TOLERANCE), default="float32", help="float type of data and work")
    add("--repeats", type=positive, default=5, help="timed calls at least, the best counts")
    add("--limit", type=positive, default=300, help="seconds after which a contestant is stopped")
    add("--threads", type=positive, default=os.cpu_count(), help="threads of each contestant")
    add("--shrink", type=positive, default=1, help="divide all row counts, for a quick look")
    add("--no-growth", action="store_true", help="leave out the growth in n, D and K")
    add("--out", type=Path, help="JSON file for the figures")
    return parser.parse_args(argv)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def run(options: argparse.Namespace) -> dict:
    """Run and print everything; what --out keeps."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(options.threads)  # read by the processes as they start
    result = {"options": {k: v for k, v in vars(options).items() if k != "out"}}
    result["machine"] = machine()
    print(header(options, result["machine"]))
    result["jobs"] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.jobs:
            job = JOBS[name].shrunk(options.shrink)
            path = Path(folder) / f"{name}.pt"
            facts = alone(prepare, options.limit, job, options.float, path)
            if "status" in facts:
                print(f"\n{name}: {job}: drawing and fitting it {facts['status']}")
                continue
            print(
                f"\n{name}: {job}; {facts['parameters']:,} parameters, mean confidence on the pool "
                f"{facts['confidence']:.2f}, plain CG needs {facts['cg_steps']} steps"
            )
            records = {engine: contest(engine, path, options) for engine in options.engines}
            print(contest_table(records, options.engines))
            result["jobs"][name] = {"sizes": vars(job), **facts, "contestants": records}
            path.unlink()
    if not options.no_growth:
        result["growth"] = alone(growth.times, options.limit, options)
        print("\n" + growth.table(result["growth"]))
    return result


def machine() -> dict:
    """What the figures hang on: processor, cores and versions."""
    names = [line for line in cpu_lines() if line.startswith("model name")]
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = None
    return {
        "processor": names[0].split(":")[1].strip() if names else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": versions,
    }


def cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []


def header(options: argparse.Namespace, facts: dict) -> str:
    versions = ", ".join(f"{name} {number or '-'}" for name, number in facts["versions"].items())
    text = f"""
        One round: from fitted weights, the validation gradient, H over the labeled set, the solve,
        the benefit of every pool row under every class, and the {TOP} best. The same for all: data,
        weights, rows of H, penalty (l2 = {L2:g}, no intercept), {options.float} numbers,
        {options.threads} threads, and CG to a residual of {TOLERANCE[options.float]:g} of the
        gradient's norm (this engine by its own rule). Data: Gaussian classes whose means are
        {SEPARATION:g} deviations apart, so that few probabilities are near 0 or 1.
        Seconds: the fastest of the calls stated, {options.repeats} or more and for 0.5 s or more,
        fewer where they pass 30 s; a small and a whole call before them do not count.
        ×: seconds over those of this engine. Error: largest difference from this engine's float64
        Cholesky scores, over the largest score. Top {TOP}: how many of the {TOP} best pairs of row
        and label are that reference's, place by place. MB: peak memory of the contestant's process
        less its peak once data and library were loaded. {facts["processor"]}, {facts["cores"]}
        cores, Python {facts["python"]}, {versions}"""
    load = facts["load"] or 0.0
    busy = f"\nnote: other work is running here (load {load:.1f}): times mean little"
    return textwrap.fill(" ".join(text.split()), 100) + busy * (load > 1)


def contest(engine: str, path: Path, options: argparse.Namespace) -> dict:
    title, module, _ = CONTESTANTS[engine]
    if find_spec(module) is None:
        record = {"status": "not installed (pip install --no-deps -r requirements-bench.txt)"}
    else:
        record = alone(measure, options.limit, engine, path, options.threads, options.repeats)
    return {"title": title} | record


def contest_table(records: dict[str, dict], engines: Sequence[str]) -> str:
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
