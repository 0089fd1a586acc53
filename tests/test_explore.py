"""explore.py: every study by the command line, its numbers from outside, the page in a browser."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from html import unescape

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, split_of
from matplotlib.image import imread
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

import cli
import explore
import studies
from data_utils import load
from experiment import Settings, few_threads, run
from influence import benefit
from page import DOTS
from studies_influence import real_falls
from studies_pictures import mosaic
from workbench import STUDIES, WIDTH, Bench, about, clear, verdict

SMALL = "--dataset breast_cancer --seeds 0-1 --rounds 2 --budget 3".split()
PIXELS = round(WIDTH * DOTS)
QUICK = [*SMALL, "--jobs", "1", "--quiet"]


def bench(name="breast_cancer", **changed) -> Bench:
    table = load(name)
    few = {"seeds": (0,), "init": table.dataset.init, "rounds": 2, "budget": 3}
    return Bench(table, "strict", **few | changed)


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """A folder with every study, and the page."""
    out = tmp_path_factory.mktemp("explore")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies, "BUDGETS", (1, 3, 5))
        assert explore.main(["all", *QUICK, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """curves.csv and picks.csv of the main script with the same settings."""
    out = tmp_path_factory.mktemp("compared")
    methods = "--protocol strict --methods salutary,salutary_plus,random --no-plot --quiet"
    assert cli.main("binary", [*SMALL, *methods.split(), "--out", str(out)]) == 0
    folder = out / "breast_cancer-strict"
    return pd.read_csv(folder / "curves.csv"), pd.read_csv(folder / "picks.csv")


# --- all studies ----------------------------------------------------------------------------------


def test_all_writes_a_picture_for_light_and_dark_and_a_table_of_each_study(explored):
    assert list(STUDIES) == [
        "truth", "budget", "validation", "retrain", "hessian", "gallery", "boundary",
    ]  # fmt: skip
    names = {f"{study}{end}" for study in STUDIES for end in (".png", "-dark.png", ".csv")}
    assert {path.name for path in explored.iterdir()} == names | {"index.html"}
    for study in STUDIES:
        light, dark = imread(explored / f"{study}.png"), imread(explored / f"{study}-dark.png")
        assert light.shape == dark.shape
        assert light.shape[1] == PIXELS
        assert light[0, 0, :3].min() == 1
        assert dark[0, 0, :3].max() < 0.2
        assert light[..., :3].std() > 0.03  # something is drawn
        table = pd.read_csv(explored / f"{study}.csv")
        assert len(table) >= 2
        assert any(column.endswith("_sd") for column in table)


def test_the_same_command_gives_the_same_bytes_with_one_process_or_two(explored, tmp_path):
    quick = ["truth", "boundary", *SMALL, "--quiet", "--jobs", "2", "--out", str(tmp_path)]
    assert explore.main(quick) == 0
    written = sorted(path.name for path in tmp_path.iterdir())
    assert len(written) == 6  # and no page: that is for all
    for name in written:
        assert (tmp_path / name).read_bytes() == (explored / name).read_bytes(), name


def test_one_study_by_the_shell_prints_its_table_and_two_sentences(tmp_path):
    command = [sys.executable, "explore.py", "boundary", *SMALL, "--jobs", "1", "--out"]
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for text in ("2 principal components", "| accuracy before |", "Salutary: the picks lie",
                 "Salutary plus: the picks lie", "boundary.png, boundary.csv in"):  # fmt: skip
        assert text in done.stdout


def test_list_names_every_study_with_its_data_set(capsys):
    assert explore.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [[s.name, s.dataset] for s in STUDIES.values()]


# --- each study from outside ----------------------------------------------------------------------


def test_truth_is_what_curves_and_picks_of_the_main_script_say(explored, compared):
    curves, picks = compared
    table = pd.read_csv(explored / "truth.csv").set_index(["rule", "round"])
    differ = 100 * (picks["label"] != picks["true_label"])
    shares = differ.groupby([picks["method"], picks["round"], picks["seed"]]).mean()
    accuracy = 100 * curves.groupby(["method", "round"])["test_accuracy"].mean()
    for rule in ("salutary", "salutary_plus"):
        for r in (0, 1, 2):
            row = table.loc[(rule, r)]
            assert row["given_accuracy"] == pytest.approx(accuracy[rule, r], abs=1e-5)
            if r:
                assert row["not_true"] == pytest.approx(shares[rule, r].mean(), abs=1e-5)
                assert row["not_true_sd"] == pytest.approx(shares[rule, r].std(), abs=1e-5)
    assert table["not_true"].max() > 0  # else the next test says nothing


def test_truth_refits_the_same_rows_with_true_labels_as_scikit_learn_does(explored, compared):
    _, picks = compared
    table = pd.read_csv(explored / "truth.csv").set_index(["rule", "round"])
    for rule in ("salutary", "salutary_plus"):
        accuracies = []
        for seed in (0, 1):
            split = split_of("breast_cancer", seed=seed)
            mine = picks[(picks["method"] == rule) & (picks["seed"] == seed)]
            rows = np.append(split.labeled, mine["row"])  # this file's rows are all used, in order
            model = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000)
            model.fit(split.X[rows], split.y[rows])
            predicted = model.predict(split.X[split.test])
            accuracies.append(100 * accuracy_score(split.y[split.test], predicted))
        assert table.loc[(rule, 2), "true_accuracy"] == pytest.approx(np.mean(accuracies), abs=1e-5)


def fitted(name):
    split, one = split_of(name), bench(name)
    return split, one.model().fit(split.X[split.labeled], split.y[split.labeled])


@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
def test_retrain_really_retrains(name):
    """The falls are those of scikit-learn's model, fitted with one row more and without."""
    split, model = fitted(name)
    X, y = split.X[split.labeled], split.y[split.labeled]
    validation = split.X[split.validation], split.y[split.validation]
    rows, codes = split.pool[:4], np.array([0, 1, 1, 0])
    falls = real_falls(model, X, y, split.X[rows], codes, validation)

    def loss(X, y):
        found = LogisticRegression(C=1.0, tol=1e-10, solver="newton-cholesky").fit(X, y)
        p = found.predict_proba(validation[0])
        return log_loss(validation[1], p, labels=found.classes_, normalize=False)

    before = loss(X, y)
    expected = [
        before - loss(np.vstack([X, split.X[row]]), np.append(y, model.classes_[code]))
        for row, code in zip(rows, codes, strict=True)
    ]
    np.testing.assert_allclose(falls, expected, rtol=1e-4, atol=1e-4)


