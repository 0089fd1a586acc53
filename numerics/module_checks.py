"""What module_influence.py looks at in a torch module before it computes with it.

All parts of the module are looked at, not its root alone, and one forward pass of a few rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from numerics.validation import as_torch_takes, check_rows

Forward = Callable[[Mapping[str, torch.Tensor]], Any]  # parameters by name ↦ outputs

SHOWN = 3  # names of parts that a message lists


def check_parts(module: torch.nn.Module) -> None:
    """Raises ValueError for parts whose result is random or depends on the other rows, and NaN."""
    if module.training:
        raise ValueError("the module is in training mode: call module.eval() first")
    training = [f"{name!r} ({_kind(part)})" for name, part in module.named_modules()
                if part.training]  # fmt: skip
    if training:
        raise ValueError(
            f"a part of the module is in training mode, {_listed(training)}: call module.eval(), "
            "which reaches every part, after all that sets a part to train()"
        )
    for name, part in module.named_modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm) and part.running_mean is None:
            raise ValueError(
                f"{name!r} ({_kind(part)}) keeps no running statistics, so the output for a row "
                "depends on the other rows: train with track_running_stats=True, or use GroupNorm "
                "or LayerNorm"
            )
    for name, parameter in module.named_parameters():
        if not parameter.isfinite().all():
            raise ValueError(
                f"the parameter {name!r} holds NaN or inf: the training of the module diverged; "
                "train it again, for example with a smaller learning rate"
            )
    for name, buffer in module.named_buffers():  # inf may be meant: masks hold it
        if buffer.isnan().any():
            raise ValueError(f"the buffer {name!r} of the module holds NaN: train the module again")


def device_of(module: Any) -> torch.device | None:
    """The device of the parameters. Raises TypeError for what is no module."""
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"the module is {type(module).__name__}: give a fitted torch.nn.Module")
    return next((parameter.device for parameter in module.parameters()), None)


def as_rows(
    values: Any, name: str, device: torch.device | None, *, some: bool = False
) -> torch.Tensor:
    """``values``, an array or a tensor, detached and on ``device``; integer targets as int64.

    some : whether there must be a row.

    Raises ValueError if they are not numbers, are no plain tensor, or hold NaN or inf.
    """
    try:
        if not isinstance(values, torch.Tensor):
            values = torch.as_tensor(as_torch_takes(np.asarray(values)))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be an array or a tensor of numbers") from error
    if values.is_nested or values.is_meta or values.is_quantized:
        raise ValueError(f"{name} is a nested, meta or quantized tensor: give a plain one")
    values = values.detach().to(device)
    if values.layout != torch.strided:
        raise ValueError(f"{name} is sparse: give it as a dense array or tensor, by to_dense()")
    if not values.ndim:
        raise ValueError(f"{name} is a single number, and must have a row for each example")
    if some:
        check_rows(values, name)
    if values.is_floating_point():
        check_finite(values, name)
    elif values.dtype != torch.bool and not name.startswith("X"):
        values = values.long()  # torch's losses take class numbers as int64 only
    return values


def as_rows_and_targets(
    X: Any, y: Any, part: str, device: torch.device | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """``as_rows`` of both. Raises ValueError as it does, and for no rows or unequal numbers."""
    X, y = as_rows(X, f"X_{part}", device), as_rows(y, f"y_{part}", device)
    if len(X) != len(y) or not len(X):
        raise ValueError(
            f"X_{part} has {len(X)} rows and y_{part} {len(y)} targets: give at least one row, "
            "and a target for each"
        )
    return X, y


def check_finite(values: torch.Tensor, name: str) -> None:
    """Raises ValueError with the first row of ``values`` (n, ...) that holds NaN or inf."""
    if not values.isfinite().all():
        rows = (~values.isfinite()).reshape(len(values), -1).any(1).nonzero()[:, 0]
        raise ValueError(
            f"{name} holds NaN or inf in {len(rows)} of {len(values)} rows, first in row "
            f"{int(rows[0])} (counted from 0): fill these values in, or leave the rows out"
        )


def check_outputs(forward: Callable[[torch.Tensor], Any], X: torch.Tensor) -> Any:
    """The outputs for the rows X (n, ...), n > 0.

    Raises ValueError if they are not tensors, hold NaN, are random, or depend on the other rows.
    """
    outputs = forward(X)
    leaves = tree_leaves(outputs)
    if not leaves or not all(isinstance(leaf, torch.Tensor) for leaf in leaves):
        raise ValueError(
            f"the module gives a {type(outputs).__name__} that is no tensor, and no tuple or "
            "dictionary of tensors alone: wrap it in a module whose forward returns the tensor "
            "that the loss takes"
        )
    if any(leaf.isnan().any() for leaf in leaves):  # −inf may be meant: a class that is masked
        raise ValueError(
            "the outputs of the module hold NaN for rows without it: look for an "
            "overflow, a division by zero or the logarithm of zero in its forward"
        )
    if not _near(leaves, tree_leaves(forward(X)), len(X)):
        raise ValueError(
            "two passes of the module over the same rows differ: its forward draws random numbers; "
            "where it calls functional.dropout, give it training=self.training"
        )
    half = len(X) // 2
    if half and not _near([leaf[:half] for leaf in leaves if leaf.shape[:1] == X.shape[:1]],
                          tree_leaves(forward(X[:half])), half):  # fmt: skip
        raise ValueError(
            "the output for a row depends on the other rows: normalise over the columns of a row "
            "only, and give recurrent and attention layers batch_first=True"
        )
    return outputs


def last_layer(
    module: torch.nn.Module,
    forward: Forward,
    values: Mapping[str, torch.Tensor],
    names: Sequence[str],
) -> list[str]:
    """Those of ``names`` that belong to the layer which a forward pass uses last.

    values : all parameters and buffers by name, detached.

    Raises ValueError if it is not clear, because the outputs depend on other ``names`` in a way
    that does not lead through the inputs of this layer.
    """
    leaves = {name: value.detach() for name, value in values.items()}
    leaves |= {name: leaves[name].requires_grad_() for name in names}
    known = {id(leaves[name]): name for name in names}
    uses = _Uses(known)
    with torch.enable_grad(), uses:
        forward(leaves)
    layer = layer_of(uses.last) if uses.last is not None else ""
    part = module.get_submodule(layer)
    handle = part.register_forward_pre_hook(_detached, with_kwargs=True)
    try:
        with torch.enable_grad():
            reached = _reached(forward(leaves))
    finally:
        handle.remove()
    chosen = [name for name in names if layer_of(name) == layer]
    beside = [name for name in names if name not in chosen and id(leaves[name]) in reached]
    if beside or not chosen:
        raise ValueError(
            f"it is not clear which layer is the last: the outputs depend on {_listed(beside)} "
            f"also beside {layer or 'the module itself'!r}, which is used last; name the "
            f'parameters instead of "last", for example parameters={chosen}'
        )
    return chosen


def layer_of(name: str) -> str:
    """The part that a parameter belongs to; parametrized ones, as of weight_norm, to their owner.

    >>> layer_of("body.2.weight"), layer_of("head.parametrizations.weight.original0")
    ('body.2', 'head')
    """
    owner, parametrized, _ = name.partition(".parametrizations.")
    if parametrized or name.startswith("parametrizations."):
        return owner if parametrized else ""
    return name.rpartition(".")[0]


@contextmanager
def plain_kernels() -> Iterator[None]:
    """torch's attention and weight_norm without their fused kernels.

    Those of attention have no second derivative; that of weight_norm has a wrong one on CPUs.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), _PlainWeightNorm():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class _PlainWeightNorm(TorchFunctionMode):
    """g v / ||v|| by torch's own operations, in place of the fused kernel."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch._weight_norm:
            return func(*args, **(kwargs or {}))

        def plain(v: torch.Tensor, g: torch.Tensor, dim: int = 0) -> torch.Tensor:
            over = [axis for axis in range(v.ndim) if dim == -1 or axis != dim % v.ndim]
            return v * (g / torch.linalg.vector_norm(v, dim=over, keepdim=True))

        return plain(*args, **(kwargs or {}))


class _Uses(TorchFunctionMode):
    """Notes the last of the known tensors that a function took to compute a tensor."""

    def __init__(self, known: Mapping[int, str]):
        super().__init__()
        self.known = known
        self.last: str | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if any(isinstance(leaf, torch.Tensor) for leaf in tree_leaves(result)):
            for leaf in tree_leaves((args, kwargs)):
                self.last = self.known.get(id(leaf), self.last)
        return result


def _detached(_part: torch.nn.Module, args: Any, kwargs: Any) -> Any:
    return tree_map(lambda x: x.detach() if isinstance(x, torch.Tensor) else x, (args, kwargs))


def _reached(outputs: Any) -> set[int]:
    """The ids of the tensors that require a gradient and that the outputs were computed from."""
    found, seen = set(), set()
    todo = [leaf.grad_fn for leaf in tree_leaves(outputs)]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            if hasattr(node, "variable"):
                found.add(id(node.variable))
            todo += [following for following, _ in node.next_functions]
    return found


def _near(some: list[torch.Tensor], others: list[torch.Tensor], rows: int) -> bool:
    """Whether the tensors differ by rounding only; those without a dimension for rows aside."""
    others = [other for other in others if other.shape[:1] == (rows,)]
    some = [one for one in some if one.shape[:1] == (rows,)]
    if [one.shape for one in some] != [other.shape for other in others]:
        return False
    for one, other in zip(some, others, strict=True):
        rounding = torch.finfo(one.dtype).eps ** 0.5 if one.is_floating_point() else 0
        if one.numel() and (one - other).abs().max() > rounding * one.abs().max():
            return False
    return True


def _kind(part: torch.nn.Module) -> str:
    return type(part).__name__


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
