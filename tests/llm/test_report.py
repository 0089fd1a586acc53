"""report.md: whatever the texts and classes of an own table hold, it stays a table of words."""

import pandas as pd

from common.escape import markdown
from llm.report import shortened
from main_llm import main


def test_texts_and_classes_are_escaped_once(table, tmp_path, quick):
    odd = table.texts.copy()
    odd[:] = [f"<b>{text}</b> | a *b* [c](d)\nnext line {i}" for i, text in enumerate(odd)]
    moods = ["a|b", "<i>c</i>"] * 60
    arguments = [*table(text=odd, mood=moods), "--target", "mood", "--out", str(tmp_path)]
    assert main([*arguments, *quick]) == 0
    folder = tmp_path / "own-mine-tuned"
    shown, report = pd.read_csv(folder / "gallery.csv"), (folder / "report.md").read_text()
    rows = [line for line in report.splitlines() if line[:3] in ("| 1", "| 2")]
    assert len(rows) == len(shown) == 2
    for row, pick in zip(rows, shown.itertuples(), strict=True):
        cells = [markdown(pick.label), markdown(pick.true_label), markdown(pick.own_label)]
        assert row.split(" | ", 2)[2] == " | ".join([*cells, markdown(shortened(pick.text))]) + " |"
    assert "<b>" not in report
    assert "&lt;b&gt;" in report
    assert "&amp;lt;" not in report
