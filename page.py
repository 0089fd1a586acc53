"""The page of explore.py: pictures for light and dark, tables and words in one file of HTML.

Nothing in it is fetched: pictures are data URIs, styles are inside, there is no script.
"""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import matplotlib
import pandas as pd
from matplotlib.image import AxesImage
from matplotlib.text import Text
from PIL import Image
from prettytable import PrettyTable

from workbench import Finding, Study

# paper, ink and quiet ink of the page and of its pictures
LIGHT = ("#ffffff", "#1c2128", "#59636e")
DARK = ("#161b22", "#e6edf3", "#9aa4af")
DOTS = 240  # an inch: twice the pixels of a desktop's column, three times those of a phone's

STYLE = {
    "axes.edgecolor": LIGHT[2],
    "axes.grid": True,
    "axes.labelcolor": LIGHT[1],
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "figure.facecolor": LIGHT[0],
    "axes.facecolor": "none",
    "font.size": 9,
    "grid.color": "#858585",
    "grid.alpha": 0.22,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "text.color": LIGHT[1],
    "xtick.color": LIGHT[2],
    "xtick.labelsize": 8.5,
    "ytick.color": LIGHT[2],
    "ytick.labelsize": 8.5,
}


def style():
    """The look of every picture, for as long as the context lasts."""
    return matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "agg", **STYLE})


def pictures(finding: Finding) -> tuple[bytes, bytes]:
    """The figure as PNGs: for light surroundings, and for dark ones."""
    light = _png(finding)
    paper, ink, quiet = DARK
    finding.figure.set_facecolor(paper)
    for axes in finding.figure.axes:
        axes.tick_params(color=quiet, labelcolor=quiet)
        axes.spines[:].set_edgecolor(quiet)
    for text in finding.figure.findobj(Text):
        if text.get_color() == LIGHT[1]:
            text.set_color(ink)
    for image in finding.figure.findobj(AxesImage):
        image.set_cmap("gray")  # of one channel; those of three have no map
    return light, _png(finding)


def _png(finding: Finding) -> bytes:
    """256 colours are all that is seen, and make a third of the bytes."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    finding.figure.savefig(drawn, format="png", dpi=DOTS)
    picture = Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(packed, format="png", optimize=True)
    return packed.getvalue()


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """A study's table as text: deviations beside their means, two digits where one says little."""
    columns = {}
    for name in table:
        if name.endswith("_sd"):
            continue
        cells = table[name]
        if pd.api.types.is_float_dtype(cells):
            digits = 2 if cells.abs().max() < 20 else 1
            text = (cells.round(digits) + 0.0).map(f"{{:.{digits}f}}".format)
            spread = table.get(f"{name}_sd")
            if spread is not None and spread.notna().any():
                text += spread.map(f" ± {{:.{digits}f}}".format)
            cells = text.where(cells.notna(), "")
        elif pd.api.types.is_integer_dtype(cells):
            cells = cells.map("{:,}".format)
        else:
            cells = cells.str.replace("_", " ")
        columns[name.replace("_", " ")] = cells
    return pd.DataFrame(columns)


def as_text(table: pd.DataFrame) -> str:
    """A study's table for the terminal."""
    cells = shown(table)
    out = PrettyTable(list(cells.columns), align="r")
    out.add_rows(cells.to_numpy().tolist())
    return out.get_string()


@dataclass(frozen=True)
class Entry:
    """A study on the page: its pictures for light and dark, its command, its setting in words."""

    study: Study
    finding: Finding
    light: bytes
    dark: bytes
    command: str
    setting: str


def html(entries: Sequence[Entry], command: str) -> bytes:
    """The whole page, in UTF-8."""
    links = "".join(f'<a href="#{e.study.name}">{escape(e.study.name)}</a>' for e in entries)
    body = "".join(map(_section, entries))
    return PAGE.format(style=CSS, links=links, body=body, command=escape(command)).encode()


def _section(entry: Entry) -> str:
    study, finding = entry.study, entry.finding
    width, height = (round(inches * DOTS) for inches in finding.figure.get_size_inches())
    table = shown(finding.table)
    return SECTION.format(
        name=study.name,
        title=escape(study.title),
        shows=escape(study.shows),
        light=_uri(entry.light),
        dark=_uri(entry.dark),
        alt=escape(f"{study.title} {study.shows} {' '.join(finding.sentences)}", quote=True),
        width=width,
        height=height,
        sentences="".join(f"<p>{escape(typeset(text))}</p>" for text in finding.sentences),
        command=escape(entry.command),
        setting=escape(entry.setting),
        table=table.map(typeset).to_html(index=False, border=0, justify="unset"),
    )


