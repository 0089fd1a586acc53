"""What each column of a user's table is read as, against what pandas makes of the plain values."""

import json

import numpy as np
import pandas as pd
import pytest

import label
from common.errors import UserError
from data_prep import text_columns
from data_prep.columns import Columns, Misfits, table_of
from data_prep.places import SHIPPED
from data_prep.reading import TableReading
from data_utils import load
from tests.helpers import error_of, main

N = 200
RNG = np.random.default_rng(0)
AMOUNT = RNG.uniform(1_000, 90_000, N).round(2)
WHOLE = RNG.integers(18, 80, N)
DAYS = pd.Series(pd.date_range("2022-01-05", periods=N, freq="3D"))
SWAP = str.maketrans(",.", ".,")


def decided(column, reading=TableReading(), name="c"):  # noqa: B008  (it is frozen)
    """The decision for a column, and its features (n, k)."""
    frame = pd.DataFrame({name: column, "x": np.arange(N) % 7})
    columns = Columns(reading).fit(("t.csv", frame))
    X = columns.transform(frame)
    return columns.decisions[0], X[:, [place == name for place in columns.names]]


def texts(form, values=AMOUNT):
    return pd.Series([form(value) for value in values], dtype=object)


NUMBERS = {
    "plain": lambda v: f"{v:.2f}",
    "decimal comma": lambda v: f"{v:.2f}".replace(".", ","),
    "German": lambda v: f"{v:,.2f}".translate(SWAP),
    "English": lambda v: f"{v:,.2f}",
    "Swiss": lambda v: f"{v:,.2f}".replace(",", "'"),
    "French, thin blanks": lambda v: f"{v:,.2f}".replace(",", "\u202f").replace(".", ","),
    "euro behind": lambda v: f"{v:.2f} €".replace(".", ","),
    "dollar before": lambda v: f"${v:,.2f}",
    "a code before": lambda v: f"USD {v:.2f}",
    "per cent": lambda v: f"{v:.2f} %",
    "exponent": lambda v: f"{v:.12e}",
    "blanks around": lambda v: f"  {v:.2f} ",
}


@pytest.mark.parametrize("form", NUMBERS)
def test_a_number_is_read_in_the_form_that_people_write(form):
    decision, X = decided(texts(NUMBERS[form]))
    assert decision.read_as == "number"
    np.testing.assert_allclose(X[:, 0], AMOUNT, rtol=1e-12)


def test_negative_numbers_of_accountants_and_of_typesetters():
    values = AMOUNT - 40_000
    accountants = texts(lambda v: f"({-v:,.2f})" if v < 0 else f"{v:,.2f}", values)
    typesetters = texts(lambda v: f"{v:.2f}".replace("-", "−"), values)
    for column in (accountants, typesetters):
        np.testing.assert_allclose(decided(column)[1][:, 0], values)


@pytest.mark.parametrize("mark", ["-", "n.a.", "?", ".", "--", "unknown", "#DIV/0!", "k.A.", "…"])
@pytest.mark.parametrize("every", [2, 20])
def test_marks_among_numbers_are_missing_and_counted(mark, every):
    column = texts(lambda v: f"{v:.2f}")
    column[::every] = mark
    decision, X = decided(column)
    assert (decision.read_as, decision.missing) == ("number", len(column[::every]))
    expected = np.where(np.arange(N) % every == 0, np.nan, AMOUNT)
    np.testing.assert_array_equal(X[:, 0], expected)
    assert mark == "?" or repr(mark) in decision.why


