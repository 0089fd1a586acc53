"""Known files, whole and spoilt."""

import gzip

import numpy as np
import pytest

from common.errors import UserError
from data_prep.places import SHIPPED
from data_utils import load

BANK = "bank-additional-full.csv"


def edited(text: str, line: int, old: str, new: str) -> str:
    lines = text.split("\n")
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    return "\n".join(lines)


SPOILT = {
    "cut mid-line": (lambda t: t[:1_000_003], "cut short or damaged"),
    "cut at a line": (lambda t: t[: t.index("\n", 10**6) + 1], "is cut short"),
    "empty": (lambda t: "", "cut short or damaged"),
    "a web page": (lambda t: "<html><body>502</body></html>", "21 columns"),
    "NaN": (lambda t: edited(t, 6, ";307;", ";NaN;"), "line 6, column 'duration': 'NaN' is not a"),
    "blank": (lambda t: edited(t, 6, ";307;", ";;"), "line 6, column 'duration': '' is not a num"),
    "text": (lambda t: edited(t, 6, ";307;", ";abc;"), "line 6, column 'duration': 'abc' is not"),
    "infinite": (lambda t: edited(t, 6, ";307;", ";inf;"), "line 6, column 'duration': 'inf' is"),
    "a field more": (lambda t: edited(t, 6, ";307;", ";307;1;"), "line 6"),
    "a field less": (lambda t: edited(t, 6, ";307;", ";"), "line 6"),
    "a new category": (lambda t: edited(t, 6, "services", "astronaut"), "'astronaut' is none of"),
    "a renamed column": (lambda t: edited(t, 1, "campaign", "campaing"), "campaign, campaing"),
    "rows twice": (lambda t: t + t[t.index("\n") + 1 :], "too many rows"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_table_is_refused_with_the_place(fault, shared_data, tmp_path):
    spoil, message = SPOILT[fault]
    text = gzip.decompress((shared_data / f"{BANK}.gz").read_bytes()).decode()
    (tmp_path / BANK).write_text(spoil(text))
    with pytest.raises(UserError) as caught:
        load("bank", tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "file"), [("bank", "bank.csv.gz"), ("musk", "musk2.csv.xz")])
@pytest.mark.parametrize(
    "spoil", [lambda packed: packed[:20_000], lambda packed: b"", lambda p: p[9:]]
)
def test_a_spoilt_archive_is_refused(name, file, spoil, tmp_path):
    packed = (SHIPPED / name / file).read_bytes()
    (tmp_path / file).write_bytes(spoil(packed))
    with pytest.raises(UserError, match="cannot be read, get it again|cut short or damaged"):
        load(name, tmp_path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t[:50_000], "cut short or damaged"),
        (lambda t: "", "cut short or damaged"),
        (lambda t: t.replace("49.895756", "?"), "row 0, column '8': 'nan' is not a number"),
        (lambda t: t.replace("0.100025,1,0", "0.100025,1,2"), "has 2 classes, its file here 3"),
        (lambda t: t.replace("0.100025,1,0", "0.100025,1,0.5"), "should be a whole number"),
    ],
)
def test_a_spoilt_arff_is_refused(spoil, message, shared_data, tmp_path):
    text = (shared_data / "messidor_features.arff").read_text()
    (tmp_path / "messidor_features.arff").write_text(spoil(text))
    with pytest.raises(UserError, match=message):
        load("diabetes", tmp_path)


def test_a_known_table_with_other_line_ends_is_read_and_noted(shared_data, tmp_path):
    text = gzip.decompress((shared_data / f"{BANK}.gz").read_bytes()).decode()
    (tmp_path / BANK).write_bytes(text.replace("\n", "\r\n").encode())
    table = load("bank", tmp_path)
    assert not table.files[0].known_contents
    np.testing.assert_array_equal(table.data.X, load("bank", shared_data).data.X)
