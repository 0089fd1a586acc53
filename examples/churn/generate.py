"""Customers of an invented telephone company, a fifth of whom left: tables to try label.py on.

python examples/churn/generate.py [--seed 0] [--folder examples/churn]

Writes labeled.csv, pool.csv (without the column churned), val.csv and test.csv as a German
spreadsheet saves them: semicolons, decimal commas, empty cells where nothing is known. pool.csv has
the customers whose answer nobody has looked up, and pool_truth.csv says what the answer would be.
"""

import argparse
import csv
import math
import random
from datetime import date, timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS = {"labeled": 100, "val": 300, "pool": 400, "test": 200}  # rows
NOISE = 0.5  # of the score: what no column tells
TODAY = date(2026, 6, 30)
CONTRACTS = {"monthly": 1.6, "one year": 0.0, "two years": -1.2}  # what each adds to the score
SHARES = (0.5, 0.3, 0.2)
PAYMENTS = {"direct debit": -0.3, "card": 0.0, "transfer": 0.4}
# What a customer last wrote, and what it adds to the score. {n} and {day} differ from row to row.
MESSAGES = {
    "the connection drops every evening, since {day} at least {n} times.": 1.4,
    "nobody answers the hotline, I waited {n} minutes on {day}.": 1.2,
    "my invoice is wrong again: {n} euros too much, and on {day} I was told it is settled.": 1.0,
    "another provider offers me this for {n} euros less a year, until {day}.": 1.8,
    "please send the invoice {n} by e-mail, if possible by {day}.": -0.2,
    "how do I change my address? I move on {day}, to house number {n}.": 0.0,
    "thanks, on {day} the technician solved it within {n} minutes.": -1.2,
    "can I add a second number to my plan from {day} on? I would need {n} GB.": -0.9,
}
OPENINGS = ("Hello, ", "Good morning, ", "To whom it may concern: ", "Hi there, ")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
COLUMNS = ["customer_id", "since", "contract", "payment", "monthly_fee", "data_gb", "support_calls",
           "last_message", "churned"]  # fmt: skip


def comma(value: float, places: int) -> str:
    return f"{value:.{places}f}".replace(".", ",")


def customer(rng: random.Random, number: int) -> tuple[list[str], float]:
    """The cells of a customer but the last, and the score: the larger, the likelier to leave."""
    months = 1 + int(rng.random() ** 2 * 90)
    (contract,) = rng.choices(list(CONTRACTS), SHARES)
    (payment,) = rng.choices(list(PAYMENTS), SHARES)
    fee = 15 + 45 * rng.random() + 10 * (contract == "monthly")
    data = math.exp(1.5 + rng.gauss(0, 1))
    calls = min(int(-math.log(1 - rng.random()) * 1.2), 9)
    score = CONTRACTS[contract] + PAYMENTS[payment] + 0.03 * (fee - 40) + 0.5 * calls
    score -= 0.8 * math.log(months / 12) + 0.3 * math.log(data / 5)
    message = ""
    if rng.random() < 0.6:  # the others never wrote
        (text,) = rng.choices(list(MESSAGES))
        details = {"n": 5 + int(rng.random() * 90), "day": rng.choice(DAYS)}
        message, score = rng.choice(OPENINGS) + text.format(**details), score + MESSAGES[text]
    chance = rng.random()
    score += NOISE * math.log(chance / (1 - chance))
    since = TODAY - timedelta(days=int(30.4 * months + 30 * rng.random()))
    cells = [f"K-{number}", since.isoformat(), contract, payment, comma(fee, 2), comma(data, 1),
             str(calls), message]  # fmt: skip
    for column, unknown in ((3, 0.04), (5, 0.08), (6, 0.05)):
        if rng.random() < unknown:
            cells[column] = ""
    return cells, score


def customers(seed: int) -> list[list[str]]:
    """All rows, in random order; the fifth with the largest scores left."""
    rng = random.Random(seed)
    rows = [customer(rng, 10_000 + 7 * k) for k in range(sum(PARTS.values()))]
    border = sorted((score for _, score in rows), reverse=True)[len(rows) // 5]
    found = [[*cells, "yes" if score > border else "no"] for cells, score in rows]
    rng.shuffle(found)
    return found


def write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerows([header, *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=HERE)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    rows = customers(chosen.seed)
    for part, count in PARTS.items():
        mine, rows = rows[:count], rows[count:]
        if part == "pool":
            write(chosen.folder / "pool.csv", COLUMNS[:-1], [row[:-1] for row in mine])
            truth = [[row[0], row[-1]] for row in mine]
            write(chosen.folder / "pool_truth.csv", [COLUMNS[0], COLUMNS[-1]], truth)
        else:
            write(chosen.folder / f"{part}.csv", COLUMNS, mine)


if __name__ == "__main__":
    main()
