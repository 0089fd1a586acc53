"""The three protocols: what each sets if no option says otherwise. Standard library only."""

from dataclasses import dataclass

from common.kinds import HessianRows, PenaltyRule, Protocol

DATA_SET_DECIDES = ""  # a value of ``fit``: see ``paper_fit`` in data_prep/catalogue.py


@dataclass(frozen=True)
class ProtocolValues:
    """l2, intercept : of the model; l2 may be a rule. hessian, fit : see LoopSettings."""

    l2: float | PenaltyRule
    intercept: bool
    hessian: HessianRows
    fit: str


PROTOCOLS = {
    Protocol.PAPER: ProtocolValues(50.0, False, HessianRows.POOL, DATA_SET_DECIDES),
    Protocol.STRICT: ProtocolValues(1.0, True, HessianRows.LABELED, "newton"),
    Protocol.TUNED: ProtocolValues(PenaltyRule.VALIDATION, True, HessianRows.LABELED, "newton"),
}
