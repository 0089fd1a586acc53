"""Which data sets compare.py runs, and what it does with those that are missing or fail."""

import json
from collections import Counter

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from common.errors import UserError
from compare import main
from data_prep.catalogue import DATASETS
from data_prep.feature_choice import feature_choice, split_token
from experiments.comparison import replaces_another
from experiments.data_sets import look_for, requests
from experiments.options import ComparisonOptions
from tests.helpers import error_of
from tests.helpers import main as main_script

QUICK = "--rounds 1 --budget 2 --methods random,salutary".split()
ARCHIVE, OPENML = "http://archive.example", "https://www.openml.org"


def silent(text):
    """Say nothing."""


def tokens(asked):
    """Data sets as --datasets takes them."""
    return [f"{r.name}:{r.options.features or ''}".removesuffix(":") for r in asked]


@pytest.fixture
def probes(monkeypatch, tmp_path):
    """The hosts that were asked for, none of which answers; and an empty cache."""
    asked = []
    monkeypatch.setenv("SALUTARY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SALUTARY_ARCHIVE", ARCHIVE)
    monkeypatch.setattr(
        "data_prep.addresses.unreachable", lambda host: asked.append(host) or "no network"
    )
    return asked


@pytest.fixture
def small_paper(monkeypatch):
    """In place of the paper's nine: two that are in scikit-learn, and two that do not ship."""
    names = ("breast_cancer", "diabetes", "celeba", "digits")
    monkeypatch.setattr("experiments.data_sets.PAPER", [DATASETS[name] for name in names])


def test_paper_is_the_nine_of_the_paper_in_its_order():
    asked = requests(ComparisonOptions(datasets=("paper",)), silent)
    nine = "electric bank diabetes celeba musk wine waveform cifar10:pca:50 mnist:pca:50"
    assert tokens(asked) == nine.split()
    assert not any(request.named for request in asked)


def test_available_names_what_needs_no_network(probes, shared_data):
    asked = ComparisonOptions(datasets=("available",))
    found = tokens(requests(asked, silent))
    assert {"electric", "bank", "wine", "waveform", "mnist:pca:50", "digits"} <= set(found)
    assert not {"celeba", "diabetes"} & set(found)
    asked = ComparisonOptions(datasets=("available",), data_dir=shared_data)
    assert "diabetes" in tokens(requests(asked, silent))
    assert probes == []


def test_a_host_without_an_answer_is_asked_for_one_data_set_only(probes, capsys):
    here, left_out = look_for(requests(ComparisonOptions(datasets=("paper",)), silent), silent)
    assert {r.name for r in here} >= {"electric", "bank", "wine", "waveform", "mnist"}
    assert set(left_out) >= {"diabetes", "celeba", "cifar10"}
    assert Counter(probes) == {ARCHIVE: 2, OPENML: 2}  # twice, before the answer is believed
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == list(left_out)
    assert "put messidor_features.arff (UCI 329) into" in told[0]
    assert "its licence forbids shipping it" in told[1]


def test_a_cache_that_cannot_be_written_to_loses_no_other_data_set(
    probes, small_paper, tmp_path, capsys
):
    (tmp_path / "cache").write_text("a file where the folder should be")
    here, left_out = look_for(requests(ComparisonOptions(datasets=("paper",)), silent), silent)
    assert [r.name for r in here] == ["breast_cancer", "digits"]
    assert "set SALUTARY_CACHE to another folder" in left_out["diabetes"].sentence


def test_what_is_missing_or_fails_is_left_out_and_told(probes, small_paper, tmp_path, capsys):
    arguments = f"--datasets paper --init 12 --features pca:40 --out {tmp_path}/out".split()
    assert main([*arguments, *QUICK]) == 2
    told = capsys.readouterr()
    assert told.err.splitlines()[-1].startswith("error: no result of breast_cancer: ")
    assert "pca:40" in told.err
    states = dict(line.split(maxsplit=1) for line in told.out.splitlines()[:4])
    assert states["breast_cancer"] == "here: in scikit-learn"
    assert states["diabetes"].startswith("missing (http://archive.example/api/dataset?id=329 can")
    out = tmp_path / "out"
    assert set(pd.read_csv(out / "table.csv")["dataset"]) == {"digits"}
    report = (out / "report.md").read_text()
    for name in ("breast_cancer", "diabetes", "celeba"):
        assert f"\n- {name}: ".replace("_", r"\_") in report
    assert "![learning curves](figure.png)" in report
    assert (out / "figure.png").read_bytes()[:4] == b"\x89PNG"
    assert (out / "figure.pdf").read_bytes()[:4] == b"%PDF"


@pytest.mark.parametrize(
    ("before", "now", "replaced"),
    [("ab", "ab", False), ("ab", "abc", False), ("ab", "a", True), ("ab", "ac", True)],
)
def test_a_report_without_something_of_the_one_before_is_told(
    before, now, replaced, tmp_path, monkeypatch
):
    """It is silent about more methods, about the first report, and about a damaged one."""

    def table(methods):
        shared = {"dataset": "wine", "protocol": "tuned", "metric": "auc"}
        return pd.DataFrame([shared | {"method": method} for method in methods])

    monkeypatch.setattr("experiments.comparison.report.long_table", lambda names: table(names))
    assert not replaces_another(tmp_path, now)
    table(before).to_csv(tmp_path / "table.csv")
    assert replaces_another(tmp_path, now) == replaced
    (tmp_path / "table.csv").write_text("")
    assert not replaces_another(tmp_path, now)


