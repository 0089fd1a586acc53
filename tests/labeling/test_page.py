"""The page of a labeling: what stands behind a row, the decisions, and how it looks in Chromium."""

import json
import re
import zlib

import numpy as np
import pandas as pd
import pytest
import torch

import influence
import label
from data_prep.places import SHIPPED
from labeling import row_stories
from labeling.labeler import SalutaryLabeler
from labeling.records import KnownRows, LabeledRows
from models import LogisticRegression
from tests.helpers.browser import CHROMIUM, OVERLAPS, Browser

CLASS = '=</script><b>"di&v", orced</b>'  # a class, a column and a text that would like to be HTML
COLUMN = "<script>document.title='taken'</script>"
TEXT = '=1+1\r\n"<img src=x onerror=document.title=0>", Größe 😀 ' + "long " * 100
in_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: apt-get install chromium brings one"
)


@pytest.fixture(scope="module")
def labeled(tmp_path_factory, run):
    """A folder with the labels of a small table full of traps: some given, some left."""
    folder = tmp_path_factory.mktemp("page")
    bank = pd.read_csv(SHIPPED / "bank/bank.csv.gz").sample(frac=1, random_state=0)[:260]
    bank = bank[["age", "balance", "housing", "marital"]].rename(columns={"balance": COLUMN})
    bank["marital"] = bank["marital"].replace("divorced", CLASS)
    bank["note"] = [f"{TEXT}{i}" for i in range(len(bank))]
    bank[:70].to_csv(folder / "labeled.csv", index=False)
    bank[70:140].to_csv(folder / "validation.csv", index=False)
    bank[140:].drop(columns="marital").to_csv(folder / "pool.csv", index=False)
    wanted = ("--target=marital", "--budget=16", "--abstain=1", "--excel-safe", "--quiet")
    assert run(folder, *wanted, "--text-features=tfidf") == 0
    return folder


def data_of(folder, name="plus.html"):
    """What the script of the page reads, and the page."""
    text = (folder / name).read_text(encoding="utf-8")
    found = re.search(r'id="data" data-crc="(\d+)">(.*?)</script>', text, re.DOTALL)
    assert zlib.crc32(found[2].encode()) == int(found[1])
    return json.loads(found[2]), text


def expected_sheet(folder, cells, decisions):
    """The written rows of these decisions, {row of the page: (decision, class cell or None)}."""
    plus, left = cells(folder / "plus.csv"), cells(folder / "plus_left.csv")
    rows = pd.concat([plus[plus["round"] != "0"], left]).set_index("source_row", drop=False)
    data, _ = data_of(folder)
    names = [data["rows"][i]["name"].rsplit(" ", 1)[1] for i in decisions]
    sheet = rows.loc[names].reset_index(drop=True)
    sheet["decision"] = [decision for decision, _ in decisions.values()]
    for i, (_, corrected) in enumerate(decisions.values()):
        if corrected:
            was, formula = sheet.loc[i, "marital"].startswith("'"), corrected.startswith("=")
            sheet.loc[i, "marital"] = "'" + corrected if formula else corrected
            sheet.loc[i, "quoted"] = str(int(sheet.loc[i, "quoted"]) - was + formula)
    return sheet


# --- what stands behind a row ---------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3])
def test_the_falls_are_the_gradient_of_each_validation_loss_along_the_step(classes):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4)), np.arange(60) % classes
    model = LogisticRegression(2.0, True).fit(X[:30], y[:30])
    H = influence.hessian(model, X[:30])
    validation, joining = LabeledRows(X[30:], y[30:]), LabeledRows(X[:7], y[:7])
    found = row_stories.falls(model, H, validation, joining)
    theta = model.theta_.clone()

    def losses(theta, rows):
        Z = torch.as_tensor(np.c_[X[rows], np.ones(len(X[rows]))]) @ theta.T
        Z = torch.cat([torch.zeros_like(Z), Z], 1) if classes == 2 else Z
        return torch.nn.functional.cross_entropy(Z, torch.as_tensor(y[rows]), reduction="none")

    def objective(theta):
        return losses(theta, slice(30)).sum() + theta[:, :-1].square().sum()  # l2 / 2 = 1

    dense = torch.autograd.functional.hessian(objective, theta).reshape(theta.numel(), -1)
    J = torch.autograd.functional.jacobian(lambda t: losses(t, slice(60)), theta).flatten(1)
    wanted = J[:7] @ torch.linalg.pinv(dense) @ J[30:].T
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-9)


