"""The options that say how a user's table is read, on the command line of every script."""

import json
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

import compare
import explore
import label
import main_binary
import main_llm
from common.cli import parse
from common.errors import UserError
from data_prep.classes import classes_of, has_no_class
from data_prep.columns import Columns
from data_prep.reading import FileReading, TableReading, as_option
from data_prep.tables import read
from data_utils import load
from experiments.options import ExperimentOptions
from experiments.settings import settle
from experiments.store import store_key
from llm.command import open_texts
from llm.options import LanguageOptions
from studies.command import command_line
from tests.helpers import error_of

SHORT = "--rounds 1 --budget 2 --methods random,salutary --no-plot --quiet".split()
ODD = ["--encoding", "cp1252", "--separator", "~", "--decimal", ","]
SET = {
    "unlabeled_value": "-1", "encoding": "latin-1", "separator": ";", "decimal": ",",
    "numeric": "a", "categorical": "a", "text": "a", "text_features": "tfidf", "date": "a",
    "drop": "a", "unseen": "other",
}  # fmt: skip


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    made = pd.DataFrame(rng.integers(0, 99, (150, 2)), columns=["größe", "b"])
    made["job"] = np.resize(["Köchin", "clerk"], 150)
    made["y"] = np.where(made["größe"] > 49, "1", "2")
    return made


@pytest.fixture
def files(frame, tmp_path):
    """The table as every script reads it without options, and one that needs three of them."""
    frame.to_csv(tmp_path / "plain.csv", index=False)
    odd = frame.assign(y=frame["y"] + ",0")
    odd.to_csv(tmp_path / "odd.csv", index=False, sep="~", encoding="cp1252")
    return [str(tmp_path / "plain.csv")], [str(tmp_path / "odd.csv"), *ODD]


def test_every_option_has_a_value_here():
    assert list(SET) == [item.name for item in fields(TableReading)]


# --- what the options do --------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["main_binary", "compare", "explore"])
def test_a_table_that_needs_the_options_gives_what_a_plain_one_does(
    script, files, tmp_path, capsys
):
    made = []
    for name, arguments in zip(("plain", "odd"), files, strict=True):
        out = tmp_path / name
        if script == "main_binary":
            words = ["--dataset", *arguments, *SHORT]
            assert main_binary.main([*words, "--target", "y", "--out", str(out)]) == 0
        elif script == "compare":
            words = ["--datasets", *arguments, *SHORT[:-2], "--quiet"]
            assert compare.main([*words, "--target", "y", "--out", str(out)]) == 0
        else:
            words = ["why", "--dataset", *arguments, *SHORT[:4], "--seeds", "0"]
            words += ["--unlabeled-value", "9"]
            assert explore.main([*words, "--target", "y", "--out", str(out)]) == 0
            assert "no cell of 'y' is '9', which" in capsys.readouterr().out
        found = next(out.rglob("why.csv" if script == "explore" else "picks.csv"))
        made.append(found.read_text().replace(name, ""))
        if script != "explore":
            options = json.loads(found.with_name("run.json").read_text())["options"]
            chosen = ["cp1252", "~", ","] if name == "odd" else [None] * 3
            assert [options[key] for key in ("encoding", "separator", "decimal")] == chosen
            assert options["unseen"] == "error"
    assert made[0] == made[1]


def test_label_reads_all_its_files_by_the_options(frame, files, tmp_path, capsys):
    """The odd files: the labeled rows and the pool in one, and a Parquet file for validation."""
    frame.loc[60:, "y"] = ""
    frame.to_csv(tmp_path / "plain.csv", index=False)
    odd = frame.assign(y=frame["y"].where(frame["y"] == "", frame["y"] + ",0"))
    odd.to_csv(tmp_path / "odd.csv", index=False, sep="~", encoding="cp1252")
    odd[:40].to_parquet(tmp_path / "odd.parquet")
    frame[:40].to_csv(tmp_path / "v.csv", index=False)
    written = []
    for arguments, validation in zip(files, ("v.csv", "odd.parquet"), strict=True):
        named = ["--labeled", *arguments, "--validation", str(tmp_path / validation)]
        out = tmp_path / "out.csv"
        more = ["--target", "y", "--budget", "3", "--l2", "1", "--anyway", "--force"]
        assert label.main([*named, *more, "--unlabeled-value", "9,0", "--out", str(out)]) == 0
        told = capsys.readouterr().out
        assert "no cell of 'y' is '9,0', which --unlabeled-value names" in told
        written.append(pd.read_csv(out, dtype=str, keep_default_na=False))
        found = json.loads(out.with_suffix(".json").read_text())["options"]
        assert found["separator"] == ("~" if len(arguments) > 1 else None)
    plain, odd = written
    assert odd["y"].tolist() == [f"{text},0" for text in plain["y"]]
    pd.testing.assert_frame_equal(
        odd.drop(columns=["y", "source_file"]), plain.drop(columns=["y", "source_file"])
    )


