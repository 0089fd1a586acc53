"""The page of a labeling: one HTML file to look at the labels, correct them and reject them.

It loads nothing from elsewhere. Its texts come from the user's tables, so HTML text is escaped, the
script reads its data as JSON and writes them as text only, and a policy allows no other script.
"""

import base64
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pandas as pd
from prettytable import PrettyTable

from common.escape import html
from common.files import text_bytes
from data_prep import formulas, tables
from data_prep.columns import DECISION_HEAD, Misfits, decision_rows
from data_prep.reading import is_place
from labeling.added_columns import (
    DECISION,
    QUOTED,
    Source,
    own_columns,
    prefix_beside,
)
from labeling.answer import Answer, arms_table, classes_table, fair_alternative
from labeling.bounded_answer import BoundedAnswer
from labeling.labeler import SalutaryLabeler
from labeling.output_tables import LabeledPool, OutputFiles, as_written
from labeling.page_picture import pictures
from labeling.records import LabeledRows, Labels
from labeling.row_stories import Explained, RowStories, row_stories
from labeling.user_tables import UserTables

MOST_ROWS = 2_000  # labeled rows on a page; the first ones, if there are more
SHOWN_COLUMNS = 24  # of a labeled row, and of the rows beside it
CUTS = (400, 200, 100, 50, 25, 12)  # characters of a cell that is shown
SHOWN_BYTES, OTHER_BYTES = 2_000, 2_000  # for each labeled row: of its cells, and of other rows
ROOM = 200  # so many rows' bytes are there also if the rows are fewer

WORDS_OF_BENEFIT = {
    "kind": "Salutary labels",
    "about": "A salutary label is the one that should lower the loss on the validation rows most. "
    "It need not be the true one: look at the rows below, and accept, correct or reject each.",
    "question": "Do the labels help?",
    "terms": "Benefit: the predicted fall of the summed validation loss if the row joins the "
    "training set with this label, by the model at the time of the pick.",
}
WORDS_OF_BOUND = {
    "kind": "Labels",
    "about": "The labels are those of a model, given to the rows that it is sure of. The other "
    "rows are left for a person, with the model’s label as a proposal.",
    "question": "How many of the labels are wrong?",
    "terms": "Probability: the model’s, of the label.",
}


def label_page(
    outputs: OutputFiles,
    labeler: SalutaryLabeler,
    user_tables: UserTables,
    pool: LabeledPool,
    answer: Answer | BoundedAnswer,
) -> bytes:
    """The whole page, in UTF-8.

    labeler : fitted to the known rows. pool : the rows that were given a label, or left.
    answer : of a BoundedAnswer the labels are the model's own, so no benefits are shown.
    """
    labels = pool.labels[np.arange(len(pool.labels)) < MOST_ROWS]
    left_out = len(pool.labels) - len(labels)
    rows = pool.rows.iloc[labels.rows]
    X = user_tables.maker.features(rows, Misfits(user_tables.files.pool_name, partial=True))
    explained = Explained(LabeledRows(X, labels.labels), ~labels.left)
    stories = row_stories(labeler, user_tables.known, explained)
    classes = labeler.classes_.tolist()
    data = page_data(outputs, user_tables, rows, labels, stories, classes)
    data["bounded"] = isinstance(answer, BoundedAnswer)
    text = json_text(data)
    more = f"{left_out:,} more rows are in the files and not on this page." if left_out else ""
    style, script = (beside(f"page.{end}") for end in ("css", "js"))
    page = Template(beside("page.html")).substitute(
        policy=f"default-src 'none'; style-src {sha(style)}; script-src {sha(script)}; "
        "base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        data=text,
        crc=zlib.crc32(text.encode()),
        pool=html(Path(user_tables.files.pool_name).name),
        target=html(user_tables.files.target),
        verdict=html(answer.advice),
        **(WORDS_OF_BOUND if isinstance(answer, BoundedAnswer) else WORDS_OF_BENEFIT),
        tone="good" if answer.advises_use else "bad",
        evidence=evidence_html(answer),
        columns=rows_html(DECISION_HEAD, decision_rows(user_tables.maker.columns.decisions)),
        missing=more,
        labeled=html(outputs.labeled.name),
    )
    return text_bytes(page)