def test_the_stories_name_the_nearest_labeled_rows_and_the_rows_that_gain_most():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(90, 3)), rng.integers(0, 2, 90)
    known = KnownRows(LabeledRows(X[:40], y[:40]), LabeledRows(X[40:70], y[40:70]))
    labeler = SalutaryLabeler(l2=1.0, standardise=False).fit(*known.arrays())
    given = np.arange(20) % 3 > 0  # the model learns from these only
    rows = LabeledRows(X[70:], y[70:])
    found = row_stories.row_stories(labeler, known, row_stories.Explained(rows, given))
    far = np.linalg.norm(rows.X[:, None] - X[:40], axis=2)
    assert (found.nearest == far.argsort(1)[:, :5]).all()
    for start in range(0, 20, 2):  # ten models share the rows
        learned = 70 + np.flatnonzero(given[:start])
        training = np.append(np.arange(40), learned)
        model = LogisticRegression(1.0, True).fit(X[training], y[training])
        for i in (start, start + 1):
            falls = influence.falls_by_row(
                model, X[training], X[40:70], y[40:70], rows.X[i], rows.y[i]
            )
            best = falls.argsort(descending=True)[:5]
            assert (found.served[i] == best.numpy()).all()
            np.testing.assert_allclose(found.falls[i], falls[best], rtol=1e-3)
            assert found.helped[i] == int((falls > 0).sum())


def test_rows_set_aside_for_validation_are_named_by_their_place_in_the_labeled_rows():
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(80, 3)), np.arange(80) % 2
    labeler = SalutaryLabeler(l2=1.0, standardise=False).fit(X[:60], y[:60])
    known = KnownRows(LabeledRows(X[:60], y[:60]))
    explained = row_stories.Explained(LabeledRows(X[60:], y[60:]), np.ones(20, bool))
    found = row_stories.row_stories(labeler, known, explained)
    held = {tuple(row) for row in labeler._known.X_validation.tolist()}
    assert found.of_labeled
    assert found.validated == len(held)
    assert all(tuple(X[i]) in held for i in np.unique(found.served))


# --- the file -------------------------------------------------------------------------------------


def test_the_page_has_every_labeled_row_with_the_numbers_of_the_table(labeled, cells):
    data, text = data_of(labeled)
    plus, left = cells(labeled / "plus.csv"), cells(labeled / "plus_left.csv")
    given = plus[plus["round"] != "0"]
    assert len(given) > 0
    assert len(left) > 0
    written = pd.concat([given, left]).set_index("source_row")
    assert len(data["rows"]) == len(written) == 16
    for row in data["rows"]:
        of = written.loc[row["name"].rsplit(" ", 1)[1]]
        assert row["benefit"] == pytest.approx(float(of["benefit"]), rel=1e-3)
        assert row["benefits"][row["given"]] == row["benefit"]
        others = [b for k, b in enumerate(row["benefits"]) if k != row["given"]]
        assert max(others) == row["runner_up"]
        assert row["left"] == (row["name"].rsplit(" ", 1)[1] in set(left["source_row"]))
        assert len(row["nearest"]) == len(row["served"]) == 5
    assert [row["round"] for row in data["rows"]] == sorted(row["round"] for row in data["rows"])
    assert "http" not in text.replace("http-equiv", "")
    assert CLASS not in text
    assert COLUMN not in text


def test_a_page_of_long_cells_stays_small(tmp_path, run):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(460, 2)), columns=["a", "b"])
    words = np.array([f"<{word}&é>" for word in rng.integers(0, 5_000, 2_000)])
    for name in "cdef":
        frame[name] = [" ".join(rng.choice(words, 150)) for _ in range(460)]
    frame["y"] = np.where(frame["a"] > 0, "a", "b")
    frame[:60].to_csv(tmp_path / "labeled.csv", index=False)
    frame[60:120].to_csv(tmp_path / "validation.csv", index=False)
    frame[120:].drop(columns="y").to_csv(tmp_path / "pool.csv", index=False)
    chosen = ("--budget=200", "--rounds=1", "--method=salutary", "--quiet", "--drop=c")
    assert run(tmp_path, *chosen, "--text-features=tfidf") == 0
    assert (tmp_path / "plus.html").stat().st_size < 2_000_000
    data, _ = data_of(tmp_path)
    assert len(data["rows"]) == 200
    assert data["rows"][0]["shown"][2].endswith("…")


# --- in Chromium ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium


def row(i, inside):
    return f'article[data-row="{i}"] {inside}'