def test_retrain_finds_the_finite_step_better_for_the_best_rows(explored):
    table = pd.read_csv(explored / "retrain.csv").set_index(["rows", "estimate"])
    best = table.loc["best"]
    assert best.loc["finite", "rank_correlation"] > best.loc["first", "rank_correlation"] + 0.2
    off = (best["real_over_predicted"] - 1).abs()
    assert off["finite"] < off["first"]
    assert table.loc[("random", "finite"), "rank_correlation"] > 0.9


def test_budget_gains_are_those_of_the_main_script(explored, compared, tmp_path):
    curves, _ = compared
    table = pd.read_csv(explored / "budget.csv").set_index(["varied", "level"])
    assert table.loc["picks in a round"].index.tolist() == [1, 3, 5]
    assert table.loc["labeled rows at the start"].index.tolist() == [50, 100, 200, 300]
    small = ["--init", "50", "--methods", "salutary_plus", "--protocol", "strict", "--no-plot"]
    assert cli.main("binary", [*SMALL, *small, "--quiet", "--out", str(tmp_path)]) == 0
    fewer = pd.read_csv(tmp_path / "breast_cancer-strict/curves.csv")
    for curve, level in (
        (curves, ("picks in a round", 3)),
        (curves, ("labeled rows at the start", 100)),
        (fewer, ("labeled rows at the start", 50)),
    ):
        accuracy = curve.pivot(index=["method", "seed"], columns="round", values="test_accuracy")
        gains = 100 * (accuracy[2] - accuracy[0]).groupby("method").mean()
        np.testing.assert_allclose(table.loc[level, gains.index].astype(float), gains, atol=1e-5)


