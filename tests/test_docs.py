"""The documents: their commands run, their examples work, their links lead somewhere."""

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

import explore
from common.cli import parse
from common.plugins import use_files
from data_utils import load, make_split
from experiments.options import ComparisonOptions, ExperimentOptions
from label import SUBCOMMANDS
from labeling.options import LabelOptions
from llm.options import LanguageOptions
from studies.command import command_line
from studies.options import ExplorationOptions
from tests.helpers import ROOT, SHARED, main, split_of
from tests.helpers.documents import blocks, example_plugin

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPTIONS = {
    "main_binary.py": ExperimentOptions,
    "main_multi.py": ExperimentOptions,
    "compare.py": ComparisonOptions,
    "explore.py": ExplorationOptions,
    "label.py": LabelOptions,
    "main_llm.py": LanguageOptions,
}


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
    script, rest = words[0], [word for word in words[1:] if word != "..."]
    options = OPTIONS[script]()
    if script == "label.py" and rest[:1] and rest[0] in SUBCOMMANDS:
        options, rest = SUBCOMMANDS[rest[0]][0], rest[1:]
    parse(script, rest, options)


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
    if "mine.py" in words:
        words = [w if w != "mine.py" else str(example_plugin(tmp_path)) for w in words]
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
# tests/common/test_parallel.py runs its plugin in two processes and on a cluster.


def test_the_example_of_a_data_set_in_a_file_is_loaded_and_split(tmp_path, monkeypatch):
    iris = load_iris()
    rows = [
        f"{x[0]},{x[1]},{iris.target_names[y]}" for x, y in zip(iris.data, iris.target, strict=True)
    ]
    (tmp_path / "flowers.csv").write_text("length,width,kind\n" + "\n".join(rows) + "\n")
    (code,) = [b for b in blocks(ROOT / "docs/extend.md", "python") if "FLOWERS = " in b]
    (tmp_path / "garden.py").write_text(code + "\nDATASETS = [FLOWERS]\n")
    use_files([tmp_path / "garden.py"])
    split = make_split(load("flowers"), "strict", 30, 0)  # the file lies beside the plugin
    assert len(split.labeled) == 30
    assert set(split.y) == {"setosa", "versicolor", "virginica"}


def test_the_study_of_the_example_is_made_and_its_command_names_the_plugin(tmp_path):
    plugin = str(example_plugin(tmp_path))
    small = "--dataset breast_cancer --seeds 0 --rounds 2 --budget 3 --jobs 1 --quiet".split()
    assert explore.main(["norms", "--plugin", plugin, *small, "--out", str(tmp_path)]) == 0
    assert (pd.read_csv(tmp_path / "norms.csv")["norm"] > 1).all()  # influence grows with the norm
    assert len((tmp_path / "norms.png").read_bytes()) > 5_000
    line = command_line(["norms"], {"plugin": (Path("a b.py"), Path("c.py"))})
    assert line == "python explore.py norms --plugin 'a b.py' --plugin c.py"
