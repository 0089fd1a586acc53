"""Tables with a column of free text through the commands, on the movie reviews that ship."""

import pickle
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

import label
import main_binary
from data_prep import text_columns
from data_prep.places import SHIPPED
from data_prep.reading import TableReading
from data_prep.text_encoder import WHEEL
from labeling.labeler import SalutaryLabeler
from tests.helpers import error_of

pytestmark = pytest.mark.usefixtures("unmeasured")

SIZES = {"reviews": 500, "validation": 200, "more": 600}
ALONE = """
import sys, joblib, pandas as pd
model = joblib.load("model.joblib")
frame = pd.read_csv("predictions.csv")
frame["positive"] = model.predict_proba(frame)[:, list(model.classes_).index("positive")]
frame.to_csv("alone.csv", index=False)
assert not {name.split(".")[0] for name in sys.modules} & {"labeling", "data_prep", "torch"}
"""


def movies(rows):
    """Clear opinions by people, half of them positive, with the rating's sign as the class."""
    frame = pd.read_csv(SHIPPED / "text/movies.csv.gz")
    frame = frame[frame["rating"].abs() >= 2].sample(rows, random_state=0)
    sentiment = np.where(frame["rating"] > 0, "positive", "negative")
    return pd.DataFrame({"text": frame["text"], "sentiment": sentiment}).reset_index(drop=True)


@pytest.fixture
def folder(tmp_path):
    """reviews.csv, validation.csv and more.csv without the sentiment; truth.csv has it."""
    left = movies(sum(SIZES.values()))
    for name, size in SIZES.items():
        part, left = left[:size], left[size:]
        part.to_csv(tmp_path / f"{name}.csv", index=False)
    part.to_csv(tmp_path / "truth.csv", index=False)
    part.drop(columns="sentiment").to_csv(tmp_path / "more.csv", index=False)
    return tmp_path


def run_label(folder, run, *options):
    named = {"labeled": "reviews.csv", "pool": "more.csv"}
    return run(folder, "--target=sentiment", "--l2=10", *options, **named)


def test_texts_are_labeled_better_than_by_chance_and_the_model_loads_alone(folder, run, capsys):
    options = (f"--model-out={folder}/model.joblib", f"--predictions={folder}/predictions.csv")
    assert run_label(folder, run, "--text-features=tfidf", "--budget=80", *options) == 0
    assert "100 components of its SVD" in capsys.readouterr().out
    truth = pd.read_csv(folder / "truth.csv")["sentiment"]
    plus = pd.read_csv(folder / "plus.csv").query("labeled_by == 'salutary'")
    assert len(plus) == 80
    assert (plus["sentiment"].to_numpy() == truth[plus["source_row"]].to_numpy()).mean() > 0.6
    rest = pd.read_csv(folder / "predictions.csv")
    guess = np.where(rest["probability_positive"] > 0.5, "positive", "negative")
    assert (guess == truth[rest["source_row"]].to_numpy()).mean() > 0.6  # of 520
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    alone = pd.read_csv(folder / "alone.csv")
    np.testing.assert_allclose(alone["positive"], alone["probability_positive"], atol=1e-9)


def test_a_sheet_of_texts_is_asked_for_filled_in_and_merged(folder, cells, capsys):
    tables = [f"--labeled={folder}/reviews.csv", f"--unlabeled={folder}/more.csv"]
    target, sheet = "--target=sentiment", folder / "sheet.csv"
    asked = ["ask", *tables, target, "--n=10", f"--out={sheet}", "--text-features=tfidf", "--l2=10"]
    assert label.main(asked) == 0
    filled, truth = cells(sheet), cells(folder / "truth.csv")
    rows = filled["source_row"].astype(int)
    assert filled["text"].tolist() == truth["text"][rows].tolist()
    filled.assign(sentiment=truth["sentiment"][rows].to_numpy()).to_csv(sheet, index=False)
    table = folder / "table.csv"
    assert label.main(["merge", f"{folder}/reviews.csv", str(sheet), target, f"--out={table}"]) == 0
    assert len(cells(table)) == SIZES["reviews"] + 10
    capsys.readouterr()


def write(folder, name, **changed):
    frame = pd.read_csv(folder / name)
    frame = frame.assign(**{k: v for k, v in changed.items() if v is not None})
    frame.drop(columns=[k for k, v in changed.items() if v is None]).to_csv(
        folder / name, index=False
    )


