"""The scripts as a user runs them: tables, files, bad input, Ctrl-C, no network."""

import json
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from matplotlib.image import imread

from experiments.results import load_results
from strategies.registry import PAPER, REFERENCES, STRATEGIES
from tests.helpers import ROOT, error_of, main, shell

FILES = {"curves.csv", "picks.csv", "run.json", "curves.png", "curves.pdf", "runs"}
QUICK = "--rounds 2 --budget 3 --no-plot".split()


@pytest.fixture(scope="module")
def bank(tmp_path_factory, no_network):
    """The README's first command, with a network that refuses every connection."""
    out = tmp_path_factory.mktemp("out")
    arguments = "main_binary.py --dataset bank --diabetes n --out".split()
    return shell(*arguments, str(out), PYTHONPATH=no_network), out / "bank-paper"


def test_bank_command_prints_the_table_and_writes_four_files(bank):
    done, folder = bank
    assert done.returncode == 0, done.stderr
    assert "bank.csv.gz: 4,521 rows" in done.stdout
    assert "dropped 0 rows" in done.stdout
    assert "paper protocol: l2 50, no intercept, Hessian over the pool" in done.stdout
    for strategy in map(STRATEGIES.get, PAPER):
        assert re.search(rf"^\| {re.escape(strategy.title)} *\|", done.stdout, re.MULTILINE)
    assert "%|" in done.stderr  # tqdm's bar
    assert {path.name for path in folder.iterdir()} == FILES


def test_bank_files_agree_with_each_other(bank):
    _, folder = bank
    curves, picks = (pd.read_csv(folder / name) for name in ("curves.csv", "picks.csv"))
    manifest = json.loads((folder / "run.json").read_text())
    assert len(curves) == 7 * 11
    assert len(picks) == 7 * 100
    assert curves["test_accuracy"].between(0, 1).all()
    assert (curves.query("round == 0")["labels_bought"] == 0).all()
    assert (curves.query("round == 10 and method != 'salutary'")["labels_bought"] == 100).all()
    assert (curves.query("method == 'salutary'")["labels_bought"] == 0).all()
    assert manifest["data"]["files"][0]["rows"] == 4_521
    assert len(manifest["data"]["files"][0]["sha256"]) == 64
    assert manifest["compute_seconds"] >= curves["seconds"].sum() > 0
    assert manifest["options"]["methods"] == list(PAPER)
    assert "torch" in manifest["versions"]
    assert imread(folder / "curves.png").shape[1] > 1000


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the table is of the newer pins")
def test_the_documents_show_the_table_that_the_command_prints(bank):
    """Every figure within 0.4: another processor can round a borderline row the other way."""
    done, _ = bank
    document = (ROOT / "docs" / "results.md").read_text()
    for strategy in map(STRATEGIES.get, PAPER):
        rows = [
            re.findall(r"[-+]?\d+\.?\d*", line.rsplit("|", 2)[0])  # all but the seconds
            for text in (document, done.stdout)
            for line in text.splitlines()
            if line.startswith(f"| {strategy.title}") and line.count("|") == 19
        ]
        shown, printed = ([float(cell) for cell in row] for row in rows)
        assert printed == pytest.approx(shown, abs=0.4)
        assert len(shown) == 16


def test_the_same_command_twice_gives_the_same_bytes_but_for_seconds(bank, tmp_path):
    _, folder = bank
    assert main("binary", ["--out", str(tmp_path), "--quiet", "--no-plot"]) == 0
    again = tmp_path / "bank-paper"
    assert (again / "picks.csv").read_bytes() == (folder / "picks.csv").read_bytes()
    first, second = (
        pd.read_csv(f / "curves.csv", dtype=str).drop(columns="seconds") for f in (folder, again)
    )
    pd.testing.assert_frame_equal(first, second)


