"""Finished runs are kept: what is there is not made again, and what has changed is."""

import gzip
import json
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from common.program import ROOT, code_files, code_hash
from data_utils import load, make_split
from experiments import runner
from experiments.options import ExperimentOptions
from experiments.progress import Bar
from experiments.results import load_results, save
from experiments.settings import settle
from experiments.store import Store, UnusableRun, engine_files, method_code, store_key

METHODS = ("random", "salutary")


@pytest.fixture(scope="module")
def table():
    return load("breast_cancer")


def settings_of(table, tmp_path, methods=METHODS, seeds=(0, 1), **given):
    options = ExperimentOptions(
        dataset="breast_cancer", methods=methods, seeds=seeds, rounds=2, budget=3,
        protocol="strict", out=tmp_path, plot=False, quiet=True,
    )  # fmt: skip
    return settle(replace(options, **given), given, table.dataset)


@pytest.fixture
def made(monkeypatch):
    """The runs that were made, as the loop was asked for them."""
    made = []

    def run(split, method, settings, seed, *rest):
        made.append((seed, method))
        return real(split, method, settings, seed, *rest)

    real = runner.run
    monkeypatch.setattr(runner, "run", run)
    return made


def experiment(table, settings):
    split_of = partial(make_split, table, settings.protocol, settings.init)
    said = []
    result = runner.run_experiment(table, split_of, settings, said.append)
    save(result)
    return result, said


def test_a_method_and_a_seed_are_added_and_nothing_is_made_twice(table, tmp_path, made):
    first, _ = experiment(table, settings_of(table, tmp_path))
    assert len(made) == 4
    made.clear()
    more, _ = experiment(table, settings_of(table, tmp_path, (*METHODS, "margin"), (0, 1, 2)))
    assert sorted(made) == [
        (0, "margin"),
        (1, "margin"),
        *((2, m) for m in sorted([*METHODS, "margin"])),
    ]
    made.clear()
    again, said = experiment(table, settings_of(table, tmp_path))
    assert made == said == []
    pd.testing.assert_frame_equal(again.curves, first.curves)  # its seconds too: they were kept
    pd.testing.assert_frame_equal(again.picks, first.picks)
    curves = load_results(tmp_path)  # and the files hold the other runs as well
    columns = ["method", "seed", "round"]
    expected = more.curves.sort_values(columns, ignore_index=True)
    found = curves[expected.columns].sort_values(columns, ignore_index=True)
    pd.testing.assert_frame_equal(found, expected)
    assert len(again.earlier[0]) == 5


