"""What --model-out and --predictions write: the model afterwards, and what it says of the rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.files import Content
from labeling.model_file import ModelFile, model_file
from labeling.output_tables import LabeledPool, OutputFiles, WrittenFile, formula_lines
from labeling.own_model import TrainedEstimator
from labeling.predictions import Predictions
from labeling.user_tables import UserTables
from models import LogisticRegression

Model = LogisticRegression | TrainedEstimator


@dataclass(frozen=True)
class ModelOutputs:
    """The two files; None for one that is not asked for. path : of the model."""

    path: Path | None
    model: ModelFile | None
    predictions: Predictions | None

    def contents(self) -> dict[Path, Content]:
        """What to write, by path."""
        found: dict[Path, Content] = {}
        if self.path is not None and self.model is not None:
            found[self.path] = self.model.content()
        if self.predictions is not None:
            found[self.predictions.path] = self.predictions.write
        return found

    def lines(self) -> Iterator[str]:
        """What a user should know of these files, once they are written."""
        if self.model is not None:
            yield f"{self.path}: a scikit-learn Pipeline for the columns as pandas reads them"
            yield from (f"{self.path}: {note}" for note in self.model.notes)
        if (made := self.predictions) is not None:
            yield from formula_lines([WrittenFile(made.path, made.formulas, made.quoted)])
            yield f"{made.path}: probabilities for the other {made.rows:,} rows of the pool"


def model_outputs(
    outputs: OutputFiles, user_tables: UserTables, pool: LabeledPool, model: Model
) -> ModelOutputs:
    """The files of ``outputs.model`` and ``outputs.predictions``.

    model : trained on the labeled rows and the labels given.
    """
    training = user_tables.known.labeled.joined(pool.given)
    made = None if outputs.model is None else model_file(user_tables, model, training)
    predictions = None
    if outputs.predictions is not None:
        labeled = pool.rows.index[pool.labels.given.rows]
        predictions = Predictions(
            outputs.predictions, user_tables, model, labeled, outputs.excel_safe
        )
    return ModelOutputs(outputs.model, made, predictions)