def test_the_share_of_cells_decides():
    """Up to 5 % of odd cells are missing; a text that repeats is a mark; else it is no number."""
    few = texts(lambda v: f"{v:.2f}")
    few[:10] = [f"see {k}" for k in range(10)]
    decision, X = decided(few)
    assert (decision.read_as, decision.missing) == ("number", 10)
    assert "'see 0'" in decision.why
    assert "t.csv, row 0" in decision.why
    many = few.copy()
    many[:11] = [f"see {k}" for k in range(11)]
    decision, _ = decided(many)
    assert decision.read_as == "left out"
    assert "94% of them numbers" in decision.why
    decision, X = decided(many, TableReading(numeric=("c",)))
    np.testing.assert_array_equal(np.isnan(X[:, 0]), np.arange(N) < 11)
    repeated = texts(lambda v: f"{v:.2f}")
    repeated[::4] = "refused"
    assert decided(repeated)[0].missing == 50
    grades = pd.Series([*"1234AB"] * 33 + ["1", "2"], dtype=object)
    assert (decided(grades)[0].read_as, decided(grades)[0].features) == ("category", 6)


def asked(message, *columns, **options):
    frame = pd.DataFrame(dict(zip("abc", columns, strict=False)))
    with pytest.raises(UserError, match=message):
        Columns(TableReading(**options)).fit(("t.csv", frame))


def test_what_can_be_read_in_two_ways_is_asked_about():
    thousands = texts(lambda v: f"{v * 1_000:,.0f}"[:-4])  # 57,689
    asked(r"row 0, column 'a' is '\d+,\d+', which may be \d+ or \d+\.\d+: add --decimal", thousands)
    point = texts(lambda v: f"{v:.2f}")
    whole = Columns().fit(("t.csv", pd.DataFrame({"a": thousands, "b": point})))
    np.testing.assert_array_equal(
        whole.transform(pd.DataFrame({"a": thousands, "b": point}))[:, 0],
        [float(text.replace(",", "")) for text in thousands],
    )
    for decimal, sign in ((".", ""), (",", ".")):
        _, X = decided(thousands, TableReading(decimal=decimal))
        np.testing.assert_allclose(X[:, 0], [float(t.replace(",", sign)) for t in thousands])
    asked("leave --decimal out", point, decimal=",")
    mixed = point.where(np.arange(N) % 2 == 0, point.str.replace(".", ","))
    asked("write all numbers of the column in one way", mixed)
    percent = texts(lambda v: f"{v:.1f}%").where(np.arange(N) % 2 == 0, "0.5")
    asked("write all numbers of the column in one way", percent)
    days = texts(lambda k: f"{1 + k % 12:02d}/{1 + k % 11:02d}/2024", range(N))
    asked("say --date with %d/%m/%Y or %m/%d/%Y behind the name and a colon", days)
    _, X = decided(days, TableReading(date=("c:%m/%d/%Y",)))
    np.testing.assert_array_equal(X[:, 1], pd.to_datetime(days, format="%m/%d/%Y").dt.month)


def test_points_keep_thousands_apart_beside_a_decimal_comma():
    grouped = texts(lambda k: f"{1_234 + k:,}".replace(",", "."), range(N))
    comma = texts(lambda v: f"{v:.2f}".replace(".", ","))
    frame = pd.DataFrame({"a": grouped.sample(frac=1, random_state=0).to_numpy(), "b": comma})
    frame["a"] = np.repeat(frame["a"].to_numpy()[:100], 2)  # no id
    X = Columns().fit(("t", frame)).transform(frame)
    assert X[:, 0].min() >= 1_234


DATES = {
    "ISO": lambda d: str(d.date()),
    "with a time": str,
    "German": lambda d: d.strftime("%d.%m.%Y"),
    "American": lambda d: d.strftime("%m/%d/%Y"),
    "in words": lambda d: d.strftime("%b %d, %Y"),
    "eight digits": lambda d: d.strftime("%Y%m%d"),
    "Excel's date": lambda d: d.date(),
    "with a zone": lambda d: d.strftime("%Y-%m-%dT%H:%M:%SZ"),
}