def test_a_run_that_overrides_the_protocol_has_a_folder_of_its_own(table, tmp_path):
    for given in ({}, {"l2": 5.0, "intercept": False}, {"rounds": 1}):
        _, said = experiment(table, settings_of(table, tmp_path, ("random",), (0,), **given))
    names = ["breast_cancer-strict", "breast_cancer-strict,no_intercept,l2=5"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    found = load_results(tmp_path).groupby(["folder", "variant"])["round"].max()
    assert found.to_dict() == {(names[0], ""): 1, (names[1], "no_intercept,l2=5"): 2}
    (note,) = said  # the third run has another length: not a line is overwritten silently
    assert "were made with other settings, data or code, and are replaced" in note
    assert len(list((tmp_path / names[0] / "runs").iterdir())) == 2


def without_fields(raw):
    kept = json.loads(gzip.decompress(raw).splitlines()[0])
    return gzip.compress(json.dumps(kept | {"curve": [{}]}).encode())


@pytest.mark.parametrize(
    "content",
    [
        lambda raw: raw[:-9],
        lambda raw: b"",
        lambda raw: b"no gzip",
        lambda raw: gzip.compress(b"[1, 2"),
        lambda raw: gzip.compress(b"[1, 2]"),
        without_fields,
    ],
)  # fmt: skip
def test_a_damaged_run_is_made_anew_and_said(content, table, tmp_path, made):
    settings = settings_of(table, tmp_path, ("random",))
    first, _ = experiment(table, settings)
    (path,) = tmp_path.glob("*/runs/*/random-1.json.gz")
    path.write_bytes(content(path.read_bytes()))
    made.clear()
    second, said = experiment(table, settings)
    assert made == [(1, "random")]
    assert said == ["note: random-1.json.gz is damaged and is made anew"]
    pd.testing.assert_frame_equal(second.picks, first.picks)


def test_other_code_of_a_method_makes_its_runs_alone_anew(table, tmp_path, made, monkeypatch):
    settings = settings_of(table, tmp_path, seeds=(0,))
    experiment(table, settings)
    made.clear()
    monkeypatch.setattr(
        "experiments.store.method_code", lambda name: method_code(name) + "x" * (name == "salutary")
    )
    _, said = experiment(table, settings)
    assert made == [(0, "salutary")]
    assert said == ["note: salutary-0.json.gz was made by other code of salutary and is made anew"]
    with pytest.raises(UnusableRun, match="other code"):
        Store(next(tmp_path.glob("*/runs/*")), {}).recall(0, "random")


def test_the_key_changes_with_settings_and_data_and_not_with_what_is_shown(table, tmp_path):
    settings = settings_of(table, tmp_path)
    key = store_key(settings, table)
    same = {"out": tmp_path / "b", "metric": "auc", "plot": True, "methods": ("margin",)}
    assert store_key(replace(settings, seeds=(7,), **same), table) == key
    others = [replace(settings, init=99), replace(settings, loop=replace(settings.loop, l2=2.0))]
    data = replace(table.data, X=np.nextafter(table.data.X, 1))
    keys = [store_key(other, table) for other in others]
    keys.append(store_key(settings, replace(table, data=data)))
    keys.append(store_key(settings, replace(table, data=replace(data, rows=data.rows + 1))))
    assert len({key, *keys}) == 5


def test_curves_grow_while_runs_finish(table, tmp_path, monkeypatch):
    """The third run looks at what the first two have left."""
    monkeypatch.setattr("experiments.progress.EVERY", 0.01)
    folder, seen = tmp_path / "breast_cancer-strict", []

    def run(*arguments):
        deadline = time.monotonic() + 10
        while len(seen) == 2 and time.monotonic() < deadline:
            found = load_results(tmp_path) if (folder / "run.json").is_file() else []
            if len(found) == 2 * 3:
                assert not json.loads((folder / "run.json").read_text())["finished"]
                break
        else:
            assert len(seen) < 2, "curves.csv did not grow"
        seen.append(arguments[1])
        return real(*arguments)

    real = runner.run
    monkeypatch.setattr(runner, "run", run)
    result, _ = experiment(table, settings_of(table, tmp_path, (*METHODS, "margin"), (0,)))
    assert seen == list(result.settings.methods)
    assert json.loads((folder / "run.json").read_text())["finished"]


def test_the_time_left_is_told_once_a_seed_is_done_and_kept_rounds_do_not_count(table, tmp_path):
    """Two methods, three rounds each, on two seeds; one run was kept."""
    with Bar(1, 4, replace(settings_of(table, tmp_path), quiet=False)) as bar:
        assert (bar.bar.n, bar.bar.total) == (3, 12)
        bar.add(4)
        assert "left" not in bar.bar.bar_format
        bar.add(1)
        assert "left" in bar.bar.bar_format
        assert bar.bar.format_dict["initial"] == 3


def test_the_code_of_a_run_is_that_of_the_loop_and_of_its_method():
    """Read from the import statements: a new file that the loop imports counts by itself."""
    engine = {path.relative_to(ROOT).as_posix() for path in engine_files()}
    assert {"models.py", "influence.py", "numerics/hessian.py", "experiments/loop.py"} <= engine
    assert {"data_utils.py", "data_prep/split_rules.py", "strategies/base.py"} <= engine
    assert not engine & {"strategies/salutary.py", "data_prep/catalogue.py", "common/cli.py"}
    own = {name: method_code(name) for name in ("salutary", "salutary_plus", "badge", "full_pool")}
    assert own["salutary"] == own["salutary_plus"]  # of one file
    assert len(set(own.values())) == 3
    assert method_code("badge+validation") == own["badge"]


def test_a_file_outside_counts_with_what_it_imports_of_the_program(tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text("import torch\nfrom strategies.salutary import salutary\n")
    files = code_files(plugin, engine_files())
    assert {path.name for path in files} >= {"mine.py", "salutary.py"}
    before = code_hash(files)
    plugin.write_text("#")
    assert code_hash(files) != before


def test_results_that_are_not_there_or_damaged_are_said(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        load_results(tmp_path / "none")
    with pytest.raises(UserError, match="has no results"):
        load_results(tmp_path)
    (tmp_path / "curves.csv").write_text("method,seed\n")
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UserError, match="are damaged"):
        load_results(tmp_path)
    (tmp_path / "run.json").write_text('{"options": {}}')
    with pytest.raises(UserError, match="lacks the column"):
        load_results(tmp_path)
