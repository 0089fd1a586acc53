"""Known sets that do not ship, on drawn rows of their form."""

import io
import tarfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from data_prep.catalogue import DATASETS
from data_utils import load
from tests.helpers import split_of


def test_celeba_reads_both_of_its_forms_and_predicts_the_attribute_asked_for(tmp_path, monkeypatch):
    """A drawn table in the file's own format: the licence of the real one forbids shipping it."""
    rng = np.random.default_rng(0)
    text_version, csv_version = DATASETS["celeba"].versions
    names = text_version.files[0].columns
    values = rng.choice([-1, 1], size=(1_000, 40))
    versions = [
        replace(version, files=[replace(version.files[0], rows=1_000)])
        for version in (text_version, csv_version)
    ]
    monkeypatch.setitem(DATASETS, "celeba", replace(DATASETS["celeba"], versions=versions))
    lines = [f"{i + 1:06d}.jpg " + " ".join(f"{v:2d}" for v in row) for i, row in enumerate(values)]
    text, table = tmp_path / "text", tmp_path / "table"
    for folder in (text, table):
        folder.mkdir()
    (text / "list_attr_celeba.txt").write_text(
        "\n".join(["1000", " ".join(names) + " ", *lines]) + "\n"
    )
    frame = pd.DataFrame(values, columns=names)
    frame.insert(0, "image_id", [line.split()[0] for line in lines])
    frame.to_csv(table / "list_attr_celeba.csv", index=False)
    for folder in (text, table):
        smiling = load("celeba", folder).data
        np.testing.assert_array_equal(smiling.y, frame["Smiling"] == 1)
        male = load("celeba", folder, target="Male").data
        np.testing.assert_array_equal(male.y, frame["Male"] == 1)
        others = frame.drop(columns=["image_id", "Male"])
        np.testing.assert_array_equal(male.X, others == 1)
    with pytest.raises(UserError, match="unknown --target 'Smilin': did you mean 'Smiling'"):
        load("celeba", text, target="Smilin")


def test_musk_leaves_the_names_of_molecules_out(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    values = rng.integers(-300, 300, size=(6_598, 166))
    y = rng.integers(2, size=6_598)
    frame = pd.DataFrame(values)
    frame.insert(0, "m", "MUSK-211")
    frame.insert(1, "c", "211_1+1")
    frame["y"] = [f"{label}." for label in y]
    frame.to_csv(tmp_path / "clean2.data", header=False, index=False)
    data = load("musk", tmp_path).data
    np.testing.assert_array_equal(data.X, values)
    np.testing.assert_array_equal(data.y, y)


def test_cifar_is_read_from_its_binary_tar(tmp_path, monkeypatch):
    """Digits in the batches' own layout stand for the photographs."""
    digits = load("mnist").data
    pixels = np.zeros((600, 3, 32, 32), np.uint8)
    pixels[:, :, 2:30, 2:30] = (digits.X[::8][:600] * 255).reshape(-1, 1, 28, 28)
    labels = digits.y[::8][:600].astype(np.uint8)
    rows = np.column_stack([labels, pixels.reshape(600, -1)])
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as bundle:
        for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
            content = rows[100 * i : 100 * (i + 1)].tobytes()
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            member.size = len(content)
            bundle.addfile(member, io.BytesIO(content))
    dataset = DATASETS["cifar10"]
    first = dataset.versions[0]
    small = replace(first, files=[replace(first.files[0], rows=600)])
    monkeypatch.setitem(DATASETS, "cifar10", replace(dataset, versions=[small]))
    data = load("cifar10", tmp_path).data
    np.testing.assert_array_equal(data.y, labels)
    np.testing.assert_array_equal(data.X * 255, pixels.reshape(600, -1))


@pytest.mark.parametrize(("name", "shape"), [("breast_cancer", (569, 30)), ("digits", (1797, 64))])
def test_scikit_learns_own_sets_cost_one_entry(name, shape):
    table = load(name)
    assert table.data.X.shape == shape
    split = split_of(name)
    assert set(split.y[split.labeled]) == set(split.y)
