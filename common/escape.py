"""Text from outside, made safe for each language that the project writes: one function for each.

Names of files, columns and classes come from users. None of them may end a table's row, start a
formula or a link, or move a terminal's cursor.
"""

import html as _html
import os
import re
from typing import Any

_MARKDOWN = {ord(sign): f"\\{sign}" for sign in "\\`*_[]|"} | {
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
}
_LATEX = {ord(sign): f"\\{sign}" for sign in "&%$#_{}"} | {
    ord("\\"): r"\textbackslash{}",
    ord("~"): r"\textasciitilde{}",
    ord("^"): r"\textasciicircum{}",
}


def markdown(text: str) -> str:
    """``text`` as one line of plain words in Markdown, in a table's cell or outside of one."""
    return " ".join(text.split()).translate(_MARKDOWN)


def html(text: str) -> str:
    """``text`` as text or as an attribute's value in HTML."""
    return _html.escape(text, quote=True)


def plain(text: str) -> str:
    """A text, such as the name of a file, as one line that every encoding of Unicode can hold."""
    return terminal(text).replace("\n", "\\n")


# A cell that a spreadsheet would run begins with one of these signs, and is no number. Some run the
# last four, which are of full width, as in Chinese and Japanese texts.
_SIGNS = "=+\\-@\t\r\n＝＋－＠"
_NUMBER = r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*\Z"
FORMULA = rf"(?!{_NUMBER})[{_SIGNS}].+"  # for re.match and the flag re.DOTALL


def spreadsheet(text: str) -> str:
    """``text`` as a cell of a CSV: what a spreadsheet would run gets an apostrophe in front."""
    return f"'{text}" if re.match(FORMULA, text, re.DOTALL) else text


def latex(text: str) -> str:
    """``text`` as plain text in LaTeX."""
    return text.translate(_LATEX)


def mathtext(text: str) -> str:
    """``text`` in a matplotlib figure, without a formula between two dollar signs."""
    return terminal(text).replace("$", r"\$")


def terminal(text: str) -> str:
    """``text`` on a terminal: control characters other than line breaks are spelled out."""
    return "".join(
        sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text
    )


def shorten_path(path: Any) -> str:
    """A path for a message: its beginning and its end if it is very long."""
    text = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else str(path)
    return text if len(text) <= 300 else f"{text[:140]} … {text[-140:]}"
