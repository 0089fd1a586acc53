"""The gallery: the texts of highest benefit with the labels that they got."""

import numpy as np
import pandas as pd

from common.escape import spreadsheet
from data_prep.places import SHIPPED


def test_the_gallery_shows_the_texts_of_highest_benefit(done):
    _, folder = done
    picks, shown = pd.read_csv(folder / "picks.csv"), pd.read_csv(folder / "gallery.csv")
    source = pd.read_csv(SHIPPED / "text/tweets.csv.gz", keep_default_na=False)
    assert set(shown["method"]) == {"salutary", "salutary_plus"}
    for method, rows in shown.groupby("method"):
        scores = picks[picks["method"] == method]["score"].nlargest(len(rows))
        np.testing.assert_allclose(rows["benefit"], scores, rtol=1e-6)
    texts = source["text"].iloc[shown["row"]].map(spreadsheet)
    assert texts.tolist() == shown["text"].tolist()
    signs = np.where(source["rating"].iloc[shown["row"]] > 0, "positive", "negative")
    assert (shown["true_label"] == signs).all()
    assert set(shown["own_label"]) <= {"positive", "negative"}
    report = (folder / "report.md").read_text()
    assert report.count("\n| 1 | ") == 2
    assert " ".join(shown["text"][0].split())[:20].replace("&", "&amp;") in report