def test_wine_command_runs_as_written(tmp_path, capsys):
    assert main("multi", [*"--dataset wine --diabetes n --out".split(), str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "labeled 301, pool 3,596, validation 1,300, test 1,300" in printed
    assert {path.name for path in (tmp_path / "wine-paper").iterdir()} == FILES


def test_an_mlp_runs_repeats_itself_and_is_not_the_logistic_model(tmp_path, capsys):
    methods = ["--methods", "salutary,random,salutary_plus", *QUICK]
    for name in ("first", "again"):
        assert main("binary", ["--model", "mlp", *methods, "--out", str(tmp_path / name)]) == 0
    printed = capsys.readouterr().out
    assert "paper protocol: the last layer of an MLP, l2 50, no intercept" in printed
    assert "newton fit" in printed
    assert main("binary", [*methods, "--out", str(tmp_path / "logistic")]) == 0
    assert "MLP" not in capsys.readouterr().out
    folders = [
        tmp_path / name / f"bank-paper{variant}"
        for name, variant in (("first", ",model=mlp"), ("again", ",model=mlp"), ("logistic", ""))
    ]
    first, again, logistic = (
        pd.read_csv(f / "curves.csv", dtype=str).drop(columns="seconds") for f in folders
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(logistic)
    first, again, logistic = ((f / "picks.csv").read_bytes() for f in folders)
    assert first == again != logistic
    models = [json.loads((f / "run.json").read_text())["options"]["model"] for f in folders]
    assert models == ["mlp", "mlp", "logistic"]


def test_references_run_by_name_with_no_pick_at_all(tmp_path, capsys):
    methods = ["--methods", "labeled_plus_validation,full_pool"]
    assert main("binary", [*methods, "--out", str(tmp_path), *QUICK]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^\| Labeled \+ valid\..*\| +300\| +0\| +905\|", printed, re.MULTILINE)
    assert re.search(r"^\| Full pool.*\| +300\| +2412\| +0\|", printed, re.MULTILINE)
    assert len(pd.read_csv(tmp_path / "bank-paper/curves.csv")) == 2 * 3
    assert len(pd.read_csv(tmp_path / "bank-paper/picks.csv")) == 0


def test_diabetes_replaces_the_data_set_and_says_so(shared_data, tmp_path, capsys):
    arguments = ["--dataset", "electric", "--diabetes", "y", "--data-dir", str(shared_data)]
    assert main("binary", [*arguments, "--out", str(tmp_path), *QUICK]) == 0
    printed = capsys.readouterr().out
    assert "--diabetes y: the diabetes data set, in place of --dataset" in printed
    assert "1,151 rows" in printed
    assert "labeled 150" in printed
    assert (tmp_path / "diabetes-paper/curves.csv").is_file()


def test_strict_protocol_over_seeds_with_one_option_overridden(tmp_path, capsys):
    arguments = (
        "--protocol strict --seeds 0-2 --l2 5 --methods margin,salutary --metric auc".split()
    )
    assert main("binary", [*arguments, "--out", str(tmp_path), *QUICK]) == 0
    printed = capsys.readouterr().out
    assert (
        "strict protocol but for l2: l2 5, intercept, Hessian over the labeled set, newton fit, "
        "seeds 0-2" in printed
    )
    assert printed.count(" ± ") == 8  # gain, mean, final and AULC of two methods
    assert "test AUC (one-vs-rest) in %" in printed
    assert "2 methods can reach is 0.500, so no ▲ or ▼ can appear; 7 seeds would do" in printed
    manifest = json.loads((tmp_path / "bank-strict,l2=5/run.json").read_text())
    assert manifest["overrides"] == {"l2": 5.0}
    assert manifest["options"]["l2"] == 5.0
    assert manifest["options"]["metric"] == "auc"
    assert manifest["options"]["hessian"] == "labeled"
    curves = pd.read_csv(tmp_path / "bank-strict,l2=5/curves.csv")
    assert sorted(curves["seed"].unique()) == [0, 1, 2]
    assert curves.query("round == 0").groupby("seed")["test_accuracy"].nunique().eq(1).all()


@pytest.mark.parametrize(
    ("option", "column"),
    [("--intercept", "test_accuracy"), ("--hessian labeled", "validation_loss"),
     ("--l2 1", "test_accuracy"), ("--fit newton", "validation_loss"),
     ("--init 100", "test_accuracy"), ("--seed 1", "test_accuracy")],
)  # fmt: skip
def test_every_setting_changes_the_result(option, column, tmp_path):
    base = ["--methods", "salutary", "--quiet", *QUICK, "--out"]
    assert main("binary", [*base, str(tmp_path / "a")]) == 0
    assert main("binary", [*base, str(tmp_path / "b"), *option.split()]) == 0
    first, second = (load_results(tmp_path / x)[column].tolist() for x in "ab")
    assert first != second


def test_quiet_prints_the_table_alone_and_no_plot_leaves_no_stale_picture(tmp_path, capsys):
    arguments = ["--methods", "random", "--rounds", "2", "--out", str(tmp_path)]
    assert main("binary", arguments) == 0
    assert (tmp_path / "bank-paper/curves.png").is_file()
    capsys.readouterr()
    assert main("binary", [*arguments, "--quiet", "--no-plot"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.strip().splitlines()  # the setting, the table with one method, and a warning
    assert len(lines) == 9
    assert (
        "below always answering the most frequent class (89.6 %): try --protocol tuned" in lines[-1]
    )
    assert not list((tmp_path / "bank-paper").glob("curves.p*"))


@pytest.mark.parametrize("kind", ["binary", "multi"])
def test_list_names_every_data_set_and_strategy(kind, capsys):
    assert main(kind, ["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if line.startswith("  ")]
    paper = "electric bank diabetes celeba musk wine waveform cifar10 mnist".split()
    assert names == [*paper, "breast_cancer", "digits", *STRATEGIES, *REFERENCES]
    states = {line.split()[0]: line.split()[2] for line in lines if line.startswith("  ")}
    here = "electric bank musk wine waveform mnist".split()
    assert {states[name] for name in here} == {"here:"}
    references = [line.split()[0] for line in lines if " reference " in line]
    assert references == list(REFERENCES)
    assert states["celeba"] == "--data-dir"
    assert states["diabetes"] in ("network", "cached:")


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("binary", "--dataset bnak", "unknown data set 'bnak': did you mean 'bank'?"),
        ("binary", "--dataset wine", "wine has 7 classes: run main_multi.py --dataset wine"),
        ("multi", "--dataset bank", "bank has 2 classes: run main_binary.py --dataset bank"),
        ("multi", "--diabetes y", "run main_binary.py --diabetes y"),
        ("binary", "--diabetes maybe", "invalid choice: 'maybe'"),
        ("binary", "--methods salutry", "unknown strategy 'salutry': did you mean 'salutary'?"),
        ("binary", "--methods ,", "',' names nothing"),
        ("binary", "--rounds ten", "--rounds: 'ten' is not a whole number of 1 or more"),
        ("binary", "--rounds 0", "--rounds: '0' is not a whole number of 1 or more"),
        ("binary", "--budget -1", "--budget: '-1' is not a whole number"),
        ("binary", "--budget 1000", "picks 10,000 rows, the pool has 2,412"),
        ("binary", "--model svm", "'svm' is neither logistic, mlp nor a dotted name"),
        ("binary", "--model mlp --fit lbfgs", "--fit lbfgs is for --model logistic"),
        ("binary", "--init 4000", "cannot be split with --init 4000"),
        ("multi", "--init 8", "has no row of class 3: give a larger --init"),
        ("binary", "--l2 0", "--l2: '0' is neither validation, cv nor a number above 0"),
        ("binary", "--retune", "--retune chooses l2, which is 50 here: give --l2 validation or cv"),
        ("binary", "--damping -1", "--damping: '-1' is not a number of 0 or more"),
        ("binary", "--solver lu", "--solver: invalid choice: 'lu'"),
        ("binary", "--dtype float16", "--dtype: invalid choice: 'float16'"),
        ("binary", "--l2 nan", "--l2: 'nan' is neither validation, cv nor a number above 0"),
        (
            "binary",
            "--l2 1e-300 --fit newton --quiet",
            "the condition number of the Hessian is beyond",
        ),
        ("binary", "--seeds 3-1", "the range '3-1' runs backwards"),
        ("binary", "--seed x", "'x' is not a seed"),
        ("binary", "--seeds 0-99999999", "at most 10,000"),
        ("binary", "--metric f1", "'balanced_accuracy', 'macro_f1', 'auc'"),
        ("binary", "--protocol loose", "invalid choice: 'loose'"),
        ("binary", "--hessian test", "invalid choice: 'test'"),
        ("binary", "--no-such-option", "unrecognized arguments: --no-such-option"),
        ("binary", "--source shipped --data-dir .", "exclude each other"),
        ("binary", "--source moon", "invalid choice: 'moon'"),
        ("binary", "--features pca", "'pca' is neither efficientnet nor pca:N"),
        ("binary", "--features pca:100", "at most 48 components"),
        ("binary", "--features efficientnet", "is for images, bank has none"),
        ("binary", "--target y", "--target is for celeba and for your own tables"),
        ("binary", "--dataset no/such.csv --target y", "no/such.csv does not exist"),
        ("binary", "--dataset README.md --target y", "should end in .csv, .tsv"),
        ("binary", "--data-dir /no/such/folder", "--data-dir /no/such/folder is not a folder"),
    ],
)
def test_bad_input_ends_in_one_line_and_touches_nothing(kind, arguments, message, tmp_path, capsys):
    for name in ("bank-paper", "wine-paper"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "curves.csv").write_text("earlier")
    assert main(kind, [*arguments.split(), "--out", str(tmp_path)]) == 2
    assert message in error_of(capsys)
    for name in ("bank-paper", "wine-paper"):
        assert [p.name for p in (tmp_path / name).iterdir()] == ["curves.csv"]
        assert (tmp_path / name / "curves.csv").read_text() == "earlier"


def test_a_data_file_cut_short_ends_in_one_line(shared_data, tmp_path, capsys):
    packed = (shared_data / "bank-additional-full.csv.gz").read_bytes()
    (tmp_path / "bank-additional-full.csv.gz").write_bytes(packed[: len(packed) // 2])
    assert main("binary", ["--data-dir", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "bank-additional-full.csv.gz cannot be read, get it again" in error_of(capsys)
    assert not (tmp_path / "out").exists()


def test_missing_diabetes_says_which_file_to_put_where(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("data_prep.places.SHIPPED", tmp_path)
    assert main("binary", ["--diabetes", "y", "--source", "shipped"]) == 2
    assert "put messidor_features.arff" in error_of(capsys)


def test_an_output_folder_that_cannot_be_written_ends_in_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main("binary", ["--out", str(tmp_path / "file")]) == 2
    assert "name another folder with --out" in error_of(capsys)


def test_no_cuda_device_ends_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main("binary", ["--device", "cuda"]) == 2
    assert "no CUDA device here" in error_of(capsys)


@pytest.mark.parametrize("seconds", [0.7, 4.0])
def test_ctrl_c_ends_in_one_line_while_loading_and_while_running(seconds, tmp_path):
    (tmp_path / "bank-paper").mkdir()
    (tmp_path / "bank-paper/curves.csv").write_text("earlier")
    process = subprocess.Popen(
        [sys.executable, "main_binary.py", "--seeds", "0-999", "--out", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a test run in the background may have told its children to ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    kept = any((tmp_path / "bank-paper").glob("runs/*/*"))
    words = "finished runs are kept, the same command goes on" if kept else "no result was changed"
    assert err.strip().splitlines()[-1] == f"stopped by Ctrl-C; {words}"
    assert "Traceback" not in err
    files = {p.name for p in (tmp_path / "bank-paper").iterdir() if p.is_file()}
    assert files in ({"curves.csv"}, {"curves.csv", "run.json"})
    curves = (tmp_path / "bank-paper/curves.csv").read_text()
    assert curves == "earlier" or curves.endswith("\n")


def test_a_terminal_without_unicode_still_gets_the_table(tmp_path):
    arguments = ["main_binary.py", "--methods", "random", "--seeds", "0-1", *QUICK, "--out"]
    done = shell(*arguments, str(tmp_path), PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "| Random" in done.stdout


def picks_of(tmp_path, *arguments):
    given = f"--dataset wine --protocol strict --methods salutary --out {tmp_path}".split()
    assert main("multi", [*given, *QUICK, *arguments]) == 0
    return pd.read_csv(folder_of(tmp_path, *arguments) / "picks.csv")


def folder_of(tmp_path, option, value):
    return tmp_path / f"wine-strict,{option.removeprefix('--')}={value}"


def test_solver_precision_and_damping_reach_the_influence(tmp_path):
    """The same rows by either solver; near ones in float32; others, and lower scores, if damped."""
    dense = picks_of(tmp_path, "--solver", "cholesky")
    curves = pd.read_csv(folder_of(tmp_path, "--solver", "cholesky") / "curves.csv")
    assert curves["condition"].notna().tolist() == [False, True, True]
    cg = picks_of(tmp_path, "--solver", "cg")
    curves = pd.read_csv(folder_of(tmp_path, "--solver", "cg") / "curves.csv")
    assert curves["condition"].isna().all()
    pd.testing.assert_frame_equal(cg, dense, rtol=1e-6)
    single = picks_of(tmp_path, "--dtype", "float32")
    assert single["row"].tolist() == dense["row"].tolist()
    assert (single["score"] != dense["score"]).any()
    damped = picks_of(tmp_path, "--damping", "100")
    assert damped["score"].iloc[0] < 0.9 * dense["score"].iloc[0]
    record = json.loads((folder_of(tmp_path, "--damping", "100") / "run.json").read_text())
    assert record["options"]["damping"] == 100


def test_a_badly_conditioned_hessian_is_told_even_if_quiet(tmp_path, capsys):
    given = f"--methods salutary --l2 1e-4 --quiet --out {tmp_path}".split()
    assert main("multi", [*given, *QUICK]) == 0
    assert "condition number reached" in capsys.readouterr().out


# --- from any working directory ------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    ["main_binary.py", "main_multi.py", "main_llm.py", "compare.py", "explore.py", "label.py"],
)
def test_every_script_starts_from_another_folder_without_loading_torch(script, tmp_path):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", ROOT / script, "--help"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {script}")
    loaded = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "argparse" in loaded
    assert not loaded & {"torch", "numpy", "pandas", "sklearn", "matplotlib"}
