"""main_llm.py on 200 real texts with the real encoder, and mistakes in its options."""

import json
import re
import sys

import numpy as np
import pytest
from matplotlib.image import imread
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from data_prep.text_encoder import open_encoder
from llm.data import LanguageData, split_texts
from llm.texts import TASKS, load
from main_llm import main
from tests.helpers import ROOT, error_of


def test_without_a_network_the_tables_and_all_files_appear(done, result_files):
    printed, folder = done
    assert {path.name for path in folder.iterdir()} == result_files
    assert "dropped 768 texts: rated nearer to 0 than 0.5" in printed
    assert (
        "tuned protocol: l2 chosen on the validation rows, intercept, Hessian over the labeled"
        in printed
    )
    assert "lora, 74,498 trainable parameters, 1 epoch)" in printed
    report = (folder / "report.md").read_text()
    for labels, place in ((8, 1), (16, 2)):
        assert f" {labels} labels given or bought: " in printed
        assert f"### {labels} labels given or bought\n" in report
        for title in ("No added labels", "Random", "Salutary", "Salutary plus", "Labeled + valid."):
            assert re.search(
                rf"\| {re.escape(title)} +\|", printed.split(" labels given or bought: ")[place]
            )
        (line,) = (line for line in printed.splitlines() if line.startswith(f"{labels} labels: "))
        assert f"\n{line}.\n" in report
    assert re.search(r"agree on \d+\.\d % .* correlate over 3 strategies: Pearson -?\d", printed)
    for name in ("curves.png", "tuned.png", "fidelity.png"):
        assert imread(folder / name).std() > 0.05
    told = json.loads((folder / "run.json").read_text())["language"]
    assert told["encoder"] == "all-MiniLM-L6-v2"
    assert told["recipe"]["tune"] == "lora"
    assert told["tune_at"] == [1, 2]


@pytest.mark.slow
def test_references_print_three_ways_to_use_all_labels(capsys, tmp_path):
    arguments = "--task tweets --texts 200 --references --epochs 1 --tune head --quiet --out"
    assert main([*arguments.split(), str(tmp_path)]) == 0
    table = capsys.readouterr().out
    assert "tweets: all 160 true labels, 40 test texts" in table
    accuracies = [float(line.split("|")[2]) for line in table.splitlines() if "." in line]
    assert len(accuracies) == 4
    assert accuracies[2] > accuracies[0]  # the embeddings know more than the commonest class
    assert not list(tmp_path.iterdir())
    assert accuracies[2] == pytest.approx(tuned_by_scikit_learn(), abs=0.06)


def tuned_by_scikit_learn() -> float:
    """Test accuracy in % on all labels of 200 tweets, the penalty chosen by cross-validation."""
    texts, encoder = load("tweets", most=200), open_encoder()
    table = LanguageData(texts, encoder, encoder.tokens(texts.columns)).table("cpu", quiet=True)
    split = split_texts(table, None, init=100, seed=0)
    rows = np.concatenate([split.labeled, split.pool, split.validation])
    search = GridSearchCV(
        LogisticRegression(max_iter=1000),
        {"C": np.logspace(-3, 2, 13)},
        scoring="neg_log_loss",
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
    ).fit(split.X[rows], split.y[rows])
    return 100 * search.best_estimator_.score(split.X[split.test], split.y[split.test])


def test_list_names_tasks_and_strategies(capsys):
    assert main(["--list"]) == 0
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {*TASKS, "salutary_plus", "random", "full_pool"} <= set(lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--task moviez", "unknown task 'moviez': did you mean 'movies'"),
        ("--dataset movies", "is no table"),
        ("--dataset none.csv --text-column a --target b", "none.csv does not exist"),
        ("--dataset datasets/text/tweets.csv.gz", "--text-column: name the column"),
        ("--target mood", "--target is for a table of your own: give --dataset"),
        ("--methods none", "name a method to compare"),
        ("--methods salutry", "did you mean 'salutary'"),
        ("--encoder ./nothing", "./nothing is not a folder"),
        ("--encoder datasets", "datasets holds no encoder"),
        ("--encoder roberta-base", "put config.json, model.safetensors and the tokenizer's files"),
        ("--task sst2", "put the files sst2/train-*.parquet"),
        ("--max-tokens 513", "reads at most 512"),
        ("--tune lorra", "invalid choice: 'lorra'"),
        ("--tune-at 0,3", "'0,3' is not a list of rounds such as 10,30,60 or 1-10"),
        ("--tune-at 5,x", "'5,x' is not a list of rounds"),
        ("--rounds 5 --tune-at 2,6", "--tune-at 6: the run has 5 rounds"),
        ("--texts 60 --init 2 --rounds 30", "the pool has"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main([*arguments.split(), "--quiet", "--out", str(tmp_path / "out")]) == 2
    assert message in error_of(capsys)
    assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize("name", ["transformers", "peft", "datasets"])
def test_a_missing_package_names_make_llm(name, capsys, monkeypatch, glue, quick):
    monkeypatch.setitem(sys.modules, name, None)
    task = ["--task", "sst2", "--data-dir", str(glue)] if name == "datasets" else ["--texts", "50"]
    assert main([*task, *quick, "--out", str(glue / "out")]) == 2
    assert "is missing: make llm installs" in error_of(capsys)
