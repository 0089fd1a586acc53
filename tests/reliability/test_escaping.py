"""Outputs carry no code, in whatever program they are opened."""

import os
import re
import shutil
import subprocess
from io import StringIO

import numpy as np
import pandas as pd
import pytest

import compare
import main_binary
from common.escape import latex, spreadsheet
from common.files import csv_bytes
from experiments.report import markdown_table

NASTY = [
    "a_b", "50% & #1", "x^2~{y}", r"\input{/etc/passwd}", "$x$", "=cmd|'/C calc'!A0",
    "<script>alert(1)</script>", "[x](javascript:alert(1))", "![i](http://x/y.png)",
]  # fmt: skip
# A small reader of LaTeX: what a table may hold, beside plain letters.
COMMANDS = set(
    "begin end caption label toprule midrule bottomrule textbf pm bigtriangleup bigtriangledown "
    "textbackslash textasciitilde textasciicircum centering".split()
)


def problems_of_latex(text: str) -> list[str]:
    """What would not compile in the text of a table, or is a command that it should not have."""
    found = []
    depth, maths = 0, False
    for line in text.splitlines():
        if line.startswith("%"):
            continue
        for token in re.findall(r"\\[A-Za-z]+|\\.|[{}$&%#_^~]|[^\\{}$&%#_^~]+", line):
            if re.fullmatch(r"\\[A-Za-z]+", token) and token[1:] not in COMMANDS:
                found.append(f"command {token}")
            depth += (token == "{") - (token == "}")
            maths ^= token == "$"
            if token in ("%", "#", "~") or (token in ("_", "^") and not maths) or depth < 0:
                found.append(f"{token} in {line}")
        if maths:
            found.append(f"a formula without an end in {line}")
    return found + ["a brace without an end"] * (depth != 0)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """F7: the folder of a comparison of two tables with nasty names, classes and columns."""
    folder = tmp_path_factory.mktemp("nasty")
    X = np.random.default_rng(0).normal(size=(120, 2))
    y = np.where(X[:, 0] > 0, "=cmd|'/C calc'!A0", "<script>[x](javascript:a_b)")
    frame = pd.DataFrame(X, columns=["a", "$_%"]).assign(y=y)
    paths = [folder / "a_b$%#{.csv", folder / os.fsdecode(b"<i>&^~}\xff.csv")]
    for path in paths:
        path.write_bytes(frame.to_csv(index=False).encode())
    given = "--target y --rounds 2 --budget 3 --init 30 --methods random,salutary --quiet".split()
    out = folder / "out"
    assert compare.main(["--datasets", *map(str, paths), *given, "--out", str(out)]) == 0
    return out


def test_f10_the_table_is_latex(report, tmp_path):
    """F10: read by the small reader, and compiled if there is a LaTeX here."""
    text = (report / "table.tex").read_text("utf-8")
    assert problems_of_latex(text) == []
    assert r"a\_b\$\%\#\{" in text
    program = shutil.which("pdflatex")
    style = program and subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True).stdout
    if style:
        page = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
        (tmp_path / "page.tex").write_text(f"{page}\n{text}\n\\end{{document}}\n", "utf-8")
        options = ["-interaction=batchmode", "-halt-on-error", "-no-shell-escape", "page.tex"]
        done = subprocess.run([program, *options], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, (tmp_path / "page.log").read_text("latin-1")[-800:]
    assert problems_of_latex("a_b & c \\\\") != []  # the reader is no fool
    assert problems_of_latex(r"\input{x}") == ["command \\input"]


@pytest.mark.parametrize("text", NASTY)
def test_f10_every_text_is_plain_in_latex(text):
    """F10."""
    assert problems_of_latex(latex(text)) == []


def test_f12_the_report_has_no_tag_no_link_and_no_picture_of_others(report):
    """F12: in report.md."""
    text = (report / "report.md").read_text("utf-8")
    own = re.sub(r"!\[[^\]]*\]\((?:own-[^)/]*/)?[a-z]+\.png\)", "", text)
    bare = re.sub(r"\\.", "", own)
    assert "<" not in bare
    assert not re.search(r"\]\(", bare)


def test_f12_the_tables_of_every_report_escape_their_cells():
    """F12: main_llm.py's gallery and confusion tables are made by it."""
    lines = markdown_table(pd.DataFrame({text: NASTY for text in NASTY}, index=NASTY))
    bare = [re.sub(r"\\.", "", line) for line in lines]
    assert {line.count("|") for line in bare} == {len(NASTY) + 2}
    assert not set("<>[]`") & set("".join(bare))


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"])
def test_p14_no_text_is_a_formula(sign):
    """P14: the wide signs too, and the names of columns."""
    text = f"{sign}1+cmd|'/C calc'!A0"
    assert spreadsheet(text) == f"'{text}"
    frame = pd.DataFrame({text: [text, "fine"], "mixed": [1, text], "number": [-1, 2]})
    back = pd.read_csv(StringIO(csv_bytes(frame).decode()), dtype=str, keep_default_na=False)
    cells = [*back.columns, *back.to_numpy().ravel()]
    assert sum(cell.startswith("'") for cell in cells) >= 3
    assert not [c for c in cells if re.match(r"[=+@\t\r＝＋－＠]|-[^0-9]", c)]


@pytest.mark.parametrize("number", ["-1", "+2.5", "-1e-9", "-.5", "-", "+"])
def test_p14_numbers_and_single_signs_stay(number):
    """P14: they are the same bytes as before."""
    assert spreadsheet(number) == number


def test_p14_the_picks_of_a_run_hold_no_formula(report):
    """P14: the labels that were given, and the true ones, with an apostrophe in front."""
    for path in report.glob("own-*/picks.csv"):
        picks = pd.read_csv(path, dtype=str)
        assert picks["true_label"].str.startswith("'=cmd").any()
        assert not picks["true_label"].str.startswith("=").any()


def test_p15_a_column_name_does_not_move_the_cursor(tmp_path, capsys):
    """P15: in an error, and in what is told of a table."""
    frame = pd.DataFrame({"a\x1b[2J": range(60), "y\x1b]0;t\x07": ["no", "yes"] * 30})
    frame.to_csv(tmp_path / "t\n.csv", index=False)
    own = ["--dataset", str(tmp_path / "t\n.csv"), "--rounds", "1", "--out", str(tmp_path / "o")]
    for target in ("y", "a\x1b[2J"):
        assert main_binary.main([*own, "--quiet", "--target", target]) == 2
        told = capsys.readouterr()
        assert "\x1b" not in told.out + told.err
        assert told.err.count("\n") == 1, told.err
        assert "\\x1b[2J" in told.err or "t\\n.csv" in told.err
