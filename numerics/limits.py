"""Up to how many parameters a Hessian is a matrix; beyond them it is known by its products."""

DENSE_PARAMETERS = 1_500  # most parameters for which H is inverted, or factored by "auto"
# Above so many parameters of a softmax, CG is faster than a factor. For one unit the factor is
# faster up to the limit above (benchmarks/solvers.py).
SOFTMAX_DENSE_PARAMETERS = 250
