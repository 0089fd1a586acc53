"""The command line of every script: options as a dataclass, Ctrl-C and exit codes.

Exit codes: 0, done; 2, a mistake that the user can mend, or an answer that could not be printed,
told in one line; 3, label.py advises against the labels; 130, stopped by Ctrl-C.
Only the standard library is imported here, so that a mistake in the options is told at once.
"""

import argparse
import errno
import gc
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

from common.ctrl_c import ctrl_c_again, may_be_handled
from common.errors import UserError
from common.escape import plain, shorten_path, terminal
from common.kinds import ModelKind, PenaltyRule
from common.printing import careful_streams

# How libraries say that the system has no more memory or threads for them.
SHORT = re.compile(
    r"(?i)out of memory|not enough memory|(?:cannot|can't) allocate|excessive memory usage"
    r"|failed to map segment|can't start new thread|error return without exception set"
)
OF_LIBRARIES = ("TQDM_", "LOKY_", "JOBLIB_", "SKLEARN_", "OMP_", "MKL_", "TORCH_", "HF_")
NOTHING_KEPT = "no result was changed"  # what Ctrl-C says, unless ``told_if_stopped`` knows better


def run_command(
    prog: str,
    defaults: Any,
    action: Callable[[Any, dict[str, Any]], int | None],
    argv: Sequence[str] | None = None,
) -> int:
    """Read the options, run ``action(options, given)`` and return the exit code.

    action : may return an exit code of its own; None is 0.
    defaults : an instance of the script's options class. given : the options that the user set, by
    name.
    """
    with careful_streams() as out, quiet_numbers():
        code = _exit_code(prog, defaults, action, argv)
        out.flush()
        if out.failure and code in (0, 3):  # in other cases a line has been printed
            print(
                "error: standard output did not take the whole answer "
                f"({out.failure}); files are written all the same",
                file=sys.stderr,
            )
        return code or (2 if out.failure else 0)


