"""What comes from outside stays text in every language that the project writes."""

import re
import warnings
from html.parser import HTMLParser
from io import BytesIO

import pytest
from matplotlib.figure import Figure

from common.escape import html, latex, markdown, mathtext, terminal

NASTY = [
    "a|b", "<script>alert(1)</script>", "[x](javascript:alert(1))", "![i](http://x/y.png)",
    "`code`", "*bold* _it_", "50 % & more", "a_b^c~d", r"\input{x}", "$x$ and $", "{brace}",
    "line\nbreak", '" onload="x', "\x1b[31mred\x1b[0m", "tab\there", "ümlaut ± ▲",
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_markdown_is_one_cell_of_plain_words(text):
    cell = markdown(text)
    assert "\n" not in cell
    bare = re.sub(r"\\.", "", cell)  # what is not escaped
    assert not set("|`*_[]<>") & set(bare)


@pytest.mark.parametrize("text", NASTY)
def test_html_gives_the_text_back_and_opens_no_tag(text):
    seen = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append((tag, dict(attrs)))

        def handle_data(self, data):
            seen.append(data)

    reader = Reader()
    reader.feed(f'<p title="{html(text)}">{html(text)}</p>')
    reader.close()
    assert seen[0] == ("p", {"title": text})
    assert "".join(part for part in seen[1:] if isinstance(part, str)) == text


@pytest.mark.parametrize("text", NASTY)
def test_latex_leaves_no_special_sign(text):
    bare = re.sub(r"\\(text\w+\{\}|[&%$#_{}])", "", latex(text))
    assert not set("&%$#_{}~^\\") & set(bare)


@pytest.mark.parametrize("text", [*NASTY, "$", r"$\frac{1}$", "a$b"])
def test_matplotlib_draws_it(text):
    figure = Figure()
    figure.suptitle(mathtext(text))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the font lacks control characters
        figure.savefig(BytesIO(), format="png")


def test_a_terminal_gets_no_control_sequence():
    assert terminal("a\x1b[31mb\nc\x07") == "a\\x1b[31mb\nc\\x07"
    assert terminal("ümlaut ± ▲ 中") == "ümlaut ± ▲ 中"
