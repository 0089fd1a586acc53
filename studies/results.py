"""What a study leaves: its pictures, its table, and its words."""

from dataclasses import dataclass

from common.files import csv_bytes
from studies.base import Finding, Study
from studies.bench import Bench
from studies.drawing import StudyPicture, picture_style, study_picture, write_heading
from studies.wording import printed_table


@dataclass(frozen=True)
class StudyResult:
    """A study that was made.

    setting : the data and the setting in words. command : the command line that makes the same
    again.
    """

    study: Study
    finding: Finding
    picture: StudyPicture
    setting: str
    command: str

    def files(self) -> dict[str, bytes]:
        """The contents of its files by name."""
        name = self.study.name
        return {
            f"{name}.png": self.picture.light,
            f"{name}-dark.png": self.picture.dark,
            f"{name}.pdf": self.picture.pdf,
            f"{name}.csv": csv_bytes(self.finding.table),
        }

    def text(self) -> str:
        """What explore.py prints about it."""
        title = f"\n{self.study.title} ({self.study.name})"
        table = printed_table(self.finding.table)
        words = "±: half the 95 % confidence interval of the mean" * ("±" in table)
        return "\n".join(filter(None, [title, self.setting, table, words, *self.finding.sentences]))


def make_result(study: Study, bench: Bench, command: str) -> StudyResult:
    """Make a study and its pictures. Raises UserError as the study does."""
    with picture_style():
        finding = study(bench)
        write_heading(finding.figure, study.title, bench.caption(finding.first_seed_only))
        picture = study_picture(finding.figure)
    return StudyResult(study, finding, picture, bench.describe(), command)
