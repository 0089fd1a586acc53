"""matrix_free.py on a network: the stochastic solver, and curvature that is negative."""

from functools import partial

import numpy as np
import pytest

from models import MLP
from numerics.module_influence import module_benefit
from tests.helpers import split_of
from tests.numerics.cases import EXACT


@pytest.mark.slow
def test_lissa_comes_close_to_conjugate_gradients_and_repeats_itself(wine):
    mlp, loss, arguments = wine
    how = {"l2": 20.0, "damping": 20.0}
    cg, first, again, other = (
        module_benefit(mlp.module_, loss, *arguments, **how, solver=solver, seed=seed)
        for solver, seed in (("cg", 0), ("lissa", 0), ("lissa", 0), ("lissa", 1))
    )
    assert 0 < abs(first - cg).max() < 0.1 * abs(cg).max()
    assert 0 < abs(other - cg).max() < 0.1 * abs(cg).max()
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_negative_curvature_is_an_error_that_names_it_until_damping_outweighs_it(wine):
    """Of a network that was never trained."""
    _, loss, arguments = wine
    untrained = MLP((3,), l2=2.0, max_iter=0, random_state=1)
    split = split_of("wine")
    untrained.fit(split.X[split.labeled], split.y[split.labeled])
    ask = partial(module_benefit, untrained.module_, loss, *arguments)
    with pytest.raises(
        np.linalg.LinAlgError, match=r"smallest curvature .* is -\S+: raise damp"
    ) as e:
        ask(solver="dense")
    smallest = float(str(e.value).split(" is ")[1].split(":")[0])
    with pytest.raises(np.linalg.LinAlgError, match="met a curvature of -") as e:
        ask()
    assert smallest <= float(str(e.value).split("curvature of ")[1].split(":")[0]) * 0.999 < 0
    with pytest.raises(np.linalg.LinAlgError, match=r"smallest curvature is about -\S+, the larg"):
        ask(solver="lissa")
    damped = [ask(damping=-1.5 * smallest, solver=solver) for solver in EXACT]
    np.testing.assert_allclose(*damped, rtol=0, atol=1e-5 * abs(damped[0]).max())
