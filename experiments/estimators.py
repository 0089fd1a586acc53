"""A user's own classifier, by its dotted name or as an object, checked.

--model package.module.Class is kept as text: every process makes it anew from its name.
"""

import importlib
import inspect
import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from sklearn.base import clone, is_classifier

from common.errors import UserError
from common.plugins import in_use


@dataclass(frozen=True)
class JudgeSettings:
    """The classifier that is judged, as text: what makes it again, and what its results depend on.

    name : as --model has it. title : in headings. parameters : ``get_params`` as text.
    versions : of each library that it comes from; of a file of one's own, the sha256.
    """

    name: str
    title: str
    parameters: str
    versions: dict[str, str]


MODEL = "--model"


def judge_settings(name: str) -> JudgeSettings:
    """What --model names, checked.

    name : the dotted name of a classifier's class, of an instance, or of a function without
    arguments that returns one. If its first part is the name of a plugin, the rest is looked up
    there.

    Raises UserError if there is no such thing, or if it is no classifier with probabilities.
    """
    found = _named(name, MODEL)
    estimator = _estimator(name, found, MODEL)
    distributions = _distributions()
    parameters = estimator.get_params(deep=True)
    # Functions and other objects print where they lie in memory, which is another place each time.
    text = re.sub(r" at 0x[0-9a-f]+", "", repr(dict(sorted(parameters.items()))))
    parts = [found, estimator, *parameters.values()]
    return JudgeSettings(
        name,
        title=found.__name__ if inspect.isclass(found) else name,
        parameters=" ".join(text.split()),
        versions=dict(sorted(filter(None, (_origin(part, distributions) for part in parts)))),
    )


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()  # reads the metadata of all installed libraries


def make_estimator(name: str, option: str = MODEL) -> Any:
    """The estimator that the option names, not fitted. Raises UserError as ``judge_settings``."""
    return clone(_estimator(name, _named(name, option), option))


def check_estimator(estimator: Any, shown: str, mend: str) -> None:
    """Raise UserError unless it is a classifier that can be cloned and gives probabilities.

    shown : names it in messages. mend : how to bring a wrapped one.
    """
    if inspect.isclass(estimator):
        raise UserError(f"{shown} is a class: give an instance, {estimator.__name__}()")
    if not hasattr(estimator, "fit") or not _is_classifier(estimator):
        raise UserError(
            f"{shown} is no scikit-learn classifier, it is of type {type(estimator).__name__}: "
            "name a classifier"
        )
    try:
        clone(estimator)
    except Exception as error:  # any object can pretend
        raise UserError(
            f"{shown} cannot be cloned as scikit-learn's clone does: its __init__ should only keep "
            "each argument under its own name"
        ) from error
    if not hasattr(estimator, "predict_proba"):
        raise UserError(
            f"{shown} has no predict_proba, and the log loss and the AUC need probabilities: {mend}"
        )


# --- from a name to an estimator ------------------------------------------------------------------


def _named(name: str, option: str) -> Any:
    """The object of this dotted name. Raises UserError if a module or an attribute is missing."""
    first, *rest = name.split(".")
    plugin = next((plugin for plugin in in_use() if plugin.name == first), None)
    if plugin:
        found, where = plugin.module, plugin.shown
    else:
        found, rest = _imported(name, option)
        where = found.__name__
    for attribute in rest:
        if not hasattr(found, attribute):
            known = [word for word in dir(found) if not word.startswith("_")]
            near = get_close_matches(attribute, known, n=1)
            hint = f": did you mean {near[0]!r}?" if near else ": mend the name"
            raise UserError(f"{option} {name}: {where} has no {attribute!r}{hint}")
        found, where = getattr(found, attribute), f"{where}.{attribute}"
    return found


def _imported(name: str, option: str) -> tuple[Any, list[str]]:
    """The innermost module that a dotted name has, and the rest of the name."""
    parts, found = name.split("."), None
    for length in range(1, len(parts) + 1):
        module = ".".join(parts[:length])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise UserError(
                    f"{option} {name}: {module} needs the module {error.name}, which is not here: "
                    "install it"
                ) from error
            if found is None:
                raise UserError(
                    f"{option} {name}: there is no module {module!r} here: install it, or bring it "
                    f"in a file of your own, with --plugin FILE.py and {option} FILE.NAME"
                ) from error
            return found, parts[length - 1 :]
        except Exception as error:
            raise UserError(
                f"{option} {name}: importing {module} raised {type(error).__name__}"
            ) from error
    return found, []


def _estimator(name: str, found: Any, option: str) -> Any:
    """The estimator that a class, an instance or a function gives. Raises UserError if none."""
    estimator = found
    if inspect.isclass(found) or inspect.isroutine(found):
        if needed := _needed_arguments(found):
            raise UserError(
                f"{option} {name} needs arguments ({', '.join(needed)}): make one of it in a file "
                f"of your own, as model = ..., and give --plugin FILE.py and {option} FILE.model"
            )
        try:
            estimator = found()
        except Exception as error:
            raise UserError(
                f"{option} {name} cannot be made without arguments: it raised "
                f"{type(error).__name__}"
            ) from error
    check_estimator(
        estimator,
        f"{option} {name}",
        mend="in a file of your own, wrap it in sklearn.calibration's CalibratedClassifierCV, as "
        f"model = ..., and give --plugin FILE.py and {option} FILE.model",
    )
    return estimator


def _needed_arguments(found: Any) -> list[str]:
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):  # some that are written in C tell nothing
        return []
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind not in optional
    ]


def _is_classifier(estimator: Any) -> bool:
    """Whether scikit-learn takes it for a classifier."""
    try:
        return bool(is_classifier(estimator))
    except Exception:  # any object can pretend
        return False


def _origin(part: Any, distributions: Mapping[str, list[str]]) -> tuple[str, str] | None:
    """What a part of an estimator comes from: a library and its version, or a file of one's own and
    its sha256. None for what comes with Python."""
    module = getattr(part, "__module__", None) or type(part).__module__
    for plugin in in_use():
        if plugin.module_name == module:
            return f"{plugin.name}.py", plugin.sha256
    top = module.split(".")[0]
    if top in distributions:
        return distributions[top][0], version(distributions[top][0])
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file or top in sys.stdlib_module_names:
        return None
    return module, sha256(Path(file).read_bytes()).hexdigest()