@in_chromium
def test_three_labels_are_corrected_downloaded_and_merged(labeled, browser, cells, tmp_path):
    data, _ = data_of(labeled)
    browser.open(labeled / "plus.html")
    decisions = {}
    for i in range(3):
        k = (data["rows"][i]["given"] + 1) % 3
        browser.choose(row(i, "select"), data["classes"][k])
        decisions[i] = ("correct", data["classes"][k])
    browser.click(row(3, ".reject-row"))
    browser.click(row(5, ".accept-row"))
    browser.click(row(6, ".accept-row"))
    browser.click(row(6, ".accept-row"))  # taken back
    decisions |= {3: ("reject", None), 5: ("accept", None)}
    browser.open(labeled / "plus.html")  # the decisions are still there
    wanted = "5 of 16 decided: 1 accepted, 3 corrected, 1 rejected"
    assert browser.run("document.getElementById('progress').textContent") == wanted
    browser.click("#download")
    sheet = browser.downloaded("plus_reviewed.csv")
    pd.testing.assert_frame_equal(cells(sheet), expected_sheet(labeled, cells, decisions))
    assert browser.run("document.title") == "Salutary labels for pool.csv"
    assert browser.complaints() == []
    files = [labeled / "labeled.csv", labeled / "plus.csv", labeled / "plus_left.csv", sheet]
    out, rest = tmp_path / "table.csv", tmp_path / "rest.csv"
    words = ["merge", *files, "--target=marital", f"--out={out}", f"--pool={labeled / 'pool.csv'}"]
    assert label.main([*map(str, words), f"--pool-out={rest}", "--quiet"]) == 0
    table, left = cells(out), cells(rest)
    names = [int(each["name"].rsplit(" ", 1)[1]) for each in data["rows"]]  # rows of the pool
    notes = cells(labeled / "pool.csv")["note"]
    for i in range(3):
        (merged,) = table[table["note"] == notes[names[i]]].itertuples()
        assert (merged.marital, merged.labeled_by) == (decisions[i][1], "person")
    assert notes[names[3]] in set(left["note"]) - set(table["note"])  # the rejected row
    assert len(table) + len(left) == 70 + 120


@in_chromium
def test_rows_are_found_filtered_and_sorted(labeled, browser):
    data, _ = data_of(labeled)
    rows = data["rows"]
    browser.open(labeled / "plus.html")
    listed = "[...document.querySelectorAll('article')].map((a) => Number(a.dataset.row))"
    assert browser.run(listed) == list(range(16))
    browser.choose("#sort", "lead over the runner-up, smallest first")
    leads = [rows[i]["benefit"] - rows[i]["runner_up"] for i in browser.run(listed)]
    assert leads == sorted(leads)
    browser.click("#reverse")
    assert browser.run(listed)[0] == max(range(16), key=lambda i: leads_of(rows[i]))
    browser.choose("#of-decision", "left for a person")
    assert set(browser.run(listed)) == {i for i in range(16) if rows[i]["left"]}
    browser.choose("#of-decision", "all")
    name = rows[4]["name"]
    browser.run(
        f"(() => {{ const e = document.getElementById('find'); e.value = {json.dumps(name)};"
        " e.dispatchEvent(new Event('input')); })()"
    )
    assert 4 in browser.run(listed)
    assert all(rows[i]["name"].startswith(name) for i in browser.run(listed))


@in_chromium
def test_a_text_that_was_cut_is_there_as_a_whole_on_demand(labeled, browser, cells):
    data, _ = data_of(labeled)
    browser.open(labeled / "plus.html")
    browser.run("document.querySelector('article details').open = true")
    browser.wait_for("!!document.querySelector('.story button.whole')")
    note = "document.querySelector('.story button.whole').parentElement"
    browser.run(f"window.note = {note}; 0")
    assert len(browser.run("note.textContent")) < len(TEXT)
    browser.click(".story button.whole")
    browser.wait_for("!note.querySelector('button')")
    source, place = data["rows"][0]["name"].split(" row ")
    whole = cells(labeled / source)["note"][int(place)]
    assert browser.run("note.textContent").removeprefix("'") == whole  # of --excel-safe
    assert browser.run("note.children.length") == 0  # a text, although it would like to be HTML


def leads_of(row):
    return row["benefit"] - row["runner_up"]


@in_chromium
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overlaps_or_is_wider_than_the_window(width, dark, labeled, browser, tmp_path):
    browser.open(labeled / "plus.html", width, 1000, dark)
    browser.run("document.querySelectorAll('details').forEach((e, i) => { e.open = i < 2; })")
    browser.wait_for("document.querySelectorAll('.story').length == 2")
    assert browser.run("innerWidth") == width
    assert browser.run(OVERLAPS) == []
    browser.picture(tmp_path / "page.png")
    paper = browser.run("getComputedStyle(document.querySelector('section')).backgroundColor")
    assert paper == ("rgb(22, 27, 34)" if dark else "rgb(255, 255, 255)")


@in_chromium
def test_a_page_whose_data_were_edited_says_so_and_gives_no_sheet(labeled, browser, tmp_path):
    text = (labeled / "plus.html").read_text(encoding="utf-8")
    edited = tmp_path / "edited.html"
    assert '"given":1' in text
    edited.write_text(text.replace('"given":1', '"given":2', 1), encoding="utf-8")
    browser.open(edited)
    said = browser.run("document.getElementById('broken').innerText")
    assert said.startswith("The data of this page were changed after label.py wrote it")
    assert browser.run("document.getElementById('bar').hidden")
