"""Breiman's waveform generator with 19 noise features: writes waveform.csv.gz beside this file.

Source: Breiman, Friedman, Olshen & Stone, "Classification and Regression Trees" (1984), pp. 43-49;
the same generator is behind UCI 108 (Waveform Database Generator, version 2). Each row mixes two of
three triangular base waves with a uniform weight and adds unit noise to every one of 21 positions;
19 further features are unit noise alone.

    python datasets/waveform/generate.py
"""

import gzip
from pathlib import Path

import numpy as np

ROWS, SEED = 5_000, 108
POSITIONS = np.arange(1, 22)
PEAKS = (7, 15, 11)  # three triangles, 6 high, in the order in which UCI numbers the waves
WAVES = np.array([np.maximum(6 - abs(POSITIONS - peak), 0) for peak in PEAKS])  # (3, 21)
MIXED = np.array([(0, 1), (0, 2), (1, 2)])  # the two waves behind classes 0, 1 and 2


def generate(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``rows`` samples: X (rows, 40) and y (rows,) in {0, 1, 2}, equally likely."""
    y = rng.integers(3, size=rows)
    first, second = WAVES[MIXED[y, 0]], WAVES[MIXED[y, 1]]  # (rows, 21) each
    weight = rng.uniform(size=(rows, 1))
    noise = rng.standard_normal((rows, 40))
    noise[:, :21] += weight * first + (1 - weight) * second
    return noise, y


def main() -> None:
    X, y = generate(ROWS, np.random.default_rng(SEED))
    names = ",".join([f"x{i}" for i in range(1, 41)] + ["class"])
    lines = [
        ",".join([f"{value:.2f}" for value in row] + [str(c)]) for row, c in zip(X, y, strict=True)
    ]
    text = "\n".join([names, *lines]) + "\n"
    packed = gzip.compress(text.encode(), compresslevel=9, mtime=0)
    (Path(__file__).parent / "waveform.csv.gz").write_bytes(packed)


if __name__ == "__main__":
    main()
