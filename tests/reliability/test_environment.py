"""Nothing is assumed of the user's environment: locale, home, matplotlib, names, options."""

import ast
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

import compare
import label
import main_binary
import main_llm
from common.errors import UserError
from common.program import source_files
from strategies.registry import chosen_methods
from streaming.pools import chunks
from tests.helpers import ROOT, error_of, shell
from tests.helpers.own_table import label_words, own_table

RUN = "main_binary.py --dataset bank --rounds 1 --budget 2 --methods salutary --quiet --out".split()
OWN = "--target y --rounds 1 --budget 2 --init 30 --methods random,salutary --quiet --out".split()


def test_a_run_does_not_depend_on_the_environment(tmp_path):
    """F8, F15: a locale without UTF-8, no home, and settings of matplotlib that it cannot use."""
    (tmp_path / "matplotlibrc").write_bytes(b"text.usetex: True\nfont.family: \xff\n")
    (tmp_path / "sitecustomize.py").write_text(
        "import pwd\ndef no(*a): raise KeyError(a)\npwd.getpwuid = no\n"
    )
    setting = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "HOME": None}
    setting |= {"MPLBACKEND": "nope", "MATPLOTLIBRC": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    setting["MPLCONFIGDIR"] = os.devnull + "/x"
    done = shell(*RUN, str(tmp_path / "out"), **setting)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out/bank-paper/curves.png").stat().st_size > 1000
    assert (tmp_path / "out/bank-paper/picks.csv").is_file()


def test_f15_a_matplotlibrc_in_the_current_folder_that_is_no_text(tmp_path, monkeypatch, capsys):
    """F15: matplotlib reads that one first, so it is told before any compute."""
    (tmp_path / "matplotlibrc").write_bytes(b"font.family: \xff\n")
    monkeypatch.chdir(tmp_path)
    assert main_binary.main([*RUN[1:], str(tmp_path / "out")]) == 2
    assert "matplotlibrc in this folder cannot be read" in error_of(capsys)
    assert not (tmp_path / "out").exists()


def test_f8_without_a_home_a_missing_data_set_is_one_line(monkeypatch, tmp_path, capsys):
    """F8."""
    monkeypatch.delenv("SALUTARY_CACHE", raising=False)

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert main_binary.main(["--dataset", "diabetes", "--out", str(tmp_path)]) == 2
    assert "set SALUTARY_CACHE" in error_of(capsys)


def test_f9_a_variable_that_a_library_cannot_use_is_named(tmp_path, monkeypatch, capsys):
    """F9: joblib's processes look at it when they start."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "some")
    run = "--dataset breast_cancer --seeds 0,1 --jobs 2 --rounds 1 --methods random --quiet --out"
    assert main_binary.main([*run.split(), str(tmp_path)]) == 2
    assert "cannot use LOKY_MAX_CPU_COUNT=some of the environment" in error_of(capsys)


def test_f9_settings_of_dask_that_cannot_be_read_are_one_line(tmp_path, monkeypatch, capsys):
    """F9: dask reads them when it loads."""

    class Unreadable(ModuleType):
        def __getattr__(self, name):
            raise ValueError("A dask config file is malformed")

    monkeypatch.setitem(sys.modules, "distributed", Unreadable("distributed"))
    run = "--dataset breast_cancer --rounds 1 --methods random --quiet --dask tcp://x:1 --out"
    assert main_binary.main([*run.split(), str(tmp_path)]) == 2
    assert "Dask does not load with its settings" in error_of(capsys)


def test_f8_every_text_file_names_its_encoding():
    """F8: read_text, write_text and open in text mode, in every source file."""
    lacking = []
    for path in source_files(ROOT):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                owner = getattr(getattr(node.func, "value", None), "id", "")
                given = {k.arg for k in node.keywords}
                texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
                if "encoding" in given or owner in ("tarfile", "gzip", "Image", "np", "bundle"):
                    continue
                needs = {"read_text": 1, "write_text": 2}.get(name, 0)
                opens = name == "open" and not any("b" in str(t) for t in texts)
                if (needs and len(node.args) < needs) or (opens and owner in ("path", "")):
                    lacking.append(f"{path.name}:{node.lineno}")
    assert [place for place in lacking if "_open" not in place] == []


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [b"$x_{y}$ $\\oops$.csv", b"\xff\xfe<b>|`_\x1b[31mred\n\x07.csv"],
    ids=["mathtext", "no UTF-8"],
)
def test_f7_any_name_of_a_file_gives_all_results(name, tmp_path, capsys):
    """F7, P15."""
    path = own_table(tmp_path, name, ("=cmd|$x$", "\x1b[31m_b\\"), ("a", "$b_{c"))
    assert main_binary.main(["--dataset", path, *OWN, str(tmp_path / "out")]) == 0
    (run,) = (tmp_path / "out").glob("*/run.json")
    assert {"curves.csv", "picks.csv", "curves.pdf"} <= {p.name for p in run.parent.iterdir()}
    run.read_text("utf-8")
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err


def test_f7_the_page_of_a_labeling_of_such_files(tmp_path):
    """F7: the page names them, after all compute."""
    words = label_words(tmp_path, unlabeled=own_table(tmp_path, b"p\xff<b>\n.csv"))
    out = os.fsdecode(os.fsencode(tmp_path) + b"/plus\xff$.csv")
    assert label.main([*words, "--anyway", "--quiet", f"--out={out}"]) == 0
    (page,) = tmp_path.glob("*.html")
    assert r"p\udcff&lt;b&gt;" in page.read_text("utf-8")


@pytest.mark.parametrize("out", ["x" * 246 + ".csv", "x" * 230 + ".parquet", "é" * 120 + ".csv"])
def test_p10_a_name_that_is_too_long_is_told_before_the_measurement(
    out, tmp_path, monkeypatch, capsys
):
    """P10."""
    table = own_table(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("labeling.command.measure", lambda *a, **k: pytest.fail("measured"))
    given = ["--labeled", table, "--unlabeled", table, "--target", "y", "--out", out]
    assert label.main(given) == 2
    assert "shorten it" in error_of(capsys)


# --- tables and options --------------------------------------------------------------------------


def test_f13_a_column_that_cannot_be_written_is_told_before_the_measurement(
    tmp_path, monkeypatch, capsys
):
    """F13: a column of maps, which is read as lists of pairs of two types."""
    maps = pa.array([[("k", i % 2)] for i in range(60)], pa.map_(pa.string(), pa.int64()))
    numbers = np.linspace(-1, 1, 60)
    table = pa.table({"m": maps, "a": numbers, "y": ["no"] * 30 + ["yes"] * 30})
    pyarrow.parquet.write_table(table, tmp_path / "own.parquet")
    monkeypatch.setattr("labeling.command.measure", lambda *a, **k: pytest.fail("measured"))
    own, out = str(tmp_path / "own.parquet"), str(tmp_path / "out.parquet")
    given = ["--labeled", own, "--unlabeled", own, "--target", "y", "--budget", "2", "--out", out]
    assert label.main(given) == 2
    assert "'m'" in error_of(capsys)


def test_f13_whole_numbers_of_any_size_are_merged(tmp_path):
    """F13: those beyond 64 bits have no type in Parquet, and are written as texts."""
    table = pd.read_csv(own_table(tmp_path)).assign(id=[str(2**64 - 1 + i) for i in range(90)])
    table.astype({"id": "string"}).to_parquet(tmp_path / "big.parquet")
    table.assign(id=np.arange(90, dtype=np.uint64) + np.uint64(2**64 - 90)).to_parquet(
        tmp_path / "own.parquet"
    )
    for name in ("big", "own"):
        given = ["merge", str(tmp_path / f"{name}.parquet"), "--target", "y", "--quiet", "--out"]
        assert label.main([*given, str(tmp_path / f"all-{name}.parquet")]) == 0
        merged = pd.read_parquet(tmp_path / f"all-{name}.parquet")
        assert [int(cell) for cell in merged["id"]] == [
            int(cell) for cell in pd.read_parquet(tmp_path / f"{name}.parquet")["id"]
        ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--l2 1e300 --dtype float32", "too large for float32"),
        ("--damping 1e39 --dtype float32", "too large for float32"),
        ("--datasets ,", "no data set is here"),
    ],
)
def test_f6_options_that_do_not_go_together(arguments, message, tmp_path, capsys):
    """F6."""
    script = compare if "--datasets" in arguments else main_binary
    assert script.main([*arguments.split(), "--out", str(tmp_path), "--quiet"]) == 2
    assert message in error_of(capsys)


def test_f6_all_and_a_method_by_name_and_one_validation_row(tmp_path, capsys):
    """F6: each method is run once; one validation row is enough, or told."""
    assert chosen_methods(("all", "random")) == chosen_methods(("all",))
    table = pd.read_csv(own_table(tmp_path))
    parts = np.array(["labeled"] * 40 + ["pool"] * 20 + ["validation"] + ["test"] * 29)
    table.assign(part=parts).to_csv(tmp_path / "parts.csv", index=False)
    one = ["--dataset", str(tmp_path / "parts.csv"), "--split-column", "part", "--no-plot"]
    rest = "--target y --rounds 1 --budget 2 --methods random,salutary --quiet --out".split()
    capsys.readouterr()
    for protocol, code in (("tuned", 2), ("strict", 0)):
        given = [*one, "--protocol", protocol, *rest, str(tmp_path / protocol)]
        assert main_binary.main(given) == code
    assert "validation rows that are all of class" in error_of(capsys)
    table[:1].to_csv(tmp_path / "one.csv", index=False)
    words = label_words(tmp_path, validation=str(tmp_path / "one.csv"), out=f"{tmp_path}/plus.csv")
    assert label.main([*words, "--quiet"]) == 3  # it cannot be measured
    assert "not measured: a validation set of one row" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--dask", "--dataset", "--out", "--data-dir", "--target"])
def test_p21_an_empty_value_is_not_the_default(option, tmp_path, monkeypatch, capsys):
    """P21."""
    monkeypatch.chdir(tmp_path)
    for given in ([option, ""], [f"{option}="]):
        assert main_binary.main(given) == 2
        assert f"{option}: the value is empty" in error_of(capsys)
    assert list(tmp_path.iterdir()) == []


def test_p22_files_that_are_not_what_their_name_says(tmp_path):
    """P22: an .npz that is named .npy, and a negative shape."""
    np.savez(tmp_path / "zip.npz", X=np.ones((5, 2)))
    (tmp_path / "zip.npz").rename(tmp_path / "zip.npy")
    np.save(tmp_path / "negative.npy", np.ones((5, 2)))
    stored = (tmp_path / "negative.npy").read_bytes()
    (tmp_path / "negative.npy").write_bytes(stored.replace(b"(5, 2), } ", b"(-5, 2), }"))
    for name in ("zip.npy", "negative.npy"):
        with pytest.raises(UserError, match=r"or no \.npy file"):
            chunks(tmp_path / name)


def test_p7_labels_under_another_path_give_the_same_runs(tmp_path, monkeypatch, capsys):
    """P7: the same command from another folder goes on, and does not start anew."""
    X = np.random.default_rng(0).normal(size=(90, 2))
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", (X[:, 0] > 0).astype(int))
    (tmp_path / "below").mkdir()
    rest = "--rounds 1 --budget 2 --init 30 --methods random --no-plot --quiet --out".split()
    for folder, up in ((tmp_path, "."), (tmp_path / "below", "..")):
        monkeypatch.chdir(folder)
        given = ["--dataset", f"{up}/X.npy", "--labels", f"{up}/y.npy", *rest]
        assert main_binary.main([*given, str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").glob("*/runs/*"))) == 1


@pytest.mark.parametrize(
    ("error", "message"),
    [(MemoryError(), "too little memory"), (OSError(24, "Too many open files"), "ulimit -n")],
)
def test_p12_memory_and_file_handles_that_run_out_are_one_line(error, message, monkeypatch, capsys):
    """P12."""

    def fail(*_, **__):
        raise error

    monkeypatch.setattr("experiments.pipeline.load", fail)
    assert main_binary.main(["--dataset", "bank"]) == 2
    assert message in error_of(capsys)


@pytest.mark.parametrize("address", ["http://[bad", "nonsense", "http://host:port", "ftp://x"])
def test_f9_an_address_of_the_hub_that_is_none(address, monkeypatch, tmp_path, capsys):
    """F9."""
    pytest.importorskip("datasets.arrow_dataset")
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert main_llm.main(["--task", "rte", "--out", str(tmp_path)]) == 2
    assert "HF_ENDPOINT is no address" in error_of(capsys)