def beside(name: str) -> str:
    """The text of a file beside this one."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def sha(text: str) -> str:
    """The source expression of a policy that allows this text of a script or a style."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def json_text(data: Any) -> str:
    """The data as JSON that no end of a script element can be in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").encode("utf-8", "replace").decode()


# --- what the script reads ------------------------------------------------------------------------


def page_data(
    outputs: OutputFiles,
    user_tables: UserTables,
    rows: pd.DataFrame,
    labels: Labels,
    stories: RowStories,
    classes: list,
) -> dict:
    """The labeled rows, what stands behind each, and what the sheet of decisions needs.

    rows (b, …) : as their file has them. classes : sorted, K of them.
    """
    files, cells = user_tables.files, user_tables.cells
    own = own_columns(cells.labeled)
    shown = [name for name in own if name != files.target][:SHOWN_COLUMNS]
    spelled = [cells.spelling[label] for label in classes]
    sheet = sheet_data(outputs, user_tables, rows, labels, spelled, shown)
    room = max(len(labels), ROOM)

    def others(frame: pd.DataFrame, used: np.ndarray) -> dict:
        columns = [files.target, *shown]
        return cut_to_fit(
            lambda most: other_rows(frame, used, columns, most), room * OTHER_BYTES // 2
        )

    return {
        "classes": [str(cell) for cell in spelled],
        "shown": shown,
        "rows": cut_to_fit(
            lambda most: [
                row_data(row, labels, i, stories, classes) | {"shown": cut(row[shown], most)}
                for i, (_, row) in enumerate(rows.iterrows())
            ],
            room * SHOWN_BYTES,
        ),
        "validated": stories.validated,
        "explained": stories.served.shape[1] > 0,
        "sheet": sheet,
        "labeled": others(cells.labeled, stories.nearest),
        "validation": others(
            cells.labeled if stories.of_labeled else cells.validation, stories.served
        ),
    }


def row_data(
    row: pd.Series, labels: Labels, i: int, stories: RowStories, classes: Sequence
) -> dict:
    """One labeled row. Other rows are named by their positions."""
    return {
        "name": name_of(row),
        "given": classes.index(labels.labels[i : i + 1].tolist()[0]),
        "left": bool(labels.left[i]),
        "round": int(labels.round[i]),
        "benefits": numbers(labels.benefits[i]),
        "benefit": number(labels.benefit[i]),
        "runner_up": number(labels.runner_up[i]),
        "probability": number(labels.probability[i]),
        "nearest": pairs(stories.nearest[i], stories.distances[i]),
        "served": pairs(stories.served[i], stories.falls[i]),
        "helped": int(stories.helped[i]),
    }


def other_rows(frame: pd.DataFrame, used: np.ndarray, columns: list[str], most: int) -> dict:
    """The rows of the frame at the positions ``used``, by position: name, class, cells."""
    found = {}
    for position in np.unique(used).tolist():
        row = frame.iloc[position]
        found[str(position)] = [name_of(row), *cut(row[columns], most)]
    return found


def sheet_data(
    outputs: OutputFiles,
    user_tables: UserTables,
    rows: pd.DataFrame,
    labels: Labels,
    spelled: list,
    shown: list[str],
) -> dict:
    """The rows as the written file has them, for the sheet of decisions.

    spelled : the cell of each class. shown : the columns that the page shows; their places in a row
    of ``cells`` let it show a whole text. written, quotes : each class's cell as it is written, and
    how many apostrophes --excel-safe puts in it.
    """
    target, known = user_tables.files.target, user_tables.cells.labeled
    own = own_columns(known)
    prefix = prefix_beside(own)
    csv = outputs.labeled.with_suffix(".csv")
    frame = tables.below_each_other([as_written(rows, labels, user_tables)], csv)
    classes = tables.cell_texts(pd.Series(spelled, dtype=object))
    quotes = pd.Series(0, classes.index)
    head = list(frame)
    if outputs.excel_safe:
        frame, counts = formulas.quoted(frame)
        head = list(frame)
        quoted, quotes = formulas.quoted(classes.to_frame("class"))
        classes = quoted["class"]
        frame[prefix + QUOTED] = counts
        head.append(prefix + QUOTED)
    columns = [tables.cell_texts(frame.iloc[:, i]).tolist() for i in range(frame.shape[1])]
    return {
        "name": f"{outputs.labeled.name.partition('.')[0]}_reviewed.csv",
        "head": ["" if is_place(name) else name for name in head],
        "cells": packed([list(cells) for cells in zip(*columns, strict=True)]),
        "target": own.index(target),
        "shown": [own.index(name) for name in shown],
        "quoted": len(head) - 1 if outputs.excel_safe else -1,
        "decision": prefix + DECISION,
        "written": classes.tolist(),
        "quotes": quotes.tolist(),
    }


def packed(cells: list[list[str]]) -> str:
    """The cells as JSON, with gzip, in letters."""
    return base64.b64encode(gzip.compress(json_text(cells).encode(), 6, mtime=0)).decode()


def cut_to_fit(made: Callable[[int], Any], most: int) -> Any:
    """What ``made`` gives for the longest of CUTS that keeps its JSON below ``most`` bytes."""
    for length in CUTS:
        data = made(length)
        if len(json_text(data).encode()) <= most:
            break
    return data


def cut(cells: pd.Series, most: int) -> list[str]:
    """The cells as texts of at most so many characters."""
    texts = tables.cell_texts(cells)
    return [text if len(text) <= most else text[: most - 1] + "…" for text in texts]


def name_of(row: pd.Series) -> str:
    """The row's source, without the folder."""
    return f"{Path(str(row[Source.FILE])).name} row {row[Source.ROW]}"


