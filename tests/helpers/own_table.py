"""A small table as a user may have one."""

import os
from pathlib import Path

import numpy as np
import pandas as pd


def own_table(
    folder: Path,
    name: bytes | str = "own.csv",
    classes=("no", "yes"),
    columns=("a", "b"),
    *,
    scale: float = 1.0,
    seed: int = 0,
) -> str:
    """A table of 90 rows, whose first column tells two classes apart: its path as a shell has it.

    name : any, also bytes that are no UTF-8. scale : of the numbers, which are from -1 to 1.
    """
    X = np.random.default_rng(seed).normal(size=(90, 2)).clip(-1, 1)
    frame = pd.DataFrame(X * scale, columns=list(columns))
    frame = frame.assign(y=np.where(X[:, 0] + 0.1 * X[:, 1] > 0, *classes))
    folder.mkdir(exist_ok=True)
    path = os.fsencode(folder) + b"/" + os.fsencode(name)
    with open(path, "wb") as file:
        file.write(frame.to_csv(index=False).encode())
    return os.fsdecode(path)


def label_words(folder: Path, **other: str) -> list[str]:
    """The words of a quick call of label.py on two such tables in ``folder``, up to --out.

    other : options in place of these.
    """
    options = {
        "labeled": own_table(folder, "labeled.csv"),
        "unlabeled": own_table(folder, "pool.csv", seed=1),
        "target": "y", "budget": "2", "rounds": "1", "l2": "1",
    }  # fmt: skip
    return [f"--{key}={value}" for key, value in (options | other).items()]
