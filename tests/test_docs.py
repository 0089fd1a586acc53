"""The documents: their commands run, their examples work, their links lead somewhere."""

import io
import re
import shlex
import subprocess
from functools import cache

import numpy as np
import pandas as pd
import pytest

from common.cli import parse
from data_prep.catalogue import DATASETS
from data_utils import load, make_split
from experiments.loop import run
from experiments.options import ComparisonOptions, ExperimentOptions
from labeling.options import LabelOptions
from llm.options import LanguageOptions
from strategies.registry import STRATEGIES
from studies.bench import Bench
from studies.options import ExplorationOptions
from tests.helpers import ROOT, SHARED, main, split_of, strict

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPTIONS = {
    "main_binary.py": ExperimentOptions,
    "main_multi.py": ExperimentOptions,
    "compare.py": ComparisonOptions,
    "explore.py": ExplorationOptions,
    "label.py": LabelOptions,
    "main_llm.py": LanguageOptions,
}


@cache
def blocks(document, language=""):
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.S | re.M)


def commands(first: str) -> list[str]:
    """Every command line that the documents show, in a block or within a sentence."""
    found = []
    for document in DOCUMENTS:
        lines = [line for block in blocks(document) for line in block.splitlines()]
        lines += re.findall(r"`([^`\n]+)`", document.read_text())
        found += [line.split("  #")[0].strip() for line in lines if line.startswith(first)]
    return list(dict.fromkeys(found))


SHOWN = [shlex.split(command)[1:] for command in commands("python ")]
SCRIPTS = [words for words in SHOWN if words and words[0] in OPTIONS]


def test_the_documents_show_commands_of_every_script():
    assert {words[0] for words in SCRIPTS} == set(OPTIONS)


@pytest.mark.parametrize("words", SCRIPTS, ids=" ".join)
def test_every_command_is_one_that_its_script_understands(words):
    parse(words[0], [word for word in words[1:] if word != "..."], OPTIONS[words[0]]())


@pytest.mark.parametrize(
    "words", [w for w in SCRIPTS if w[0] in ("main_binary.py", "main_multi.py")], ids=" ".join
)
def test_every_command_of_the_main_scripts_runs(words, tmp_path, capsys):
    """In a hurry: two picks in one round of one seed."""
    if "customers.csv" in words:
        bank = (ROOT / "datasets/bank/bank.csv.gz").read_bytes()
        (tmp_path / "customers.csv.gz").write_bytes(bank)
        table = str(tmp_path / "customers.csv.gz")
        words = [{"customers.csv": table, "churned": "y"}.get(w, w) for w in words]
    if "embeddings.npy" in words:
        bank = load("bank").data
        np.save(tmp_path / "embeddings.npy", bank.X)
        pd.DataFrame({"churned": bank.y}).to_csv(tmp_path / "labels.csv", index=False)
        words = [str(tmp_path / w) if w in ("embeddings.npy", "labels.csv") else w for w in words]
    if "FOLDER" in words and not SHARED.is_dir():
        pytest.skip("the paper's own file is not beside this checkout")
    words = [str(SHARED / "data") if word == "FOLDER" else word for word in words]
    short = f"--seeds 0 --rounds 1 --budget 2 --no-plot --out {tmp_path}".split()
    kind = words[0].removeprefix("main_").removesuffix(".py")
    assert main(kind, [*words[1:], *short]) == 0, capsys.readouterr().err


def test_every_other_file_and_make_target_exists():
    for words in SHOWN:
        if words and words[0].endswith(".py"):
            assert (ROOT / words[0]).is_file(), words
    for command in commands("make "):
        target = command.split()[1]
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_and_picture_is_there(document):
    text = document.read_text()
    links = re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for link in links:
        assert link.startswith("https://") or (document.parent / link).exists(), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_a_document_names_is_there(document):
    code = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", document.read_text()):
        assert f"def {name}(" in code, name


def test_the_architecture_names_every_file_once():
    """As ``folder/`` lines and, indented below them, a line for each file."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    (tree,) = [block for block in blocks(ROOT / "docs" / "architecture.md") if "models.py" in block]
    folder, named = "", []
    for line in tree.splitlines():
        if line.strip() and not line.startswith(" "):
            folder = ""
        word = line.split()[0] if line.strip() else ""
        if word.endswith("/") and not line.startswith(" "):
            folder = word
        elif word.endswith((".py", ".ipynb")):
            named.append(folder + word)
    code = ["*.py", "[!t.]*/*.py", "tests/*.py", "examples/*.ipynb"]
    files = {path.relative_to(ROOT).as_posix() for part in code for path in ROOT.glob(part)}
    files -= {name for name in files if name.endswith("__init__.py")}
    assert sorted(named) == sorted(files), text


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= 1_500


def test_the_readmes_labeler_runs():
    (code,) = [b for b in blocks(ROOT / "README.md", "python") if "SalutaryLabeler" in b]
    split = split_of("waveform")
    names = {"X": split.labeled, "X_val": split.validation, "X_pool": split.pool[:200]}
    given = {name: split.X[rows] for name, rows in names.items()}
    given |= {"y": split.y[split.labeled], "y_val": split.y[split.validation]}
    exec(code, given)
    assert len(given["given"]) <= 100
    assert set(given["given"].labels) <= set(split.y)


# --- docs/extend.md ------------------------------------------------------------------------------


def example(name: str):
    """What the example that defines ``name`` makes of it."""
    (code,) = [b for b in blocks(ROOT / "docs/extend.md", "python") if re.search(name, b)]
    names: dict = {"__name__": "example"}
    exec(code, names)
    return names


def test_the_example_of_a_data_set_is_loaded_and_split(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    kinds = np.repeat(["setosa", "versicolor", "virginica"], 50)
    rows = [f"{rng.normal():.3f},{rng.normal():.3f},{kind}" for kind in kinds]
    (tmp_path / "iris.csv").write_text("length,width,kind\n" + "\n".join(rows) + "\n")
    iris = example("IRIS = ")["IRIS"]
    monkeypatch.setitem(DATASETS, iris.name, iris)
    split = make_split(load("iris", tmp_path), "strict", 30, 0)
    assert len(split.labeled) == 30
    assert set(split.y) == {"setosa", "versicolor", "virginica"}


def test_the_example_of_a_strategy_runs(monkeypatch):
    monkeypatch.setitem(STRATEGIES, "unsure", example("def unsure")["unsure"])
    curve, picks = run(split_of("wine"), "unsure", strict(rounds=3, budget=5), 0)
    assert len(picks) == 15
    assert curve[-1].labels_bought == 0


def test_the_example_of_a_study_makes_its_picture():
    bench = Bench(load("breast_cancer"), "strict", (0, 1), 60, rounds=2, budget=3)
    found = example("def norms")["norms"].make(bench)
    assert list(found.table.columns) == ["round", "norm"]
    assert (found.table["norm"] > 1).all()  # influence grows with the norm
    picture = io.BytesIO()
    found.figure.savefig(picture)
    assert len(picture.getvalue()) > 5_000