@pytest.mark.parametrize("form", [*DATES, "typed", "typed with a zone", "whole numbers"])
def test_dates_become_year_month_weekday_and_age(form):
    if form in DATES:
        column = pd.Series([DATES[form](day) for day in DAYS], dtype=object)
    elif form == "whole numbers":
        column = DAYS.dt.strftime("%Y%m%d").astype(int)
    else:
        column = DAYS if form == "typed" else DAYS.dt.tz_localize("Asia/Tokyo").dt.tz_convert("UTC")
    decision, X = decided(column)
    if form == "typed with a zone":
        assert decision.read_as == "date"
        return
    expected = [DAYS.dt.year, DAYS.dt.month, DAYS.dt.dayofweek, (DAYS.max() - DAYS).dt.days]
    assert decision.read_as == "date"
    np.testing.assert_array_equal(X, np.column_stack(expected))


def test_marks_among_dates_are_missing():
    column = DAYS.dt.strftime("%Y-%m-%d").astype(object)
    column[::2] = "9999-12-31"
    column[1] = "-"
    decision, X = decided(column)
    assert (decision.read_as, decision.missing) == ("date", 101)
    assert np.isnan(X[:2]).all()


IDS = {
    "counted": ("c", np.arange(N) + 7),
    "counted, shuffled": ("c", RNG.permutation(3 * N)[:N]),
    "by its name": ("customer_id", RNG.choice(10**6, N, replace=False)),
    "a saved index": ("(column 1, no name)", np.arange(N)),
    "texts": ("c", [f"{value:x}" for value in RNG.integers(2**60, size=N)]),
    "codes with zeros": ("c", [f"{value:06d}" for value in RNG.choice(10**6, N, replace=False)]),
}
NO_IDS = {
    "repeated": WHOLE,
    "different by chance": RNG.choice(10**6, N, replace=False),
    "fractions": AMOUNT,
    "a few codes": np.array([f"{k:05d}" for k in (1, 20, 300)])[np.arange(N) % 3],
}


@pytest.mark.parametrize("kind", IDS)
def test_an_id_is_left_out(kind):
    name, values = IDS[kind]
    decision, _ = decided(values, name=name)
    assert decision.read_as == "left out"
    assert decision.why.startswith("an id: ")
    kept = TableReading(numeric=(name,)) if kind == "counted" else TableReading(categorical=(name,))
    assert decided(values, kept, name)[0].features in (1, N)


@pytest.mark.parametrize("kind", NO_IDS)
def test_other_columns_are_no_ids(kind):
    assert decided(NO_IDS[kind])[0].read_as != "left out"


def test_an_id_is_found_if_rows_come_twice_and_over_several_tables():
    first = pd.DataFrame({"c": RNG.permutation(150)[:100] + 500, "x": AMOUNT[:100]})
    columns = Columns().fit(("a.csv", first), ("b.csv", pd.concat([first[:30], first[50:70]])))
    assert columns.decisions[0].read_as == "left out"


def test_texts_are_sentences_names_or_categories(monkeypatch):
    monkeypatch.setattr(text_columns, "is_installed", lambda: False)
    sentences = [f"I like film {k % 150} a lot" for k in range(N)]
    assert "free text" in decided(sentences)[0].why
    names = [f"J{k % 150} Smith" for k in range(N)]
    assert decided(names)[0].why == "150 different texts"
    assert decided(["a", "a ", "b", " b"] * 50)[0].features == 1  # blanks around do not count
    few = [f"I like film {k % 3} a lot" for k in range(N)]
    assert decided(few)[0].features == 3
    asked(r"no column to learn from beside the target \('a': 150 different texts\)", names)


@pytest.mark.parametrize("form", ["[{}, {}]", "[{} {}]", "[ {},  {}]"])
def test_lists_in_a_text_file_become_a_feature_for_each_place(form):
    decision, X = decided([form.format(a, b) for a, b in zip(AMOUNT, WHOLE, strict=True)])
    assert decision.read_as == "list"
    np.testing.assert_array_equal(X, np.column_stack([AMOUNT, WHOLE]))


def test_lists_that_numpy_cut_short_are_left_out():
    decision, _ = decided([f"[{a} ... {b}]" for a, b in zip(AMOUNT, WHOLE, strict=True)])
    assert "lists that cannot be read" in decision.why