def test_validation_sets_are_changed_as_they_say_and_nothing_else_is():
    split = split_of("bank")
    found: dict[str, dict] = {}
    for varied, level, changed in studies.validation_sets(split, 0):
        found.setdefault(varied, {})[level] = changed
        for part in ("X", "rows", "labeled", "pool", "test"):
            assert getattr(changed, part) is getattr(split, part)
        assert np.isin(changed.validation, split.validation).all()
        assert len(np.unique(changed.validation)) == len(changed.validation)
    size = len(split.validation)
    assert [len(s.validation) for s in found["size"].values()] == [10, 30, 100, 300, size]
    for percent, changed in found["noise"].items():
        wrong = np.flatnonzero(changed.y != split.y)
        assert len(wrong) == round(size * percent / 100)
        assert np.isin(wrong, split.validation).all()
    (kept,) = {len(changed.validation) for changed in found["imbalance"].values()}
    for percent, changed in found["imbalance"].items():
        share = 100 * np.mean(changed.y[changed.validation] == 0)
        assert abs(share - percent) <= 50 / kept + 1e-9
    X = split.X[np.append(split.labeled, split.pool)]
    direction = np.linalg.svd(X - X.mean(0), full_matrices=False)[2][0]
    means = [(s.X[s.validation] @ direction).mean() for s in found["shift"].values()]
    assert (np.diff(means) < 0).all() or (np.diff(means) > 0).all()
    assert {len(s.validation) for s in found["shift"].values()} == {round(size / 10)}


def test_validation_of_full_size_is_the_plain_run_and_noise_hurts(explored, compared):
    curves, _ = compared
    table = pd.read_csv(explored / "validation.csv").set_index(["varied", "level"])
    accuracy = curves.pivot(index=["method", "seed"], columns="round", values="test_accuracy")
    gains = 100 * (accuracy[2] - accuracy[0]).groupby("method").mean()
    for level in (("size", 114), ("noise", 0)):
        np.testing.assert_allclose(table.loc[level, gains.index].astype(float), gains, atol=1e-5)
    assert table.loc[("noise", 50), "salutary"] < table.loc[("noise", 0), "salutary"]


def test_damping_is_added_to_the_diagonal():
    """Against H + damping·I written out for two classes; the intercept's entry too."""
    split, model = fitted("bank")
    validation = split.X[split.validation], split.y[split.validation]
    X_pool, damping = split.X[split.pool[:50]], 30.0
    scores = benefit(model, split.X[split.labeled], *validation, X_pool, damping=damping)

    def wide(X):
        return np.column_stack([X, np.ones(len(X))])

    def p(X):
        return model.predict_proba(X)[:, 1]

    X = wide(split.X[split.labeled])
    weight = p(split.X[split.labeled]) * (1 - p(split.X[split.labeled]))
    diagonal = np.append(np.full(X.shape[1] - 1, 1.0 + damping), damping)
    H = X.T @ (weight[:, None] * X) + np.diag(diagonal)
    g = wide(validation[0]).T @ (p(validation[0]) - validation[1])
    t = wide(X_pool) @ np.linalg.solve(H, g)
    expected = np.column_stack([p(X_pool) * t, (p(X_pool) - 1) * t])
    np.testing.assert_allclose(scores, expected, rtol=1e-7, atol=1e-9)


def test_gallery_shows_the_pixels_of_the_picked_rows_with_both_labels():
    one = bench("digits")
    wrong = pd.DataFrame(
        [(1, 7, 4, 9, 0.5), (1, 3, 1, 3, 0.9), (2, 11, 2, 0, 0.1)],
        columns=["round", "row", "label", "true_label", "score"],
    )
    figure = mosaic(one, wrong)
    shown = [(axes.get_xlabel(), axes.images[0].get_array()) for axes in figure.axes if axes.images]
    assert [label for label, _ in shown] == ["3 → 1", "9 → 4", "0 → 2"]
    digits = load("digits").data.X
    for (_, image), row in zip(shown, (3, 7, 11), strict=True):
        np.testing.assert_array_equal(image, digits[row].reshape(8, 8))


def test_gallery_and_boundary_agree_with_the_loop(explored):
    gallery = pd.read_csv(explored / "gallery.csv").set_index("round")
    boundary = pd.read_csv(explored / "boundary.csv").set_index("rule")
    settings = Settings(
        rounds=2, budget=3, l2=1.0, intercept=True, hessian="labeled", legacy_generator=False
    )
    for name, changed in (("mnist", {"pca": 50}), ("breast_cancer", {"pca": 2, "init": 30})):
        one = bench(name, **changed)
        with few_threads(one.split(0)):
            ends = [run(one.split(seed), "salutary", settings, seed)[0][-1] for seed in (0, 1)]
        ends = pd.DataFrame(ends)
        after = 100 * ends["test_accuracy"].mean()
        if name == "mnist":
            assert gallery.loc[2, "accuracy"] == pytest.approx(after, abs=1e-5)
            share = gallery["not_true"].mean()
        else:
            assert boundary.loc["salutary", "accuracy_after"] == pytest.approx(after, abs=1e-5)
            share = boundary.loc["salutary", "not_true"]
        assert share == pytest.approx(100 * ends["wrong_share"].mean(), abs=1e-5)