def test_main_llm_reads_texts_and_classes_by_the_options(frame, files):
    rest = ["--text-column", "job", "--target", "y", "--quiet"]
    for arguments in files:
        options, _ = parse("main_llm.py", ["--dataset", *arguments, *rest], LanguageOptions())
        texts = open_texts(options, print)
        assert texts.columns[0].tolist() == frame["job"].tolist()
        assert texts.y.tolist() == frame["y"].astype(int).tolist()


@pytest.mark.parametrize("script", ["main_binary", "compare", "explore", "label", "main_llm"])
def test_every_script_that_names_an_option_has_it(script, files, tmp_path, capsys):
    path = files[1][0]
    argv = {
        "main_binary": ["--dataset", path],
        "compare": ["--datasets", path, "--out", str(tmp_path / "out")],
        "explore": ["why", "--dataset", path, "--out", str(tmp_path / "out")],
        "label": ["--labeled", path, "--dry-run"],
        "main_llm": ["--dataset", path, "--text-column", "job", "--out", str(tmp_path / "out")],
    }
    main = {
        "main_binary": main_binary, "compare": compare, "explore": explore, "label": label,
        "main_llm": main_llm,
    }[script].main  # fmt: skip
    words = [*argv[script], "--target", "y", "--quiet"]
    assert main(words) == 2
    told = error_of(capsys)
    assert f"{path}, line 1 is not in UTF-8: save it as UTF-8, or name its encoding, such" in told
    assert main([*words, "--encoding", "utf-99"]) == 2
    assert error_of(capsys) == "error: --encoding 'utf-99' is unknown: try latin-1"
    assert main([*words, "--separator", "ab"]) == 2
    assert error_of(capsys).startswith("error: --separator 'ab' is no separator: give one char")


@pytest.mark.parametrize("separator", ["tab", r"\t", "\t", "blanks", r"\s+", " ", "^", "\x01", ","])
def test_a_separator_is_a_character_or_a_word(separator, tmp_path):
    """The header alone would be read otherwise: most columns are apart by commas."""
    sign = {"tab": "\t", r"\t": "\t", "blanks": "  ", r"\s+": " \t"}.get(separator, separator)
    path = tmp_path / "t.tsv"
    path.write_text(f"a{sign}b;c\n1{sign}2;3\n")
    found = read(path, FileReading(separator=separator))
    assert found.to_dict("list") == {"a": ["1"], "b;c": ["2;3"]}
    path.write_text(f"sep=;\na{sign}b;c\n1{sign}2;3\n")
    assert list(read(path, FileReading(separator=separator))) == ["a", "b;c"]


@pytest.mark.parametrize("separator", ["", "ab", "x", "7", '"', "\n", "é", "tabs", "\0"])
def test_another_text_is_no_separator(separator):
    with pytest.raises(UserError, match="is no separator: give one character"):
        TableReading(separator=separator)


@pytest.mark.parametrize("encoding", ["", "base64", "rot13", "latin-99"])
def test_an_encoding_is_one_of_texts(encoding):
    with pytest.raises(UserError, match="is unknown: try latin-1"):
        TableReading(encoding=encoding)


