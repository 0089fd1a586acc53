"""Dates as people write them, and the four features that a column of dates becomes."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from common.errors import UserError

ISO = "ISO8601"  # pandas' name for year-month-day, with or without a time and a zone
FORMS = (
    ISO, "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%b %d %Y",
    "%d %B %Y", "%d. %B %Y", "%B %d, %Y", "%a, %d %b %Y",
)  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
LIKE_A_DATE = re.compile(
    r"\s*(\w{3},? )?"
    r"(\d{1,4}[-/. ]+(\d{1,2}|[A-Za-z]{3,9})[-/., ]+\d{1,4}|[A-Za-z]{3,9} \d{1,2},? \d{4})"
    r"([ T]\d.*)?\s*"
)
EIGHT_DIGITS = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", re.ASCII)
YEARS = (1800, 2200)
NO_DATE = re.compile(r"(0000|9999)\D.*|.*\D(0000|9999)")  # marks, such as 9999-12-31
PARTS = ("year", "month", "weekday", "age_days")


def dates(cells: pd.Series, form: str) -> pd.Series:
    """The cells as dates without a time zone, of nanoseconds; NaT if they are none in this form.

    form : one of FORMS, or one of ``strftime``. A time of day may follow. Cells may also be dates
    already, or texts.
    """
    if pd.api.types.is_datetime64_any_dtype(cells):
        found = cells
    else:
        shown = cells.astype(object).where(cells.notna(), None)
        shown = shown.map(lambda cell: cell if cell is None else str(cell).strip())
        found = _parsed(shown, form)
    if getattr(found.dtype, "tz", None) is not None:
        found = found.dt.tz_convert(None)
    fits = found.dt.year.between(*YEARS)
    return found.where(fits).astype("datetime64[ns]")


def _parsed(shown: pd.Series, form: str) -> pd.Series:
    found = pd.Series(pd.NaT, shown.index, dtype="datetime64[ns, UTC]")
    for time in TIMES if "%H" not in form and "%I" not in form and form != ISO else ("",):
        rest = found.isna() & shown.notna()
        if not rest.any():
            break
        with np.errstate(all="ignore"):
            more = pd.to_datetime(shown[rest], format=form + time, errors="coerce", utc=True)
        more = more.where(more.dt.year.between(*YEARS)).astype(found.dtype)
        found = more.reindex(shown.index) if found.isna().all() else found.fillna(more)
    return found


def forms_that_fit(shown: pd.Series, share: float) -> dict[str, float]:
    """The forms in which at least ``share`` of the texts (n,) are dates, with their shares."""
    if not len(shown) or shown.map(lambda text: bool(LIKE_A_DATE.fullmatch(text))).mean() < share:
        whole = shown.map(lambda text: bool(EIGHT_DIGITS.fullmatch(text)))
        return {"%Y%m%d": float(whole.mean())} if len(shown) and whole.mean() >= share else {}
    counts = shown.value_counts()
    texts = pd.Series(counts.index.astype(object))
    weights = counts.to_numpy() / len(shown)
    shares = {form: float(weights[dates(texts, form).notna()].sum()) for form in FORMS}
    return {form: found for form, found in shares.items() if found >= share}


def the_form(shown: pd.Series, share: float, place: str) -> str | None:
    """The one form in which at least ``share`` of the texts (n,) are dates; None if there is none.

    place : names the column in errors. Raises UserError if they are dates in two ways that differ.
    """
    found = forms_that_fit(shown, share)
    if not found:
        return None
    best = max(found, key=lambda form: found[form])
    texts = pd.Series(shown.unique(), dtype=object)
    read = dates(texts, best)
    for other in found:
        there = dates(texts, other)
        if found[other] == found[best] and not there.equals(read):
            row = int((there.ne(read) & there.notna() & read.notna()).to_numpy().argmax())
            raise UserError(
                f"{place} holds dates such as {texts[row]!r}, which may be "
                f"{read[row]:%d %B %Y} or {there[row]:%d %B %Y}: say --date with "
                f"{best} or {other} behind the name and a colon"
            )
    return best


def features(found: pd.Series, latest: pd.Timestamp) -> np.ndarray:
    """PARTS of dates (n,): (n, 4), NaN for NaT. The age is in days before ``latest``."""
    age = (latest - found) / pd.Timedelta(days=1)
    made: Sequence[pd.Series] = [found.dt.year, found.dt.month, found.dt.weekday, age]
    return np.column_stack([part.astype(np.float64) for part in made])