def test_a_study_takes_more_labeled_rows_where_its_own_few_leave_out_a_class(tmp_path, capsys):
    small = "boundary --dataset wine --seed 0 --rounds 1 --budget 1 --jobs 1 --out".split()
    assert explore.main([*small, str(tmp_path)]) == 0
    assert "300 labeled rows" in capsys.readouterr().out
    assert explore.main([*small, str(tmp_path), "--init", "30"]) == 2
    assert "give a larger --init" in capsys.readouterr().err


# --- words ----------------------------------------------------------------------------------------


def test_words_for_differences_follow_their_interval():
    up = [1.0, 1.1, 0.9, 1.0, 1.0]
    assert verdict(up) == "higher by 1.00 ± 0.09 points"
    assert verdict(-np.array(up)) == "lower by 1.00 ± 0.09 points"
    assert verdict([1, -1, 1, -1, 0.5]) == "not clearly different (+0.10 ± 1.27 points)"
    assert "too few seeds to tell" in verdict([5.0, 5.0])
    assert about(up) == "1.00 ± 0.09"
    assert about([2.0, 4.0]) == "3.00"
    assert clear(up)
    assert not clear(up[:4])
    assert not clear([1, -1, 1, -1, 0.5])


def test_sentences_on_the_page_are_those_of_its_own_tables(explored):
    """Two numbers of the words, made again from the tables beside them."""
    text = page_text(explored)
    truth = pd.read_csv(explored / "truth.csv").dropna()
    for rule, title in (("salutary", "Salutary"), ("salutary_plus", "Salutary plus")):
        share = truth[truth["rule"] == rule]["not_true"].mean()
        assert f"{title}: {share:.1f} % of the labels given are not the true ones" in text
    retrain = pd.read_csv(explored / "retrain.csv")["rank_correlation"]
    assert f"{retrain[0]:.2f} by first order and {retrain[1]:.2f} by the finite step" in text


# --- the page -------------------------------------------------------------------------------------


def page_text(folder) -> str:
    return unescape((folder / "index.html").read_text()).replace("\N{NO-BREAK SPACE}", " ")


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
        assert f"<pre>python explore.py {name} --dataset breast_cancer --seeds 0,1" in text
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


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("thruth", "unknown study 'thruth': did you mean 'truth'? choose from truth, budget"),
        ("", "name a study: truth, budget"),
        ("truth --dataset bnak", "unknown data set 'bnak': did you mean 'bank'?"),
        ("truth --dataset bank:pca:x", "'pca:x' is neither efficientnet nor pca:N"),
        ("truth --dataset mnist:efficientnet", "makes pca:N features, not efficientnet"),
        ("truth --dataset bank:pca:900", "at most 48 components are to be had here"),
        ("truth --dataset missing.csv --target y", "missing.csv does not exist"),
        (
            "truth --dataset breast_cancer --budget 90",
            "give a smaller --budget, --rounds or --init",
        ),
        ("budget --dataset breast_cancer --rounds 200", "too few here"),
        ("gallery --dataset bank", "gallery shows images, bank has none"),
        ("retrain --dataset mnist", "this one has 7,850: give principal components"),
        ("truth --seeds 5-3", "the range '5-3' runs backwards"),
        ("truth --protocol lax", "invalid choice: 'lax'"),
        ("truth --data-dir nowhere", "--data-dir nowhere is not a folder"),
        ("truth --l2 3", "unrecognized arguments: --l2 3"),
    ],
)
def test_bad_input_ends_in_one_line_and_writes_nothing(arguments, message, tmp_path, capsys):
    given = [*arguments.split(), "--quiet", "--jobs", "1", "--out", str(tmp_path)]
    assert explore.main([*given, *([] if "--seeds" in given else ["--seeds", "0"])]) == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    assert message in error
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_computed(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert explore.main(["all", "--quiet", "--out", str(tmp_path / "file" / "explore")]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "cannot write to" in error