def test_the_mark_of_utf_8_is_no_part_of_a_name_if_the_encoding_is_given(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n", encoding="utf-8-sig")
    assert list(read(tmp_path / "t.csv", FileReading(encoding="UTF8"))) == ["a", "b"]


def test_classes_with_a_decimal_comma_are_numbers_if_the_option_says_so():
    cells, comma = (
        pd.Series(["1,0", " 2", "-1,0", "1.000"], name="y"),
        FileReading(("-1",), decimal=","),
    )
    assert classes_of(("t", cells[:2]), reading=comma).tolist() == [1, 2]
    assert classes_of(("t", cells[:2])).tolist() == ["1,0", "2"]
    assert has_no_class(cells, comma).tolist() == [False, False, True, False]
    assert classes_of(("t", cells[[0, 3]]), reading=comma).tolist() == ["1,0", "1.000"]
    floats = pd.Series([1.0, 2.0, 3.0], name="y")
    assert classes_of(("t", floats), reading=comma).tolist() == [1, 2, 3]
    with pytest.raises(UserError, match="'1,0' in 1 row of t, but '1' in 1 row"):
        classes_of(("t", pd.Series(["1,0", "1", "2"], name="y")), reading=comma)
    with pytest.raises(UserError, match="holds fractions"):
        classes_of(("t", pd.Series(["1,5", "2"], name="y")), reading=comma)


def test_the_columns_get_the_record(files, monkeypatch):
    seen = []
    real = Columns.fit
    monkeypatch.setattr(
        Columns, "fit", lambda self, *a: seen.append(self.reading) or real(self, *a)
    )
    reading = TableReading(numeric=("b",), drop=("job",))
    load(files[0][0], target="y", reading=reading)
    assert seen == [reading]


# --- where they say nothing -----------------------------------------------------------------------


@pytest.mark.parametrize("name", SET)
def test_a_known_data_set_takes_none_of_them(name, tmp_path, capsys):
    words = [as_option(name), SET[name], "--out", str(tmp_path)]
    for main, first in (
        (main_binary.main, []),
        (compare.main, ["--datasets", "bank"]),
        (explore.main, ["why"]),
    ):
        assert main([*first, *words]) == 2
        assert f"{as_option(name)} is for your own tables" in error_of(capsys)
    if name in vars(FileReading()):
        assert main_llm.main(words) == 2
        assert f"{as_option(name)} is for a table of your own" in error_of(capsys)


@pytest.mark.parametrize("name", ["encoding", "separator"])
def test_an_option_for_other_files_is_refused(name, frame, files, tmp_path, capsys):
    path, given = tmp_path / "t.parquet", [as_option(name), SET[name]]
    frame.to_parquet(path)
    rest = ["--target", "y", "--quiet", "--out", str(tmp_path / "out"), *given]
    assert main_binary.main(["--dataset", str(path), *rest]) == 2
    assert f"{given[0]} is for " in error_of(capsys)
    assert compare.main(["--datasets", str(path), *rest]) == 2
    assert f"it says nothing about {path}" in error_of(capsys)
    assert main_llm.main(["--dataset", str(path), "--text-column", "job", *rest]) == 2
    assert f"it says nothing about {path}" in error_of(capsys)
    assert label.main(["--labeled", str(path), "--unlabeled", str(path), *rest[:3], *given]) == 2
    assert f"it says nothing about {path}, {path}" in error_of(capsys)
    both = [str(path), files[1][0], *ODD]  # one of them needs it
    more = "--fetch --quiet --target y".split()
    assert compare.main(["--datasets", *both, *more]) == 0


def test_of_an_array_only_the_file_of_labels_is_read_by_them(frame, tmp_path):
    path, labels = tmp_path / "X.npy", tmp_path / "y.csv"
    np.save(path, frame[["größe", "b"]].to_numpy(float))
    frame[["job", "y"]].to_csv(labels, index=False, sep="~", encoding="cp1252")
    odd = TableReading(encoding="cp1252", separator="~")
    data = load(str(path), labels=labels, target="job", reading=odd).data
    assert data.y.tolist() == frame["job"].tolist()
    (tmp_path / "y.txt").write_text("\n".join(frame["job"]), encoding="cp1252")
    with pytest.raises(UserError, match="y.txt is not in UTF-8: .* such as --encoding latin-1"):
        load(str(path), labels=tmp_path / "y.txt")
    data = load(str(path), labels=tmp_path / "y.txt", reading=replace(odd, separator=None)).data
    assert data.y.tolist() == frame["job"].tolist()
    with pytest.raises(UserError, match="--separator is for .csv and .tsv: .* with .*y.txt"):
        load(str(path), labels=tmp_path / "y.txt", reading=odd)
    for name in ("decimal", "numeric", "categorical", "text", "date", "drop", "unseen"):
        value = SET[name] if name in ("decimal", "unseen") else (SET[name],)
        with pytest.raises(UserError, match=f"--{name} is for tables, not for arrays"):
            load(str(path), labels=labels, target="y", reading=replace(odd, **{name: value}))


# --- what depends on them -------------------------------------------------------------------------


def test_a_run_is_kept_if_the_same_features_come_of_another_reading(files):
    table = load(files[0][0], target="y")

    def key(table, **given):
        options = ExperimentOptions(dataset=files[0][0], target="y", protocol="strict", **given)
        return store_key(settle(options, given, table.dataset), table)

    assert key(table, separator=",", numeric=("b",)) == key(table)
    other = replace(table, data=replace(table.data, X=table.data.X + 1))
    assert key(other, numeric=("b",)) != key(table, numeric=("b",))


def test_the_command_of_a_study_names_each_value():
    given = {"drop": ("a", "b c"), "unlabeled_value": ("-1", ""), "seeds": (0, 1, 2)}
    line = command_line(["why"], given)
    assert line.endswith(
        "--drop a --drop 'b c' --unlabeled-value -1 --unlabeled-value '' --seeds 0-2"
    )


# --- what a file holds ----------------------------------------------------------------------------


def test_files_with_a_comment_blanks_or_a_last_separator_are_labeled(frame, tmp_path, capsys):
    rows = frame.drop(columns="job").rename(columns={"größe": "a"})
    rows[:50].to_csv(tmp_path / "l.csv", index=False, sep=" ")
    text = rows[50:100].drop(columns="y").to_csv(index=False)
    (tmp_path / "p.csv").write_text("# from the clinic\n" + text)
    text = rows[100:].to_csv(index=False, sep=";").replace("\n", ";\n")
    (tmp_path / "v.csv").write_text(text)
    named = [f"--labeled={tmp_path}/l.csv", f"--unlabeled={tmp_path}/p.csv"]
    named += [f"--validation={tmp_path}/v.csv", "--target=y", "--dry-run", "--l2=1", "--budget=3"]
    assert label.main(named) in (0, 3)
    told = capsys.readouterr().out
    assert "l.csv: its columns are apart by blanks" in told
    assert "p.csv: a comment before the header left out" in told
    assert "v.csv: each line ends with a separator" in told
    assert "50 labeled rows, 50 pool rows; 2 features of 2 columns, 2 classes" in told


def test_a_column_without_a_name_is_called_by_its_place_and_written_without(tmp_path, capsys):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=80).round(2), "b": 7})
    frame["y"] = np.where(frame["a"] > 0, "yes", "no")
    frame.loc[50:, "y"] = ""
    frame = frame.rename(columns={"b": ""})[["", "a", "y"]]
    path, out = tmp_path / "t.csv", tmp_path / "o.csv"
    frame.to_csv(path, index=False)
    named = ["--labeled", str(path), "--target", "y", "--budget", "3", "--l2", "1", "--anyway"]
    assert label.main([*named, "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "(column 1, no name)" in told
    assert "Unnamed" not in told
    assert out.read_text().startswith(",a,y,benefit")


def test_lists_are_written_to_csv_as_json(tmp_path):
    rng = np.random.default_rng(0)
    lists = rng.normal(size=(60, 1_500))
    frame = pd.DataFrame({"emb": list(lists), "y": np.where(lists[:, 0] > 0, "yes", "no")})
    frame.loc[40:, "y"] = ""
    frame.to_parquet(tmp_path / "t.parquet")
    out = tmp_path / "o.csv"
    named = ["--labeled", str(tmp_path / "t.parquet"), "--target", "y", "--budget", "2"]
    more = ["--l2", "100", "--method", "pseudo", "--anyway", "--quiet"]
    assert label.main([*named, *more, "--out", str(out)]) == 0
    written = pd.read_csv(out)
    assert json.loads(written["emb"][3]) == lists[3].tolist()
