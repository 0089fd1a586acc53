"""How long a call of explore.py takes: said before it starts, and after each study."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

from studies.base import Study

# Seconds of processor time that each study takes with the default options, measured on one machine.
# Another machine has its own speed: only the ratios are used once a study is done there.
SECONDS = {
    "truth": 4,
    "budget": 30,
    "share": 13,
    "validation": 30,
    "l2": 20,
    "retrain": 3,
    "hessian": 8,
    "gallery": 5,
    "boundary": 6,
    "why": 1,
}


@dataclass
class Progress:
    """Which studies are made, one after the other, and since when.

    jobs : processes that share the work.
    """

    studies: Sequence[Study]
    jobs: int
    start: float = field(default_factory=perf_counter)

    def announcement(self) -> str:
        """What to say before the first study."""
        names = ", ".join(study.name for study in self.studies)
        work = duration(sum(map(_seconds, self.studies)))
        processes = "1 process" if self.jobs == 1 else f"{self.jobs} processes"
        return (
            f"{len(self.studies)} studies: {names}\n"
            f"with the default options they took {work} of processor time on the machine where "
            f"they were measured, here {processes} share the work; the time left on this machine "
            "is told after each study"
        )

    def after(self, done: int) -> str:
        """What to say after so many studies: the time left, at the pace of those that are done."""
        elapsed = perf_counter() - self.start
        made, rest = self.studies[:done], self.studies[done:]
        left = elapsed * sum(map(_seconds, rest)) / sum(map(_seconds, made))
        told = f"about {duration(left)} left" if rest else "all are done"
        return f"study {done} of {len(self.studies)} done after {duration(elapsed)}, {told}"


def _seconds(study: Study) -> float:
    """The measured seconds; for a study that nobody has measured, the mean of the others."""
    return SECONDS.get(study.name, sum(SECONDS.values()) / len(SECONDS))


def duration(seconds: float) -> str:
    """In words: 8 s, or 3 min 20 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
