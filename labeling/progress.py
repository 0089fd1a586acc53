"""The progress bar of label.py: one for the measurement and the labels, with the time left."""

from tqdm import tqdm

WITHOUT_TIME_LEFT = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}]"
WITH_TIME_LEFT = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}, {remaining} left]"


class Progress:
    """Counts picks; use it as a context. Nothing is shown if standard error is no terminal.

    Every part of the measurement, and the labeling after it, picks as many rows, and its fits take
    their time before and after. So the time left is told once a whole part is done, as if each of
    the others took as long on average.
    """

    def __init__(self, parts: int, budget: int, *, quiet: bool = False):
        """parts : how often ``budget`` rows are picked in all."""
        self.budget, self.parts_done, self.done = budget, 0, 0
        self.bar = tqdm(
            total=parts * budget,
            desc="labeling",
            bar_format=WITHOUT_TIME_LEFT,
            smoothing=0,
            disable=quiet or None,
            leave=False,
        )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def picked(self, rows: int) -> None:
        """So many more rows are picked."""
        self.done += rows
        self.bar.update(rows)

    def part_done(self) -> None:
        """One more part is over, also if it picked fewer rows than its budget."""
        self.parts_done += 1
        self.bar.bar_format = WITH_TIME_LEFT
        self.picked(self.parts_done * self.budget - self.done)

    def close(self) -> None:
        """Take the bar away, before anything is printed."""
        self.bar.close()
