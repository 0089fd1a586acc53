"""benchmarks/networks.py: this engine on small jobs, the LDS, and a contestant that fails."""

import dataclasses
import importlib
import json
import sys

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from tests.helpers import ROOT


@pytest.fixture
def networks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("networks")


def call(action, limit, *arguments):
    """``run_isolated`` without a process, which takes seconds to load torch."""
    return action(*arguments)


def test_a_small_job_through_the_command_line(networks, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(networks, "run_isolated", call)
    for name, few in (("SUBSETS", 4), ("OTHER_SUBSETS", 3), ("OTHER_ROWS", 10)):
        monkeypatch.setattr(sys.modules["network_jobs"], name, few)
    for name in ("E", "E-last"):
        monkeypatch.setitem(networks.JOBS, name, dataclasses.replace(networks.JOBS[name], inits=2))
    threads, out = torch.get_num_threads(), tmp_path / "new"
    options = f"--jobs E-last --engines rows --shrink 60 --repeats 1 --threads {threads}"
    code = networks.main(
        [*options.split(), "--dtype", "float64", "--keep", str(tmp_path), "--out", str(out)]
    )
    assert code == 0
    shown = capsys.readouterr().out
    assert "E-last: mnist, 100 training rows, 20 test rows; 330 parameters may change" in shown
    figures = json.loads((out / "E-last.json").read_text())
    assert figures["options"]["dtype"] == "float64"
    record = figures["contestants"]["rows"]
    assert -1 <= record["lds"] <= 1
    assert record["damping"] in dict(map(tuple, record["tried"]))
    assert record["seconds"] > 0
    assert f"{record['lds']:.3f}" in shown
    saved = torch.load(tmp_path / "E-float64-60.pt", weights_only=False)
    assert saved["problem"].X.dtype == torch.float64
    job, path = networks.JOBS["E"].shrunk(60), tmp_path / "E-float64-60.pt"
    assert networks.is_trained(job, path)  # E has the network of E-last
    assert not networks.is_trained(dataclasses.replace(job, epochs=2), path)


def test_the_lds_is_that_of_dattri(networks):
    """dattri's definition by scipy's rank correlation, and dattri's own function if it is there."""
    rng = np.random.default_rng(4)
    job = networks.JOBS["D"].shrunk(60)
    subsets = torch.tensor(np.stack([rng.permutation(30)[:15] for _ in range(12)]))
    scores, losses = torch.tensor(rng.normal(size=(7, 30))), torch.tensor(rng.normal(size=(12, 7)))
    nothing = torch.zeros(30, 12)
    problem = networks.Problem(
        job, {}, nothing, nothing[:, 0], nothing[:7], nothing[:7, 0], subsets, losses
    )
    found = networks.linear_datamodeling_score(scores, problem)
    sums = np.stack([scores[:, rows].sum(1) for rows in subsets])
    expected = [spearmanr(sums[:, t], -losses[:, t]).statistic for t in range(7)]
    assert found == pytest.approx(np.mean(expected))
    try:
        from dattri.metric import lds
    except ImportError:
        return
    assert found == pytest.approx(float(lds(scores.T, (-losses, subsets))[0].mean()))


def test_a_good_contestant_scores_better_than_one_that_knows_nothing(
    networks, monkeypatch, tmp_path
):
    path, seeds = tmp_path / "D.pt", []
    jobs = sys.modules["network_jobs"]
    train = jobs.train
    monkeypatch.setattr(jobs, "train", lambda *given: seeds.append([*given[2]]) or train(*given))
    job = networks.JOBS["D"].shrunk(20)
    networks.prepare(dataclasses.replace(job, inits=2), "float64", "cpu", path)
    problem = torch.load(path, weights_only=False)["problem"]
    scores = networks.CONTESTANTS["rows"].scores(problem, 30.0)
    noise = torch.tensor(np.random.default_rng(0).normal(size=scores.shape))
    good, bad, wrong = (
        networks.linear_datamodeling_score(s, problem) for s in (scores, noise, -scores)
    )
    assert good > 0.25
    assert abs(bad) < 0.1
    assert wrong == pytest.approx(-good)
    halves = jobs.SUBSETS + jobs.OTHER_SUBSETS  # all of one retraining begin at the same weights
    assert seeds == [[0], [1] * halves, [2] * halves]


@pytest.mark.parametrize(
    ("best", "least", "tried"),
    [
        (30, 0, {3, 10, 30, 100}),
        (0.01, 0, {0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30}),
        (1, 50, {30, 100, 300}),  # those below 50 fail
        (0, 0, {0, 3, 10, 30}),  # the library's own
    ],
)
def test_the_search_for_the_damping_ends_inside_what_it_tried(
    networks, monkeypatch, best, least, tried
):
    def scores(problem, damping):
        if damping < least:
            raise np.linalg.LinAlgError("curvature of -1: raise damping")
        return abs(np.log(damping / best)) if damping and best else -float(damping == best)

    monkeypatch.setattr(networks, "linear_datamodeling_score", lambda found, other: -found)
    own = (0.0,) if not best else ()
    found = networks.choose_damping(networks.Contestant("one", "torch", scores, own), None)
    assert set(found) >= tried


def test_a_contestant_that_fails_at_every_damping_is_told(networks):
    def scores(problem, damping):
        raise np.linalg.LinAlgError("curvature of -1: raise damping")

    with pytest.raises(np.linalg.LinAlgError, match="raise damping"):
        networks.choose_damping(networks.Contestant("one", "torch", scores), None)
    table = networks.contest_table({"one": {"title": "one", "status": "failed: LinAlgError"}})
    assert "one: failed: LinAlgError" in table


def test_no_committed_damping_lies_at_the_edge_of_those_tried(networks):
    """In the committed figures, both neighbours of each chosen damping were tried."""
    for _, figures in committed():
        for record in figures["contestants"].values():
            if record.get("damping"):
                tried = dict(map(tuple, record["tried"]))
                for up in (True, False):
                    assert networks.next_damping(record["damping"], up) in tried
                worst = [lds for lds in tried.values() if lds is not None]
                assert tried[record["damping"]] == max(worst)


def test_half_of_the_retrainings_says_how_far_an_lds_can_go(networks):
    """Spearman and Brown's formula, and a simulation of it: a signal and noise of equal size."""
    jobs = sys.modules["network_jobs"]
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(200, 40))
    losses = torch.tensor(signal + rng.normal(size=(4, 200, 40)))
    reached = float(jobs.correlations(torch.tensor(signal), losses.mean(0)).mean())
    assert jobs.ceiling(jobs.agreement(losses)) == pytest.approx(reached, abs=0.02)
    assert jobs.ceiling(-0.1) == 0


def committed():
    """The name and the figures of each job in results/reference/networks/."""
    folder = ROOT / "results" / "reference" / "networks"
    return [(path.stem, json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]


def test_the_tables_of_the_document_are_those_of_the_committed_figures(networks):
    document = (ROOT / "docs" / "engine.md").read_text("utf-8")
    assert {name for name, _ in committed()} == set(networks.JOBS)
    for name, figures in committed():
        job = networks.JOBS[name]
        title = f"{name}: {job}; {networks.described(job, figures)}"
        assert f"{title}\n{networks.contest_table(figures['contestants'])}\n" in document
