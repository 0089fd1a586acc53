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
    threads, out = torch.get_num_threads(), tmp_path / "new" / "figures.json"
    options = f"--jobs E-last --engines rows --shrink 60 --repeats 1 --threads {threads}"
    code = networks.main(
        [*options.split(), "--dtype", "float64", "--keep", str(tmp_path), "--out", str(out)]
    )
    assert code == 0
    shown = capsys.readouterr().out
    assert "E-last: mnist, 100 training rows, 20 test rows; 330 parameters may change" in shown
    record = json.loads(out.read_text())["jobs"]["E-last"]["contestants"]["rows"]
    assert -1 <= record["lds"] <= 1
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


def test_a_good_contestant_scores_better_than_one_that_knows_nothing(networks, tmp_path):
    path = tmp_path / "D.pt"
    job = networks.JOBS["D"].shrunk(20)
    networks.prepare(dataclasses.replace(job, inits=1), "float64", "cpu", path)
    problem = torch.load(path, weights_only=False)["problem"]
    scores = networks.CONTESTANTS["rows"].scores(problem, 30.0)
    noise = torch.tensor(np.random.default_rng(0).normal(size=scores.shape))
    good, bad, wrong = (
        networks.linear_datamodeling_score(s, problem) for s in (scores, noise, -scores)
    )
    assert good > 0.25
    assert abs(bad) < 0.1
    assert wrong == pytest.approx(-good)


def test_the_damping_is_chosen_and_a_failure_told(networks):
    def scores(problem, damping):
        if damping < 10:
            raise np.linalg.LinAlgError("curvature of -1: raise damping")
        return torch.eye(1) * damping

    contestant = networks.Contestant("one", "torch", scores, (1.0, 10.0, 20.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "linear_datamodeling_score", lambda found, other: -float(found))
        assert networks.choose_damping(contestant, None) == 10.0
    with pytest.raises(np.linalg.LinAlgError, match="raise damping"):
        networks.choose_damping(contestant._replace(dampings=(1.0,)), None)
    table = networks.contest_table({"one": {"title": "one", "status": "failed: LinAlgError"}})
    assert "one: failed: LinAlgError" in table


def test_the_tables_of_the_document_are_those_of_the_committed_figures(networks):
    document = (ROOT / "docs" / "engine.md").read_text("utf-8")
    for path in (ROOT / "results" / "reference" / "networks").glob("*.json"):
        for name, figures in json.loads(path.read_text())["jobs"].items():
            title = f"{name}: {networks.JOBS[name]}; " + networks.described(
                networks.JOBS[name], figures
            )
            assert f"{title}\n{networks.contest_table(figures['contestants'])}\n" in document


def test_a_device_that_is_not_there_ends_with_exit_code_2(networks, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert networks.main(["--device", "cuda"]) == 2
    assert capsys.readouterr().err == (
        "error: --device cuda: torch finds no CUDA device here; use --device cpu\n"
    )