def test_every_form_of_the_same_values_makes_the_same_features():
    """Typed, nullable, text, and an object column of both."""
    values = pd.Series(WHOLE, dtype=float).where(np.arange(N) % 9 != 0)
    shown = values.map(lambda v: "" if np.isnan(v) else f"{v:.0f}").astype(object)
    both = shown.where(np.arange(N) % 2 == 0, values.astype(object))
    for column in (values, values.astype("Int64"), shown, both, values.astype("float32")):
        decision, X = decided(column)
        np.testing.assert_array_equal(X[:, 0], values)
        assert decision.missing == 23


# --- held later -----------------------------------------------------------------------------------

FIT = pd.DataFrame({"n": AMOUNT, "job": np.array(["cook", "nurse"])[WHOLE % 2], "day": DAYS})


def held(reading=TableReading(), **changed):  # noqa: B008  (it is frozen)
    """Features of the same rows with changed cells, after a fit to FIT; and what is counted."""
    misfits = Misfits("v.csv")
    columns = Columns(reading).fit(("l.csv", FIT))
    return columns.transform(FIT.assign(**changed), misfits), misfits.notes()


def test_cells_that_do_not_fit_are_counted_and_over_five_per_cent_are_an_error():
    odd = FIT["n"].astype(object)
    odd[3] = "lots"
    X, notes = held(n=odd)
    assert np.isnan(X[3, 0])
    assert np.isfinite(np.delete(X, 3, axis=0)).all()
    (note,) = notes
    assert note.startswith("v.csv, column 'n': 1 of 200 cells do not fit, such as 'lots' in row 3")
    odd[:11] = "lots"
    with pytest.raises(UserError, match="11 of 200 cells do not fit"):
        held(n=odd)
    marks = FIT["n"].astype(object)
    marks[:90] = "-"
    assert held(n=marks)[1] == []  # a mark is a missing cell in any table
    with pytest.raises(UserError, match="200 of 200 cells do not fit"):
        held(n=texts(lambda v: f"{v:.2f}".replace(".", ",")))
    with pytest.raises(UserError, match="200 of 200"):  # no thousands are apart in the other table
        held(n=texts(lambda v: f"{v * 1_000:,.0f}"[:-4]))
    with pytest.raises(UserError, match="column 'day': 200 of 200"):
        held(day=DAYS.dt.strftime("%d.%m.%Y"))


def test_a_category_never_seen_is_an_error_or_none_of_the_indicated():
    upper = FIT["job"].where(FIT.index != 7, "COOK")
    with pytest.raises(UserError, match="v.csv, row 7, column 'job': 'COOK' is no cat.*'cook'"):
        held(job=upper)
    X, notes = held(TableReading(unseen="other"), job=upper)
    assert X[7, 1:3].tolist() == [0.0, 0.0]
    assert X[:, 1:3].sum() == N - 1
    assert "1 of 200 cells" in notes[0]
    X, _ = held(job=FIT["job"].where(FIT.index != 7, None))
    assert np.isnan(X[7, 1])  # missing, not the first category


def test_columns_that_an_option_names_wrongly():
    asked("--numeric 'z' is no column of t.csv", WHOLE, numeric=("z",))
    asked("column 'a' is named by --numeric and by --drop", WHOLE, numeric=("a",), drop=("a",))
    asked("holds no number", ["x", "y"] * 100, numeric=("a",))
    asked("holds no date", ["x", "y"] * 100, date=("a",))
    asked("holds no date such as 31.12.2024", ["x", "y"] * 100, date=("a:%d.%m.%Y",))


def test_a_wide_table_is_printed_in_few_lines():
    wide = pd.DataFrame({f"x{k}": AMOUNT * (k + 1) for k in range(768)} | {"job": FIT["job"]})
    shown = table_of(Columns().fit(("t", wide)).decisions)
    assert "x0 … x767 (768 columns)" in shown
    assert shown.count("\n") == 5