def test_text_that_cannot_be_used_ends_in_one_line(folder, run, capsys, monkeypatch):
    monkeypatch.setattr(text_columns, "is_installed", lambda: False)
    whole = (folder / "more.csv").read_bytes()
    write(folder, "more.csv", text=None, other=1)
    assert run_label(folder, run) == 2
    assert "the columns differ: " in (told := error_of(capsys))
    assert "more.csv lacks 'text'" in told
    (folder / "more.csv").write_bytes(whole)
    for name in ("reviews.csv", "more.csv", "validation.csv"):
        write(folder, name, text="", number=range(len(pd.read_csv(folder / name))))
    assert run_label(folder, run, "--text-features=tfidf", "--numeric=number") == 2
    assert "has no column of free text: leave the option out" in error_of(capsys)
    assert run_label(folder, run, "--text-features=bow") == 2
    assert "--text-features" in error_of(capsys)
    assert not (folder / "plus.csv").exists()


def test_an_encoder_in_the_model_file_is_refused_before_any_text_is_read(
    folder, run, capsys, monkeypatch
):
    monkeypatch.setattr(text_columns, "the_encoder", lambda: pytest.fail("too late"))
    options = ("--text-features=encoder", f"--model-out={folder}/model.joblib")
    assert run_label(folder, run, *options) == 2
    assert "add --text-features tfidf, or leave --model-out out" in error_of(capsys)


def test_different_texts_without_a_known_word_are_no_repetition(folder, run, capsys):
    """Their TF-IDF is equal, but only the text that is in both tables has a known class."""
    words = [f"alpha{k} beta{k} gamma{k}" for k in range(4)]
    texts = pd.read_csv(folder / "more.csv")["text"].tolist()
    write(folder, "more.csv", text=[*words, *texts[4:]])
    known = pd.read_csv(folder / "reviews.csv")["text"].tolist()
    write(folder, "reviews.csv", text=[words[0], "delta1 epsilon1 zeta1", *known[2:]])
    assert run_label(folder, run, "--text-features=tfidf") == 0
    assert "1 pool rows equal a labeled row in every column used" in capsys.readouterr().out


@pytest.mark.skipif(
    not (find_spec("transformers") and find_spec(WHEEL)), reason="make llm was not run"
)
def test_the_encoder_that_is_installed_labels_texts(folder, run, capsys, monkeypatch):
    monkeypatch.setenv("SALUTARY_CACHE", str(folder / "cache"))
    for name, rows in (("reviews.csv", 80), ("validation.csv", 20), ("more.csv", 80)):
        pd.read_csv(folder / name).head(rows).to_csv(folder / name, index=False)
    assert run_label(folder, run, f"--predictions={folder}/predictions.csv") == 0
    assert "384 numbers of the encoder all-MiniLM-L6-v2" in capsys.readouterr().out
    truth = pd.read_csv(folder / "truth.csv")["sentiment"]
    rest = pd.read_csv(folder / "predictions.csv")
    guess = np.where(rest["probability_positive"] > 0.5, "positive", "negative")
    assert (guess == truth[rest["source_row"]].to_numpy()).mean() > 0.65  # of 74


def test_a_frame_with_texts_is_labeled_and_the_labeler_can_be_pickled():
    frame = movies(500)
    frame["long"] = frame["text"].str.len()
    frame.loc[::9, "text"] = None
    frame["sentiment"] = frame["sentiment"].where(frame.index < 300, "")
    validation = frame[200:300]
    reading = TableReading(text_features="tfidf")
    labeler = SalutaryLabeler(l2=10.0, reading=reading)
    labeler.fit_half(frame.drop(index=validation.index), "sentiment", validation)
    assert labeler.columns_["read_as"].tolist() == ["text", "number"]
    assert len(labeler.label(budget=5)) == 5
    rows = frame[300:].drop(columns="sentiment")
    again = pickle.loads(pickle.dumps(labeler))
    np.testing.assert_array_equal(again.predict_proba(rows), labeler.predict_proba(rows))


def test_the_paper_s_experiment_leaves_text_out_without_an_encoder(folder, capsys, monkeypatch):
    monkeypatch.setattr(text_columns, "is_installed", lambda: False)
    write(folder, "reviews.csv", long=pd.read_csv(folder / "reviews.csv")["text"].str.len())
    table = ["--dataset", str(folder / "reviews.csv"), "--target", "sentiment", "--no-plot"]
    quick = "--methods random --init 50 --rounds 1 --budget 2 --seeds 0 --l2 1".split()
    assert main_binary.main([*table, *quick, "--out", str(folder / "out")]) == 0
    assert "only an encoder reads here: make llm installs one" in capsys.readouterr().out
    wrong = [*table, *quick, "--text-features", "tfidf", "--out", str(folder / "out2")]
    assert main_binary.main(wrong) == 2
    assert "--text-features tfidf is for label.py" in error_of(capsys)
    assert not (folder / "out2").exists()
