"""The page: whole in itself, and right in a browser."""

import base64
import io
import json
import re
import shutil
import subprocess
from html import unescape

import pandas as pd
import pytest
from matplotlib.image import imread

from studies.drawing import DPI, WIDTH
from studies.registry import STUDIES

PIXELS = round(WIDTH * DPI)


def page_text(folder) -> str:
    return unescape((folder / "index.html").read_text()).replace("\N{NO-BREAK SPACE}", " ")


def test_sentences_on_the_page_are_those_of_its_own_tables(explored):
    """Two numbers of the words, made again from the tables beside them."""
    text = page_text(explored)
    truth = pd.read_csv(explored / "truth.csv").dropna(subset="not_true")
    for rule, title in (("salutary", "Salutary"), ("salutary_plus", "Salutary plus")):
        share = truth[truth["rule"] == rule]["not_true"].mean()
        assert f"{title}: {share:.1f} % of the labels given are not the true ones" in text
    retrain = pd.read_csv(explored / "retrain.csv")["rank_correlation"]
    assert f"{retrain[0]:.2f} by first order and {retrain[1]:.2f} by the finite step" in text


def test_page_is_whole_in_itself(explored):
    html = (explored / "index.html").read_text()
    own = re.sub(r"data:image/png;base64,[\w+/=]+", "", html)
    assert not re.search(r"https?:|//|url\(|@import|<script|<link|<iframe", own)
    references = re.findall(r'(?:src|srcset|href)="([^"]*)"', html)
    pictures = [r for r in references if r.startswith("data:image/png;base64,")]
    assert len(pictures) == 2 * len(STUDIES)
    assert {r for r in references if r not in pictures} == {f"#{name}" for name in STUDIES}
    files = {(explored / f"{s}{end}.png").read_bytes() for s in STUDIES for end in ("", "-dark")}
    assert {base64.b64decode(r.split(",", 1)[1], validate=True) for r in pictures} == files
    assert all(imread(io.BytesIO(content)).size for content in files)
    text = unescape(html)
    for name, study in STUDIES.items():
        assert f'<section id="{name}">\n<h2>{study.title}</h2>' in text
        assert f"<pre>python explore.py {name} --dataset breast_cancer --protocol strict" in text
    assert html.count('<table class="dataframe">') == len(STUDIES)
    assert str(explored) not in html


BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


# A frame has exactly the width asked for, which a headless window below 500 pixels has not; what
# the page inside sends up is then in the outer page's text.
FRAME = """<!DOCTYPE html><iframe src="page.html" style="border:0;width:{width}px;height:900px">
</iframe><p id="probe"></p><script>
addEventListener("message", e => document.getElementById("probe").textContent = e.data)
</script>"""
PROBE = """<script>addEventListener("load", () => parent.postMessage(JSON.stringify({
  inner: innerWidth, scroll: document.documentElement.scrollWidth,
  dark: matchMedia("(prefers-color-scheme: dark)").matches,
  sources: [...document.images].map(i => i.currentSrc.slice(-200)),
  images: [...document.images].map(i => [i.complete, i.naturalWidth, i.width]),
  outside: [...document.querySelectorAll("section, header, footer, p, h1, h2, pre, a, div, img")]
    .filter(e => e.getBoundingClientRect().right > innerWidth).length,
}), "*"))</script></body>"""


@pytest.mark.skipif(
    BROWSER is None, reason="no chromium, chromium-browser or google-chrome on PATH"
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_page_in_a_browser(explored, tmp_path, width, scheme):
    """Nothing is wider than the screen, and every picture is there, the one for the scheme."""
    html = (explored / "index.html").read_text()
    (tmp_path / "page.html").write_text(html.replace("</body>", PROBE))
    (tmp_path / "frame.html").write_text(FRAME.format(width=width))
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000",
            f"--blink-settings=preferredColorScheme={int(scheme == 'light')}",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", "--dump-dom",
            (tmp_path / "frame.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    found = json.loads(unescape(re.search(r'id="probe">([^<]+)', done.stdout).group(1)))
    assert found["inner"] == width
    assert found["scroll"] <= width
    assert found["outside"] == 0
    assert found["dark"] == (scheme == "dark")
    assert len(found["images"]) == len(STUDIES)
    for complete, natural, shown in found["images"]:
        assert complete
        assert natural == PIXELS
        assert shown > (300 if width == 390 else 500)
    end = "-dark" if scheme == "dark" else ""
    for study, source in zip(STUDIES, found["sources"], strict=True):
        content = base64.b64encode((explored / f"{study}{end}.png").read_bytes()).decode()
        assert content.endswith(source)
