"""The models of a labeler: the linear one that picks, and the one that it predicts with."""

from typing import Any, Protocol

import numpy as np

from common.kinds import PenaltyRule
from experiments import penalty
from labeling import wide
from labeling.own_model import TrainedEstimator, trained
from labeling.records import LabeledRows
from models import LogisticRegression
from numerics.linear import as_tensor
from numerics.torch_classifier import encoded_classes


class Fits(Protocol):
    """The parameters of ``SalutaryLabeler`` that its models depend on."""

    l2: float | str
    fit_intercept: bool
    random_state: Any
    estimator: Any


def fitted_model(
    labeler: Fits, human: LabeledRows, given: LabeledRows | None = None
) -> LogisticRegression:
    """The labeler's kind of model, fitted to human labels and, if there are any, to given ones.

    If the labeler's l2 is "cv", cross-validation on these rows chooses it. Only rows with human
    labels are held out. The given labels are close to what the model says anyway: judged by them,
    too small an l2 would look best.
    Features must be scaled already. Raises ValueError for a single class, and what
    ``chosen_by_cross_validation`` raises.
    """
    _, codes = encoded_classes(human.y)
    rows = penalty.Rows(as_tensor(human.X), human.y)
    more = None if given is None else penalty.Rows(as_tensor(given.X), given.y)
    training = rows if more is None else rows.joined(more)
    l2 = labeler.l2
    if l2 == PenaltyRule.CV:
        folds = min(max(int(np.sort(np.bincount(codes))[-2]), 2), penalty.FOLDS)
        l2 = wide.chosen_l2(
            rows, more, labeler.random_state, folds, fit_intercept=labeler.fit_intercept
        )
    return wide.fitted(training, float(l2), fit_intercept=labeler.fit_intercept)


def predicting_model(
    labeler: Fits, human: LabeledRows, given: LabeledRows | None = None
) -> LogisticRegression | TrainedEstimator:
    """What the labeler would predict with if it had these human and given labels.

    Raises what ``fitted_model`` raises or, for the user's own estimator, what ``trained`` raises.
    """
    if labeler.estimator is None:
        return fitted_model(labeler, human, given)
    rows = human if given is None else human.joined(given)
    return trained(labeler.estimator, rows, labeler.random_state)
