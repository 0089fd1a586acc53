"""Libraries that take long to load are imported by the commands that need them, and no earlier."""

import subprocess
import sys

import pytest

from strategies.base import load_libraries
from strategies.registry import STRATEGIES, methods
from tests.helpers import ROOT

HEAVY = {
    "torch", "sklearn", "scipy", "pandas", "pyarrow", "matplotlib", "joblib", "dask", "distributed",
    "modAL", "skactiveml", "statsmodels", "asyncio",
}  # fmt: skip


def imported(script: str, *arguments: str) -> set[str]:
    """The heavy modules that a process has imported at the end of one of the scripts."""
    code = (
        f"import sys, {script}; code = {script}.main(sys.argv[1:])\n"
        "print(code, *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    code, *modules = done.stderr.splitlines()[-1].split()
    assert code == "0", done.stderr
    return HEAVY & set(modules)


@pytest.mark.parametrize("script", ["main_binary", "main_multi", "compare"])
def test_the_list_needs_no_heavy_library(script):
    assert imported(script, "--list") == set()


@pytest.mark.parametrize(
    "script", ["main_binary", "main_multi", "main_llm", "compare", "explore", "label"]
)
def test_the_help_needs_no_heavy_library(script):
    assert imported(script, "--help") == set()


def test_a_run_imports_no_library_of_other_methods(tmp_path):
    """Without a picture, with one seed: no matplotlib and no tests over seeds."""
    some = ["--dataset", "bank", "--rounds", "1", "--quiet", "--no-plot", "--out", str(tmp_path)]
    needed = {"torch", "sklearn", "scipy", "pandas", "pyarrow", "joblib", "asyncio"}
    assert imported("main_binary", *some, "--methods", "random", "salutary") == needed
    assert imported("main_binary", *some, "--methods", "margin") == needed | {"modAL"}


def test_methods_name_the_libraries_that_their_picks_import():
    """So the import is no part of the seconds of a method."""
    for method in methods().values():
        load_libraries(method)
    named = {name.split(".")[0] for strategy in STRATEGIES.values() for name in strategy.libraries}
    assert named == {"modAL", "sklearn", "skactiveml"}