# --- by the shell ---------------------------------------------------------------------------------


@pytest.fixture
def odd_bank(tmp_path):
    """The shipped bank with an id, decimal commas, marks and dates; and the plain one."""
    bank = pd.read_csv(SHIPPED / "bank/bank.csv.gz").sample(400, random_state=0)
    bank = bank[["age", "balance", "duration", "housing", "y"]].reset_index(drop=True)
    odd = bank.assign(
        id=np.arange(400) + 1_000,
        balance=bank["balance"].map(lambda v: f"{v:,} €".replace(",", ".") + ""),
        age=bank["age"].astype(object).where(bank.index % 10 != 0, "-"),
        seen=[f"{k % 28 + 1:02d}.{k % 12 + 1:02d}.2023" for k in range(400)],
    )
    odd.to_csv(tmp_path / "odd.csv", index=False, sep=";")
    return tmp_path


def test_main_py_reads_prints_and_records_the_columns(odd_bank, capsys):
    options = ["--target=y", "--rounds=1", "--methods=salutary", "--no-plot", f"--out={odd_bank}"]
    path = odd_bank / "odd.csv"
    arguments = [f"--dataset={path}", *options, "--init=100", "--decimal=,", "--drop=duration"]
    assert main("binary", arguments) == 0
    told = capsys.readouterr().out
    assert "| age      | number   |        1 |      40 | numbers; 40 cells hold no number" in told
    assert "| id       | left out |" in told
    (record,) = odd_bank.glob("*/run.json")
    columns = {c["column"]: c for c in json.loads(record.read_text())["data"]["columns"]}
    assert columns["balance"]["why"] == "numbers with thousands apart in €"
    assert columns["duration"]["why"] == "--drop"
    assert columns["seen"]["features"] == 4
    data = load(str(path), target="y", reading=TableReading(decimal=",")).data
    plain = pd.read_csv(SHIPPED / "bank/bank.csv.gz").sample(400, random_state=0)
    np.testing.assert_array_equal(data.X[:, data.names.index("balance")], plain["balance"])
    assert main("binary", [*arguments, "--quiet"]) == 0
    assert "left out" not in capsys.readouterr().out


def test_label_py_holds_to_the_columns_and_records_them(odd_bank, capsys):
    frame = pd.read_csv(odd_bank / "odd.csv", sep=";", dtype=str, keep_default_na=False)
    frame[:150].to_csv(odd_bank / "l.csv", index=False)
    frame[150:300].drop(columns="y").to_csv(odd_bank / "p.csv", index=False)
    held_out = frame[300:].reset_index(drop=True)
    held_out.loc[2, "duration"] = "long"
    held_out.to_csv(odd_bank / "v.csv", index=False)
    named = [f"--{k}={odd_bank / f}.csv" for k, f in
             (("labeled", "l"), ("unlabeled", "p"), ("validation", "v"))]  # fmt: skip
    options = ["--target=y", "--budget=3", "--l2=1", "--decimal=,", "--anyway", "--force"]
    assert label.main([*named, *options, f"--out={odd_bank / 'o.csv'}"]) == 0
    told = capsys.readouterr().out
    assert "v.csv, column 'duration': 1 of 100 cells do not fit, such as 'long' in row 2" in told
    columns = json.loads((odd_bank / "o.json").read_text())["columns"]
    assert [c["read_as"] for c in columns if c["column"] == "id"] == ["left out"]
    written = pd.read_csv(odd_bank / "o.csv", dtype=str, keep_default_na=False)
    assert written["balance"][:150].tolist() == frame["balance"][:150].tolist()
    held_out["housing"] = held_out["housing"].str.upper()
    held_out.to_csv(odd_bank / "v.csv", index=False)
    assert label.main([*named, *options, f"--out={odd_bank / 'o.csv'}"]) == 2
    assert "v.csv, row 0, column 'housing': " in error_of(capsys)
