"""What a study leaves: its pictures, its table, and its words."""

from dataclasses import dataclass

from common.files import csv_bytes
from studies.base import Finding, Study
from studies.bench import Bench
from studies.drawing import light_and_dark, picture_style
from studies.wording import printed_table


@dataclass(frozen=True)
class StudyResult:
    """A study that was made.

    light, dark : its picture as PNGs, for a light and for a dark page. setting : the data and the
    setting in words. command : the command line that makes the same again.
    """

    study: Study
    finding: Finding
    light: bytes
    dark: bytes
    setting: str
    command: str

    def files(self) -> dict[str, bytes]:
        """The contents of its files by name."""
        name = self.study.name
        return {
            f"{name}.png": self.light,
            f"{name}-dark.png": self.dark,
            f"{name}.csv": csv_bytes(self.finding.table),
        }

    def text(self) -> str:
        """What explore.py prints about it."""
        title = f"\n{self.study.title} ({self.study.name})"
        table = printed_table(self.finding.table)
        return "\n".join([title, self.setting, table, *self.finding.sentences])


def make_result(study: Study, bench: Bench, command: str) -> StudyResult:
    """Make a study and its pictures. Raises UserError as the study does."""
    with picture_style():
        finding = study(bench)
        light, dark = light_and_dark(finding.figure)
    return StudyResult(study, finding, light, dark, bench.describe(), command)