def number(value: float) -> float | None:
    """Four significant digits; None if it is not finite."""
    return float(f"{value:.4g}") if np.isfinite(value) else None


def numbers(values: np.ndarray) -> list[float | None]:
    return [number(value) for value in values]


def pairs(positions: np.ndarray, values: np.ndarray) -> list[list]:
    return [[int(i), number(value)] for i, value in zip(positions, values, strict=True)]


# --- what is there without a script ---------------------------------------------------------------


def evidence_html(answer: Answer | BoundedAnswer) -> str:
    """The reason, the pictures and the two tables; or why nothing was measured.

    Of a bound, what it rests on.
    """
    if isinstance(answer, BoundedAnswer):
        return "".join(f"<p>{html(line[:1].upper() + line[1:])}</p>" for line in answer.lines())
    evidence, reason = answer.evidence, answer.reason
    if evidence is None:
        return f"<p>Not measured: {html(reason)}.</p>"
    arms, classes = arms_table(evidence), classes_table(evidence, answer.mix)
    return (
        f"<p>{html(reason[:1].upper() + reason[1:])}.</p>"
        f'<div class="pictures">{pictures(evidence)}</div>'
        f"{table_html(arms, str(arms.title).capitalize())}<p>{html(fair_alternative(evidence))}</p>"
        "<h2>Classes</h2>"
        f"{table_html(classes, 'Class mix, and the recall of each class')}"
    )


def table_html(table: PrettyTable, caption: str) -> str:
    """A printed table as HTML."""
    cells = [[str(row[0]), *(minus(str(cell)) for cell in row[1:])] for row in table.rows]
    return rows_html(table.field_names, cells, caption)


def rows_html(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """A table of texts that scrolls by itself; without a caption, its last column has sentences."""
    shown = "".join(f"<th scope=col>{html(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    named = f' aria-label="{html(caption)}"' if caption else ""
    return (
        (f'<p class="caption">{html(caption)}</p>' if caption else "")
        + f'<div class="scroll{"" if caption else " columns"}" tabindex="0"><table{named}>'
        f"<thead><tr>{shown}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def minus(cell: str) -> str:
    """A minus sign in place of the hyphen before a number."""
    return re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", cell)
