"""Fixtures of this folder: tables of the shipped bank, and label.py on them."""

import pandas as pd
import pytest

import label
from data_prep.places import SHIPPED
from labeling import command
from labeling.cross_validation import TooFewRows


def run_in(
    folder,
    *options,
    labeled="labeled.csv",
    pool="pool.csv",
    validation="validation.csv",
    anyway=True,
    without=(),
) -> int:
    files = {"labeled": labeled, "unlabeled": pool, "validation": validation}
    named = [f"--{option}={folder / name}" for option, name in files.items() if name]
    chosen = dict(option.split("=") for option in options if "=" in option)
    defaults = {"--target": "y", "--budget": "6", "--out": str(folder / "plus.csv"), "--l2": "1"}
    kept = [f"{name}={value}" for name, value in (defaults | chosen).items() if name not in without]
    flags = [option for option in options if "=" not in option]
    return label.main([*named, *kept, *flags, *(["--anyway"] if anyway else [])])


@pytest.fixture(scope="session")
def run():
    """label.py on the tables in a folder: ``run(folder, *options)`` gives the exit code.

    Six labels in all, and l2 = 1, which is fast, unless the options say otherwise; other tables by
    ``labeled``, ``pool`` and ``validation``, None for no such table. The file is written whatever
    the answer is, unless ``anyway`` is False. ``without`` names options that are not given at all.
    """
    return run_in


@pytest.fixture(scope="session")
def cells():
    """A table's cells as texts: ``cells(path)``."""
    return lambda path: pd.read_csv(path, dtype=str, keep_default_na=False)


@pytest.fixture
def folder(tmp_path):
    """Tables of the shipped bank: 120 labeled, 300 validation, 400 pool rows."""
    bank = pd.read_csv(SHIPPED / "bank/bank.csv.gz").sample(frac=1, random_state=0)
    bank[:120].to_csv(tmp_path / "labeled.csv", index=False)
    bank[120:420].to_csv(tmp_path / "validation.csv", index=False)
    bank[420:820].drop(columns="y").to_csv(tmp_path / "pool.csv", index=False)
    return tmp_path


@pytest.fixture
def unmeasured(monkeypatch):
    """label.py without its measurement, which has tests of its own."""

    def measure(*arguments, **options):
        raise TooFewRows("left out")

    monkeypatch.setattr(command, "measure", measure)
