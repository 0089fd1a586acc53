"""The numerical methods behind models and influence: linear layers, Hessians and solvers."""
