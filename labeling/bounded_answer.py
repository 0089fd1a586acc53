"""The answer of label.py --max-error: which rows the bound covers, in words and as JSON."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from labeling.error_bound import CONFIDENCE, Bound, share_text
from labeling.labeler import SalutaryLabeler
from labeling.output_tables import LabeledPool
from labeling.records import LabeledRows
from labeling.user_tables import KEPT, UserTables
from labeling.verdict import Advice


@dataclass(frozen=True)
class BoundedAnswer:
    """What label.py found. pool_size : rows of the pool, also of those not looked at."""

    bound: Bound
    pool_size: int

    @property
    def advises_use(self) -> bool:
        return self.bound.holds

    @property
    def advice(self) -> Advice:
        return Advice.USE if self.advises_use else Advice.DO_NOT_USE

    @property
    def reason(self) -> str:
        """Why the labels can or cannot be used, in words."""
        bound = self.bound
        if bound.bound is None:
            return (
                "of no set of pool rows is it certain that at most "
                f"{share_text(bound.max_error)} of the labels are wrong"
            )
        if bound.source.differs:
            return "pool and validation rows do not look like one source, so no bound holds"
        return (
            f"with {share_text(CONFIDENCE)} confidence, at most {share_text(bound.max_error)} of "
            f"these {bound.covered:,} labels are wrong"
        )

    def lines(self) -> Iterator[str]:
        """What the bound rests on, and the answer."""
        bound, source = self.bound, self.bound.source
        if self.pool_size > bound.pool_rows:
            yield (
                f"--max-error looks at a random sample of {KEPT:,} of the {self.pool_size:,} pool "
                "rows; the others get no label and are not in the file of rows that are left"
            )
        yield (
            f"validation: {bound.choosing:,} rows choose, and the model is trained on them too; "
            f"{bound.calibration:,} rows calibrate"
        )
        areas = "; ".join(f"{name}, {area:.4f}" for name, area in bound.areas.items())
        yield (
            f"models tried, and the area under their risk-coverage curve: {areas}. The labels are "
            f"those of {bound.model}"
        )
        yield (
            f"one source? pool and validation rows are told apart with an AUC of {source.auc:.3f} "
            f"(0.5: not at all), mean probabilities differ by at most {source.mix:.3f}, "
            f"p = {source.p_value:.3f}: "
            + ("NO, the bound assumes that they are" if source.differs else "nothing against it")
        )
        if bound.bound is not None:
            yield (
                f"{bound.covered:,} of {bound.pool_rows:,} pool rows have a probability of "
                f"{bound.threshold:.4f} or more; of {bound.above:,} such calibration rows, the "
                f"model errs on {bound.wrong:,}"
            )
        yield f"answer: {self.reason}: {self.advice}."

    def manifest(self) -> dict:
        """The same for a JSON file."""
        return {
            "answer": self.advice,
            "reason": self.reason,
            "use": self.advises_use,
            "max_error": asdict(self.bound) | {"confidence": CONFIDENCE, "holds": self.bound.holds},
        }


def bounded_answer(
    max_error: float, labeler: SalutaryLabeler, tables: UserTables
) -> tuple[BoundedAnswer, LabeledPool]:
    """Label what the bound allows of the pool, or of a random sample of a large pool.

    Raises UserError if too few validation rows calibrate.
    """
    X = tables.maker.features(tables.sample, tables.files.pool_name)
    found = labeler.label_within(X, max_error)
    given = found.labels.given
    pool = LabeledPool(tables.sample, found.labels, LabeledRows(X[given.rows], given.labels), 0)
    return BoundedAnswer(found.bound, tables.pool_size), pool