def typeset(text: str) -> str:
    """A real minus before numbers, and no line break within mean ± deviation."""
    return re.sub(r"(?<!\w)-(?=\d)", "−", text).replace(
        " ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
    )


def _uri(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode()


CSS = """
:root { color-scheme: light dark; --paper: %s; --ink: %s; --quiet: %s; --desk: #f3f5f7;
  --rule: #d8dee4; --link: #0b62a8; }
@media (prefers-color-scheme: dark) { :root { --paper: %s; --ink: %s; --quiet: %s;
  --desk: #0d1117; --rule: #30363d; --link: #6cb6ff; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%%; }
body { margin: 0; background: var(--desk); color: var(--ink); line-height: 1.55;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
header, main, footer { max-width: 1180px; margin: 0 auto; padding: 0 16px; }
header { padding-top: 40px; }
h1 { margin: 0 0 12px; font-size: clamp(1.6rem, 5vw, 2.3rem); line-height: 1.2;
  text-wrap: balance; }
h2 { margin: 0 0 4px; font-size: 1.3rem; line-height: 1.3; text-wrap: balance; }
p { margin: 0 0 12px; }
header p { max-width: 44em; }
a { color: var(--link); }
nav { display: flex; flex-wrap: wrap; gap: 8px; margin: 20px 0 24px; }
nav a { padding: 5px 14px; border: 1px solid var(--rule); border-radius: 99px;
  background: var(--paper); text-decoration: none; }
section { margin: 0 0 24px; padding: 24px; background: var(--paper); border: 1px solid var(--rule);
  border-radius: 12px; scroll-margin-top: 16px; }
.shows, .setting, footer { color: var(--quiet); }
.shows { max-width: 60em; margin-bottom: 20px; }
.setting { margin: 12px 0 0; }
.setting, footer, caption { font-size: .86rem; }
.two { display: grid; gap: 16px 40px; grid-template-columns: minmax(0, 1fr); }
img { display: block; width: 100%%; height: auto; }
figure { margin: 0; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace;
  font-size: .86rem; }
pre { margin: 0 0 12px; padding: 10px 14px; white-space: pre-wrap; overflow-wrap: anywhere;
  background: var(--desk);
  border-radius: 8px; }
.scroll { overflow: auto; max-height: 21rem; border: 1px solid var(--rule); border-radius: 8px; }
table { border-collapse: separate; border-spacing: 0; width: 100%%; font-size: .86rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { position: sticky; top: 0; background: var(--paper); color: var(--quiet); font-weight: 600;
  border-bottom: 1px solid var(--rule); }
tbody tr:nth-child(even) { background: color-mix(in srgb, var(--desk) 60%%, transparent); }
footer { padding-bottom: 40px; }
@media (min-width: 900px) { .two { grid-template-columns: minmax(0, 11fr) minmax(0, 10fr);
  align-items: start; } section { padding: 32px; } }
@media (max-width: 500px) { section { padding: 20px 12px; } header, main, footer {
  padding-left: 10px; padding-right: 10px; } }
""" % (*LIGHT, *DARK)  # noqa: UP031, braces are the style's own

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Salutary labeling, explored</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>Salutary labeling, explored</h1>
<p>Salutary labeling adds unlabeled rows to the training set, each with the label that should lower
the loss on a validation set most, whether that label is true or not. These studies show where that
helps, where it fails, and how good the estimate behind it is.</p>
<p>“Salutary” is the paper's rule; “Salutary plus” is this project's: one row at a time, by the
finite step, weighted by the model's own belief. Neither buys a label of the pool; both read those
of the validation set.</p>
<nav>{links}</nav>
</header>
<main>
{body}
</main>
<footer>
<p>Lines and tables are means over seeds. Bands and the ± of sentences are 95 % confidence intervals
of the mean, the ± of tables standard deviations. Accuracies and shares are in %, gains in points of
test accuracy. “Clearly” means that the interval leaves out zero.</p>
<p>Made by <code>{command}</code>; the same command gives the same page.</p>
</footer>
</body>
</html>
"""

SECTION = """<section id="{name}">
<h2>{title}</h2>
<p class="shows">{shows}</p>
<div class="two">
<figure><picture>
<source media="(prefers-color-scheme: dark)" srcset="{dark}">
<img src="{light}" alt="{alt}" width="{width}" height="{height}">
</picture></figure>
<div>
{sentences}
<pre>{command}</pre>
<div class="scroll" tabindex="0">{table}</div>
<p class="setting">{setting}</p>
</div>
</div>
</section>
"""
