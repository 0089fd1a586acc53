"""Every command of README.md and docs/label.md, run exactly as it is written.

They run in a copy of what a fresh clone holds. Commands in one block follow one another there.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import label
from tests.helpers import ROOT
from tests.helpers.documents import blocks

DOCUMENTS = ("README.md", "docs/label.md")
QUICK, SLOW = "quick", "slow"  # in this process; in a shell, by make slow-test
NETWORK = "needs the network"
COMMITTED = "takes many minutes; test_document_tables.py has its committed results"
CHURN = (
    "--labeled examples/churn/labeled.csv --unlabeled examples/churn/pool.csv "
    "--validation examples/churn/val.csv --target churned --budget 100 --out results"
)
ASK = (
    "python label.py ask --labeled examples/churn/labeled.csv "
    "--unlabeled examples/churn/pool.csv --target churned --n 20 --out results/sheet.csv"
)
MERGE = (
    "python label.py merge examples/churn/labeled.csv results/sheet.csv --target churned "
    "--out results/table.csv --pool examples/churn/pool.csv --pool-out results/rest.csv"
)
BOUND = (
    "python label.py --labeled examples/bank/labeled.csv --unlabeled examples/bank/pool.csv "
    "--validation examples/bank/val.csv --target y --max-error 0.1 --out results/bounded.csv"
)
# Each command, and when it is run, or else why it is not.
COMMANDS = {
    ASK: QUICK,
    MERGE: QUICK,
    BOUND: QUICK,
    "python label.py --labeled results/table.csv --unlabeled results/rest.csv --validation "
    "examples/churn/val.csv --target churned --budget 60 --abstain 25% --anyway "
    "--out results/plus.csv": SLOW,
    "python label.py merge results/table.csv results/plus.csv results/plus_left.csv --target "
    "churned --out results/table2.csv --pool results/rest.csv --pool-out results/rest2.csv": SLOW,
    f"python label.py {CHURN}/labeled_plus.csv": SLOW,
    f"python label.py {CHURN}/texts_plus.csv --text-features tfidf": SLOW,
    f"python label.py {CHURN}/forest_plus.csv "
    "--estimator sklearn.ensemble.RandomForestClassifier": SLOW,
    "python main_binary.py --dataset bank --diabetes n": SLOW,
    "python main_multi.py --dataset wine --diabetes n": SLOW,
    "python compare.py --datasets examples/churn/val.csv --target churned": SLOW,
    "python explore.py all": SLOW,
    "python benchmarks/labels.py --kinds waveform --seeds 0 --folder results/tables": SLOW,
    "make run": SLOW,
    "make proof": SLOW,
    "make figure": SLOW,
    "make test": "is the run of these tests",
    "make data": NETWORK,
    "make llm": NETWORK,
    "python3 -m venv .venv && . .venv/bin/activate": "is of use only with the next line",
    "pip install -r requirements.txt": NETWORK,
    "python compare.py --protocol tuned --datasets electric wine bank waveform mnist:pca:50 "
    "diabetes musk --methods all --seeds 0-19 --jobs 2 --data-dir FOLDER": "takes hours, and "
    "FOLDER holds data that do not ship; test_document_tables.py has its committed results",
    "python main_llm.py --task movies --seeds 0-2": "fine-tunes an encoder, which takes hours "
    "without a GPU; tests/llm/ runs it with a small one",
    "python benchmarks/labels.py": COMMITTED,
    "python benchmarks/loop.py": COMMITTED,
    "python benchmarks/error_bound.py": COMMITTED,
    "python benchmarks/label_width.py": COMMITTED,
    "python benchmarks/text_columns.py": COMMITTED,
}
PROGRAMS = ("python", "pip", "make", ".")
OUTPUTS = ("300 labeled rows, 2,700", "validation: 150 rows")  # how the other blocks begin


def command_blocks(document: str) -> Iterator[list[str]]:
    """The commands of each block without a language, and each command within a sentence."""
    for block in blocks(ROOT / document):
        if not block.startswith(OUTPUTS):
            yield [re.split(r"\s+# ", line)[0].strip() for line in block.splitlines()]
    for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", (ROOT / document).read_text()):
        if code.startswith(tuple(f"{program} " for program in PROGRAMS)):
            yield [code]


BLOCKS = [block for document in DOCUMENTS for block in command_blocks(document)]
SLOW_BLOCKS = [block for block in BLOCKS if SLOW in map(COMMANDS.get, block)]


def test_each_command_is_run_by_a_test_or_has_a_reason_why_not():
    assert {command for block in BLOCKS for command in block} == set(COMMANDS)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A copy of the files of a fresh clone, the current folder; ``.venv`` has this Python."""
    made = shutil.ignore_patterns(".*", "__pycache__", "*.part")
    folder = tmp_path / "clone"
    shutil.copytree(ROOT, folder, ignore=lambda at, names: made(at, names) | results(at, names))
    (folder / ".venv/bin").mkdir(parents=True)
    python = folder / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    for stamp in ("installed", "installed-image", "installed-llm", "installed-bench"):
        (folder / ".venv" / stamp).touch()
    monkeypatch.setenv("PATH", f"{python.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(folder)
    return folder


def results(at: str, names: list[str]) -> set[str]:
    """Results that git ignores."""
    return set(names) - {"reference", "published"} if Path(at) == ROOT / "results" else set()


def written(command: str) -> Path | None:
    """The file that the command is told to write."""
    words = shlex.split(command)
    return Path(words[words.index("--out") + 1]) if "--out" in words else None


def fill(sheet: Path, count: int) -> pd.DataFrame:
    """A person answers the first rows of a sheet of examples/churn: their cells."""
    rows = pd.read_csv(sheet, dtype=str, keep_default_na=False)
    truth = pd.read_csv("examples/churn/pool_truth.csv", sep=";").set_index("customer_id")
    rows.loc[: count - 1, "churned"] = truth.loc[rows["customer_id"][:count], "churned"].to_numpy()
    rows.to_csv(sheet, index=False)
    return rows[:count]


def test_the_sheet_is_asked_filled_in_by_a_person_and_merged(clone):
    def run(command: str) -> None:
        assert label.main(shlex.split(command)[2:]) == 0

    run(ASK)
    answered = fill(Path("results/sheet.csv"), 3)
    run(MERGE)
    table, rest = (pd.read_csv(f"results/{name}.csv", dtype=str) for name in ("table", "rest"))
    assert len(table) == 103
    assert len(rest) == 397
    kept = table.set_index("customer_id")["churned"]
    assert kept[answered["customer_id"]].tolist() == answered["churned"].tolist()
    assert not set(answered["customer_id"]) & set(rest["customer_id"])


def test_the_labels_within_a_bound_are_given_and_the_document_shows_what_is_printed(clone, capsys):
    assert label.main(shlex.split(BOUND)[2:]) == 0
    (shown,) = [b for b in blocks(ROOT / "docs/label.md") if b.startswith(OUTPUTS[1])]
    assert shown.strip() in capsys.readouterr().out
    plus, left = (pd.read_csv(f"results/bounded{end}.csv") for end in ("", "_left"))
    given = plus[plus["round"] == 1]
    assert len(given) + len(left) == 400
    truth = pd.read_csv("examples/bank/pool_truth.csv")["y"]
    assert (truth[given["source_row"]].to_numpy() != given["y"]).mean() <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize("block", SLOW_BLOCKS, ids=lambda block: block[0])
def test_the_commands_of_a_block_run_in_a_shell(block, clone, request, monkeypatch):
    if "make proof" in block:  # reads what `make data` would fetch
        monkeypatch.setenv("DATA", str(request.getfixturevalue("shared_data")))
    for command in block:
        if COMMANDS[command] not in (QUICK, SLOW):
            continue
        if Path("results/sheet.csv").exists():
            fill(Path("results/sheet.csv"), 3)
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        advised = command.startswith("python label.py --") and "--anyway" not in command
        assert done.returncode in ((0, 3) if advised else (0,)), (command, done.stderr)
        if out := written(command):
            assert out.exists() == (done.returncode == 0), command


@pytest.mark.parametrize("name", ["churn", "bank"])
def test_the_script_of_an_example_draws_the_tables_that_are_there(name, tmp_path):
    folder = ROOT / "examples" / name
    subprocess.run([sys.executable, folder / "generate.py", "--folder", tmp_path], check=True)
    tables = sorted(path.name for path in folder.glob("*.csv"))
    assert tables == ["labeled.csv", "pool.csv", "pool_truth.csv", "test.csv", "val.csv"]
    for table in tables:
        assert (tmp_path / table).read_bytes() == (folder / table).read_bytes(), table


def test_a_fifth_of_the_invented_customers_left():
    parts = ("labeled", "pool_truth", "val", "test")
    read = [pd.read_csv(ROOT / f"examples/churn/{part}.csv", sep=";") for part in parts]
    assert (pd.concat(read)["churned"] == "yes").mean() == 0.2
