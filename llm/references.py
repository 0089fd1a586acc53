"""The test accuracies that all true labels give: of the fine-tuned encoder and simpler models.

If the settings give a rule for l2, the penalty of each logistic regression is chosen by
cross-validation. TF-IDF with scikit-learn's default, C = 1, is 2.7 points worse on movies.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression as SklearnRegression
from sklearn.model_selection import GridSearchCV

from common.kinds import PenaltyRule
from data_utils import Split
from experiments.penalty import GRID, Rows, chosen_by_cross_validation, stratified_folds
from experiments.runner import SplitOf
from experiments.settings import LoopSettings, Settings
from experiments.tables import printed, with_deviation
from llm.finetuning import FineTuner
from llm.stand_in import TrainingSet
from models import MLP, LogisticRegression
from numerics.linear import as_tensor


def references_table(tuner: FineTuner, split_of: SplitOf, settings: Settings) -> str:
    """Test accuracies in % of training on the true labels of all other texts, as a printed table.

    Raises UserError as ``FineTuner.train`` does.
    """
    accuracies: dict[str, list[float]] = {}
    for seed in settings.seeds:
        split = split_of(seed)
        rows = np.concatenate([split.labeled, split.pool, split.validation])
        truth = split.y[split.test]
        training = TrainingSet(rows, split.y[rows])
        for name, predicted in _predictions(tuner, settings, split, training, seed):
            accuracies.setdefault(name, []).append(100 * float((predicted == truth).mean()))
    cells = [
        with_deviation(values.mean(), values.std(), 1)
        for values in map(pd.Series, accuracies.values())
    ]
    return printed(
        pd.DataFrame({"test accuracy in %": cells}, index=list(accuracies)),
        f"{tuner.data.texts.name}: all {len(rows):,} true labels, {len(truth):,} test texts",
    )


def _predictions(
    tuner: FineTuner, settings: Settings, split: Split, training: TrainingSet, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    """The classes of the test texts that each way of learning predicts, with its name."""
    rows, labels = training.rows, training.labels
    most_frequent = pd.Series(split.y).mode()[0]
    yield "always the most frequent class", np.full(len(split.test), most_frequent)

    texts = tuner.data.texts.joined(" ")
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)).fit(texts[rows])
    model = SklearnRegression(max_iter=1000)
    if isinstance(settings.loop.l2, PenaltyRule):
        folds = stratified_folds(labels, seed)
        model = GridSearchCV(model, {"C": 1 / np.array(GRID)}, cv=folds)
    model.fit(words.transform(texts[rows]), labels)
    predicted = model.predict(words.transform(texts[split.test]))
    yield "TF-IDF of words and pairs, logistic regression", predicted

    stand_in = _tuned_stand_in(settings.loop, split.X[rows], labels, seed)
    predicted = stand_in.predict(split.X[split.test])
    yield "embeddings, logistic regression (the stand-in)", predicted

    recipe = tuner.recipe
    finished = tuner.train(split, training, seed)
    yield f"fine-tuned, {recipe.tune}, {recipe.epochs_text}", tuner.classes_of(finished)


def _tuned_stand_in(
    settings: LoopSettings, X: np.ndarray, y: np.ndarray, seed: int
) -> LogisticRegression | MLP:
    """The stand-in fitted to X (m, D) and y (m,); a rule for l2 chooses it by cross-validation."""
    rows = Rows(as_tensor(X, settings.device, settings.torch_dtype), y)
    l2 = settings.l2
    if isinstance(l2, PenaltyRule):
        l2 = chosen_by_cross_validation(settings.classifier(seed, GRID[0]), rows, seed)
    return settings.classifier(seed, l2).fit_tensors(*rows)