def _exit_code(
    prog: str,
    defaults: Any,
    action: Callable[[Any, dict[str, Any]], int | None],
    argv: Sequence[str] | None,
) -> int:
    before = sys.argv
    if argv is not None:  # called from Python: run.json is to record this command
        sys.argv = [prog, *argv]
    try:
        with ctrl_c_again():
            return action(*parse(prog, argv, defaults)) or 0
    except SystemExit:  # of --help
        return 0
    except UserError as error:
        print(plain(f"error: {error}"), file=sys.stderr)
        return 2
    except (MemoryError, OSError, RuntimeError, ImportError, SystemError, ValueError) as error:
        words = shortage(error) or unusable_variable(error)
        if not words:
            raise
        print(plain(f"error: {words}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(_stopped(str(stop)), file=sys.stderr)
        return 130
    finally:
        sys.argv = before


def shortage(error: BaseException) -> str:
    """What the system refused, in a sentence: memory, threads, open files, a path; "" if nothing.

    Printing is not among it: ``careful_streams`` sees to that.
    """
    number, text = getattr(error, "errno", None), " ".join(str(error).split())
    if number in (errno.EMFILE, errno.ENFILE):
        return "too many files are open: raise the limit (ulimit -n), or give fewer --jobs"
    if isinstance(error, MemoryError) or number == errno.ENOMEM or SHORT.search(text):
        return "there is too little memory: close other programs, or give fewer --jobs"
    if isinstance(error, OSError):
        where = f"{shorten_path(error.filename)}: " if error.filename else ""
        return f"the system refuses: {where}{error.strerror or text}"
    return ""


def unusable_variable(error: BaseException) -> str:
    """Which variable of the environment a library could not use, in a sentence; "" if none."""
    if not isinstance(error, ValueError):
        return ""
    for name, value in os.environ.items():
        if name.startswith(OF_LIBRARIES) and value and repr(value) in str(error):
            return f"a library cannot use {name}={value} of the environment: unset it"
    return ""


def _stopped(kept: str) -> str:
    return terminal(f"\nstopped by Ctrl-C; {kept or NOTHING_KEPT}")


@contextmanager
def told_if_stopped(kept: Callable[[], str]) -> Iterator[None]:
    """Let Ctrl-C say what is kept of the work inside, in place of "no result was changed".

    kept : gives the words when Ctrl-C comes, "" if nothing is kept. Of nested ones the innermost
    that has words is heard.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(str(stop) or kept()) from None


def narrator(quiet: bool) -> Callable[[str], None]:
    """What prints a script's remarks, or with --quiet keeps silent."""
    return (lambda text: None) if quiet else (lambda text: print(terminal(text)))


@contextmanager
def quiet_numbers() -> Iterator[None]:
    """Meanwhile, libraries do not warn of numbers that overflow: the checks of results tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


@contextmanager
def interruptible_imports() -> Iterator[None]:
    """Let Ctrl-C end the program on the spot: some libraries swallow it while they load.

    They are loaded without the user's settings of matplotlib, which may be of another version.
    What they have made lasts until the end. So the garbage collector need not look at it: not while
    they load, which would take a tenth of that time, and not later, a tenth of a second each time.
    """

    def leave(*_) -> None:
        print(_stopped(""), file=sys.stderr, flush=True)
        os._exit(130)

    _ignore_settings_of_matplotlib()
    before = signal.getsignal(signal.SIGINT)
    if may_be_handled():
        signal.signal(signal.SIGINT, leave)
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if collecting:
            gc.enable()
        signal.signal(signal.SIGINT, before)


def _ignore_settings_of_matplotlib() -> None:
    """Raise UserError if a file in the current folder, which always counts, cannot be read."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # of a folder that it cannot write to
    os.environ["MPLBACKEND"] = "agg"
    os.environ["MATPLOTLIBRC"] = os.devnull
    try:
        Path("matplotlibrc").read_text("utf-8")
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise UserError(
            "the file matplotlibrc in this folder cannot be read: mend or remove it"
        ) from error


# --- options --------------------------------------------------------------------------------------


def option(default: Any, text: str, **argument: Any) -> Any:
    """A field of an options class: its default, its help text, and argparse's other arguments.

    The argument ``group`` is the heading that --help shows it under. ``flags`` are other names than
    the field's; () for the words of the command line that belong to no option.
    """
    return field(default=default, metadata={"help": text, **argument})


def same_option(options_class: type, name: str) -> Any:
    """The option ``name`` of another options class, for a class that shares it."""
    (item,) = (item for item in fields(options_class) if item.name == name)
    return field(default=item.default, metadata=item.metadata)


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is a UserError."""

    def error(self, message: str):
        raise UserError(f"{message} ({self.prog} --help lists the options)")


def parse(prog: str, argv: Sequence[str] | None, defaults: Any) -> tuple[Any, dict[str, Any]]:
    """The options, and a dict of those that the user set.

    defaults : an instance of a dataclass whose fields are made by ``option``. Raises UserError for
    a mistake in ``argv``.
    """
    parser = Parser(prog=prog, description=defaults.about, allow_abbrev=False)
    read = parser.parse_args
    groups: dict[str, Any] = {"": parser}
    for item in fields(defaults):
        argument = dict(item.metadata)
        group = argument.pop("group", "")
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        if argument.get("action", "extend") == "extend" and "choices" not in argument:
            argument["type"] = _not_empty(argument.get("type", str))
        flags = argument.pop("flags", ("--" + item.name.replace("_", "-"),))
        if flags:
            argument["dest"] = item.name
        else:  # words without an option, which may stand between the options
            flags, read = (item.name,), parser.parse_intermixed_args
        groups[group].add_argument(*flags, default=argparse.SUPPRESS, **argument)
    given = vars(read(argv))
    for item in fields(defaults):
        if item.metadata.get("action") == "append" and item.name in given:
            given[item.name] = tuple(given[item.name])
    if "methods" in given:
        given["methods"] = tuple(dict.fromkeys(chain(*given["methods"])))
    return replace(defaults, **given), given


def _not_empty(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """A converter that refuses an empty text, which would mean the default or this folder."""

    def checked(text: str) -> Any:
        if not text:
            raise argparse.ArgumentTypeError("the value is empty: give one, or leave the option")
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} cannot be used") from error

    return checked


# --- converters of option values ------------------------------------------------------------------


def whole_number(least: int) -> Callable[[str], int]:
    """A converter to whole numbers of ``least`` or more."""

    def convert(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
        return int(text)

    return convert


def positive(text: str) -> float:
    """A number above 0."""
    if not 0 < _number(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return _number(text)


def penalty(*rules: PenaltyRule) -> Callable[[str], float | PenaltyRule]:
    """A converter to numbers above 0, or to one of the rules that choose such a number."""

    def convert(text: str) -> float | PenaltyRule:
        if text in rules:
            return PenaltyRule(text)
        if not 0 < _number(text) < float("inf"):
            names = ", ".join(rules)
            raise argparse.ArgumentTypeError(f"{text!r} is neither {names} nor a number above 0")
        return _number(text)

    return convert


def not_negative(text: str) -> float:
    """A number of 0 or more."""
    if not 0 <= _number(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return _number(text)


def share(text: str) -> float:
    """A share between 0 and 1, written as 0.05 or as 5%."""
    value = _number(text[:-1]) / 100 if text.endswith("%") else _number(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share between 0 and 1, as 0.05 or 5%")
    return value


def margin_or_share(text: str) -> float | str:
    """A number of 0 or more, or a share with its sign, such as 20%, as it is."""
    if not text.endswith("%"):
        return not_negative(text)
    share(text)
    return text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def model_name(text: str) -> str:
    """A model of this project, or the dotted name of a classifier."""
    if text not in tuple(ModelKind) and not (text.count(".") and all(text.split("."))):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither {', '.join(ModelKind)} nor a dotted name such as "
            "sklearn.ensemble.RandomForestClassifier"
        )
    return text


def class_name(text: str) -> str:
    """The dotted name of a classifier."""
    if not (text.count(".") and all(text.split("."))):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no dotted name such as sklearn.ensemble.RandomForestClassifier"
        )
    return text


def seed_list(text: str) -> tuple[int, ...]:
    """Seeds written as 3, 0-19 or 0,2,5-7: ascending, each once."""
    seeds: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else not last)):
            raise argparse.ArgumentTypeError(f"{text!r} is not a seed, or a range such as 0-19")
        if dash and int(last) < int(first):
            raise argparse.ArgumentTypeError(f"the range {part!r} runs backwards")
        if int(last or first) >= 2**31 or int(last or first) - int(first) >= 10_000:
            raise argparse.ArgumentTypeError(f"{part!r}: seeds are below 2^31, at most 10,000")
        seeds.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(seeds))


def seeds_text(seeds: Sequence[int]) -> str:
    """Seeds as ``seed_list`` reads them: 0-9, or 0,3,5."""
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))


def seeds_words(seeds: Sequence[int]) -> str:
    """Seeds in a sentence: seed 0, or seeds 0-9."""
    return f"seed{'s' * (len(seeds) > 1)} {seeds_text(seeds)}"


def name_list(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing")
    return names