def test_what_is_named_and_missing_ends_it_before_anything_is_computed(probes, tmp_path, capsys):
    arguments = f"--datasets breast_cancer diabetes celeba --quiet --out {tmp_path}/out".split()
    assert main([*arguments, *QUICK]) == 2
    error = error_of(capsys)
    assert "diabetes is missing (http://archive.example/api/dataset?id=329 cannot be" in error
    assert "; celeba is missing (its licence forbids" in error
    assert not list((tmp_path / "out").iterdir())


def test_fetch_fails_for_what_the_network_has_and_for_what_is_named(
    probes, small_paper, monkeypatch, capsys
):
    assert main("--datasets paper --fetch".split()) == 2
    told = capsys.readouterr()
    assert [line.split()[1] for line in told.out.splitlines()] == [
        "here:", "missing", "missing", "here:",
    ]  # fmt: skip
    assert told.err == "error: 1 of 4 data sets could not be fetched: diabetes\n"
    assert main("--datasets bank --fetch".split()) == 2
    assert "bank           here: 4,521 rows; all 41,188 are missing (" in capsys.readouterr().out
    monkeypatch.setattr("experiments.data_sets.PAPER", [DATASETS["celeba"]])
    assert main("--datasets paper --fetch".split()) == 0
    assert main("--datasets celeba --fetch".split()) == 2


# --- own tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "name", "features"),
    [
        ("mnist:pca:50", "mnist", "pca:50"),
        ("a/my:file.csv", "a/my:file.csv", ""),
        ("my:file.csv:pca:5", "my:file.csv", "pca:5"),
        ("mine.csv:efficientnet", "mine.csv", "efficientnet"),
    ],
)
def test_a_colon_in_a_path_belongs_to_the_path(token, name, features):
    found, choice = split_token(token, "--datasets")
    assert (found, str(choice)) == (name, features)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The path of a table of two classes whose name holds all that separates names."""
    path = tmp_path_factory.mktemp("own") / "a,b:c.csv"
    load_breast_cancer(as_frame=True).frame.to_csv(path, index=False)
    return path


def test_an_own_table_and_options_are_what_they_are_in_the_main_script(own, tmp_path):
    options = "--target target --l2 3 --no-intercept --init 60 --features pca:4 --quiet".split()
    ours, theirs = tmp_path / "compare", tmp_path / "main"
    arguments = [*options, *QUICK, "--seeds", "3"]
    assert main(["--datasets", str(own), *arguments, "--out", str(ours)]) == 0
    assert main_script("binary", ["--dataset", str(own), *arguments, "--out", str(theirs)]) == 0
    assert (
        "](own-a,b%3Ac-tuned,features=pca_4,no_intercept,l2=3/curves.png)"
        in (ours / "report.md").read_text()
    )  # a colon would end the name of a protocol such as https
    (ours,), (theirs,) = ours.glob("own-*"), theirs.glob("own-*")
    assert (ours / "picks.csv").read_bytes() == (theirs / "picks.csv").read_bytes()
    one, two = (json.loads((folder / "run.json").read_text()) for folder in (ours, theirs))
    assert one["overrides"] == two["overrides"] == {"l2": 3.0, "intercept": False}
    assert one["options"] | {"out": ""} == two["options"] | {"out": ""}
    assert one["data"] == two["data"]


def test_features_and_target_reach_those_that_they_are_for(own):
    names = (str(own), "digits,celeba:pca:4", f"{own}:pca:5".replace("a,b:c", "other"))
    own.with_name("other.csv").write_bytes(own.read_bytes())
    asked = requests(
        ComparisonOptions(datasets=names, target="target", features=feature_choice("pca:3")), silent
    )
    assert tokens(asked) == ["own-a,b:c:pca:3", "digits:pca:3", "celeba:pca:4", "own-other:pca:5"]
    assert [r.options.target for r in asked] == ["target", None, None, "target"]
    given = {"target": "target", "rounds": 10}
    assert [r.given(given) == given for r in asked] == [True, False, False, True]
    assert asked[1].given(given) == {"rounds": 10}  # --target is not for it
    (alone,) = requests(ComparisonOptions(datasets=("celeba",), target="Young"), silent)
    assert alone.options.target == "Young"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--datasets OWN", "--target is missing: name the column of"),
        ("--datasets OWN --target outcome", "a,b:c.csv: unknown --target 'outcome'"),
        ("--datasets OWN OWN:pca:3 --target target", "a,b:c.csv twice"),
        ("--datasets bank --target y", "and --datasets has none of them"),
        ("--datasets bank --split-column part", "--split-column is for your own tables, and"),
        ("--datasets OWN:efficientnet --target target", "--features efficientnet is for images"),
        ("--datasets bank absent.csv --target y", "absent.csv does not exist"),
        ("--datasets bank --data-dir absent", "--data-dir absent is not a folder"),
        ("--datasets papers", "unknown data set 'papers': did you mean 'paper'?"),
        ("--datasets bank --fetch --source shipped", "--fetch and --source shipped exclude each"),
    ],
)
def test_mistakes_are_told_before_anything_is_computed(own, arguments, message, tmp_path, capsys):
    arguments = [word.replace("OWN", str(own)) for word in arguments.split()]
    assert main([*arguments, "--quiet", "--out", str(tmp_path / "out")]) == 2
    assert message in error_of(capsys)
    assert not (tmp_path / "out").exists()


def test_a_table_that_is_named_twice_is_refused(own, tmp_path):
    twin = tmp_path / own.name
    twin.write_bytes(own.read_bytes())
    asked = ComparisonOptions(datasets=(str(own), str(twin)), target="target")
    with pytest.raises(UserError, match="own-a,b:c twice"):
        requests(asked, silent)
