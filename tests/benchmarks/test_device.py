"""--device and --dtype of the benchmarks, without a card: where tensors are made, the clock."""

import importlib

import pytest
import torch

from tests.helpers import ROOT

SCRIPTS = ("engine", "networks", "solvers", "pool_streaming", "greedy", "experiment")


@pytest.fixture
def module(monkeypatch):
    """A function that imports a file of benchmarks/ by its name."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_device_that_is_not_there_ends_with_exit_code_2(module, monkeypatch, capsys, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert module(name).main(["--device", "cuda"]) == 2
    assert capsys.readouterr().err == (
        "error: --device cuda: torch finds no CUDA device here; use --device cpu\n"
    )


class Reached(Exception):
    """Raised where a script makes its model, with what it gives it."""


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("solvers", "LogisticRegression"),
        ("pool_streaming", "LogisticRegression"),
        ("greedy", "ExperimentOptions"),
        ("experiment", "ExperimentOptions"),
    ],
)
def test_device_and_dtype_reach_the_model(module, monkeypatch, capsys, name, maker):
    def made(*_, **given):
        raise Reached(given)

    script, device = module(name), module("device")
    monkeypatch.setattr(script, maker, made)
    monkeypatch.setattr(script, "check_device", lambda device: None)
    monkeypatch.setattr(device, "read_speed", lambda device: 2e12)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Card 1")
    rows = ["--measure", "pool.npy"] if name == "pool_streaming" else []
    with pytest.raises(Reached) as stop:
        script.main(["--device", "cuda", "--dtype", "float32", *rows])
    assert stop.value.args[0].items() >= {"device": "cuda", "dtype": "float32"}.items()
    if not rows:
        assert "Card 1, which reads 2,000 GB a second" in capsys.readouterr().out


def test_contestants_make_their_tensors_on_the_device_of_the_data(module):
    contestants, growth = module("contestants"), module("growth")
    problem = growth.random_problem(60, 4, 3, "float32", "meta")
    layer = contestants.network(problem)
    (batches,) = contestants.pool_batches(problem, 60)
    made = [layer.weight, *(tensor for pair in batches for tensor in pair)]
    made += [contestants.fitted(problem).theta_, problem.y_validation]
    assert {tensor.device.type for tensor in made} == {"meta"}
    assert contestants.fitted(problem).device == "meta"
    assert {x.dtype for x in made if x.is_floating_point()} == {torch.float32}


def test_networks_are_built_on_the_device_of_their_rows(module):
    jobs = module("network_jobs")
    job = jobs.JOBS["E-last"].shrunk(60)
    rows, numbers = torch.zeros(6, 784), torch.zeros(6, dtype=torch.long)
    state = job.build().state_dict()
    problem = jobs.Problem(job, state, rows, numbers, rows, numbers, numbers[None], rows[:1])
    problem = problem.to("meta")
    network = problem.network()
    made = [*network.parameters(), *network.buffers(), problem.X, problem.y_test, problem.subsets]
    assert {tensor.device.type for tensor in made} == {"meta"}


def test_the_clock_waits_for_the_card(module, monkeypatch):
    device, seen = module("device"), []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: seen.append("wait"))
    monkeypatch.setattr(device, "perf_counter", lambda: seen.append("clock") or len(seen))
    assert device.seconds_of(lambda: seen.append("work"), "cuda") == 3
    assert seen == ["wait", "clock", "work", "wait", "clock"]
    seen.clear()
    device.seconds_of(lambda: seen.append("work"), "cpu")
    assert seen == ["clock", "work", "clock"]


def test_the_memory_of_a_card_is_the_cards(module, monkeypatch):
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 123)
    device = module("device")
    assert device.peak_memory("cuda") == 123
    assert device.peak_memory("cpu") > 1e7


def test_reading_is_measured(module, monkeypatch):
    device = module("device")
    monkeypatch.setattr(device, "FLOOR_BYTES", 4_000_000)
    assert 1e8 < device.read_speed("cpu") < 1e13
