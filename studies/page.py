"""The page of explore.py: pictures for light and dark, tables and words in one file of HTML.

The page loads nothing from elsewhere: pictures are data URIs, styles are inside, there is no
script.
"""

import base64
import re
from collections.abc import Sequence
from string import Template

from common.escape import html
from common.files import text_bytes
from studies.drawing import DARK, DPI, LIGHT, ColourScheme
from studies.results import StudyResult
from studies.wording import table_cells


def html_page(results: Sequence[StudyResult], command: str) -> bytes:
    """The whole page, in UTF-8. command : the command line that makes it again."""
    names = [html(result.study.name) for result in results]
    page = PAGE.format(
        style=CSS,
        links="".join(f'<a href="#{name}">{name}</a>' for name in names),
        body="".join(map(_section, results)),
        command=html(command),
    )
    return text_bytes(page)


def _section(result: StudyResult) -> str:
    study, finding = result.study, result.finding
    width, height = (round(inches * DPI) for inches in finding.figure.get_size_inches())
    return SECTION.format(
        name=html(study.name),
        title=html(study.title),
        shows=html(study.shows),
        light=_data_uri(result.picture.light),
        dark=_data_uri(result.picture.dark),
        alt=html(f"{study.title} {study.shows} {' '.join(finding.sentences)}"),
        width=width,
        height=height,
        sentences="".join(f"<p>{html(typeset(text))}</p>" for text in finding.sentences),
        command=html(result.command),
        setting=html(result.setting),
        table=_table(result),
    )


def _table(result: StudyResult) -> str:
    cells = table_cells(result.finding.table).map(lambda text: html(typeset(text)))
    cells.columns = [html(name) for name in cells.columns]
    return cells.to_html(index=False, border=0, justify="unset", escape=False)


def typeset(text: str) -> str:
    """A minus sign in place of the hyphen before a number, and no line break around ±."""
    return re.sub(r"(?<!\w)-(?=\d)", "−", text).replace(
        " ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
    )


def _data_uri(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def _variables(scheme: ColourScheme) -> str:
    """The colours as variables of the style sheet."""
    return f"--paper: {scheme.background}; --ink: {scheme.text}; --quiet: {scheme.muted};"


CSS = Template("""
:root { color-scheme: light dark; $light --desk: #f3f5f7;
  --rule: #d8dee4; --link: #0b62a8; }
@media (prefers-color-scheme: dark) { :root { $dark
  --desk: #0d1117; --rule: #30363d; --link: #6cb6ff; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
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
img { display: block; width: 100%; height: auto; }
figure { margin: 0; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace;
  font-size: .86rem; }
pre { margin: 0 0 12px; padding: 10px 14px; white-space: pre-wrap; overflow-wrap: anywhere;
  background: var(--desk);
  border-radius: 8px; }
.scroll { overflow: auto; max-height: 21rem; border: 1px solid var(--rule); border-radius: 8px; }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .86rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { position: sticky; top: 0; background: var(--paper); color: var(--quiet); font-weight: 600;
  border-bottom: 1px solid var(--rule); }
tbody tr:nth-child(even) { background: color-mix(in srgb, var(--desk) 60%, transparent); }
footer { padding-bottom: 40px; }
@media (min-width: 900px) { .two { grid-template-columns: minmax(0, 11fr) minmax(0, 10fr);
  align-items: start; } section { padding: 32px; } }
@media (max-width: 500px) { section { padding: 20px 12px; } header, main, footer {
  padding-left: 10px; padding-right: 10px; } }
""").substitute(light=_variables(LIGHT), dark=_variables(DARK))

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
the loss on a validation set most, whether that label is true or not. These studies show when that
helps, when it fails, and how good the estimate behind it is.</p>
<p>“Salutary” is the paper's rule; “Salutary plus” is this project's: one row at a time, by the
finite step, weighted by the model's own probability of the label. Neither buys a label of the pool;
both read the labels of the validation set.</p>
<nav>{links}</nav>
</header>
<main>
{body}
</main>
<footer>
<p>Lines and tables are means over seeds. Bands and every ± are 95 % confidence intervals of the
mean; with fewer than five seeds there are none. The CSV files also hold the standard deviations, in
the columns <code>…_sd</code>. “Why” is about one seed. Accuracies and shares are in %, gains in
points of test accuracy. “Clearly” means that the interval leaves out zero.</p>
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
