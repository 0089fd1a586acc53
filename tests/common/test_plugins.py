"""Plugins: what they bring is known everywhere, and each mistake in them ends in one line."""

import numpy as np
import pytest

import main_binary
from common.errors import UserError
from common.plugins import blamed, in_use, use_files
from data_utils import load
from experiments.listing import data_sets_and_strategies, use_plugins
from experiments.loop import run
from experiments.store import method_code
from models import LogisticRegression
from strategies.registry import (
    REFERENCES,
    STRATEGIES,
    VALIDATION_FORMS,
    chosen_methods,
    code_of,
    titles,
)
from studies.bench import Bench
from studies.registry import STUDIES
from tests.helpers import error_of, split_of, strict

HEAD = """
import numpy as np
from common.kinds import LabelSource
from data_prep.catalogue import Dataset
from strategies.base import Picks, Reference, highest, strategy
from studies.base import Finding, study

"""
STRATEGY = """
@strategy("Mine", "a strategy", labels=LabelSource.{labels})
def {name}(query):
    return {answer}

STRATEGIES = [{name}]
"""


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Saves a plugin as mine.py in the current folder, which is not the project's."""
    monkeypatch.chdir(tmp_path)

    def save(code: str, name: str = "mine.py"):
        (tmp_path / name).write_text(HEAD + code)
        return tmp_path / name

    return save


def strategy(answer: str, labels: str = "TRUE", name: str = "mine") -> str:
    return STRATEGY.format(answer=answer, labels=labels, name=name)


def test_what_a_plugin_brings_is_known_by_name_until_another_command(saved):
    first_three = strategy("Picks(np.arange(3), None, np.zeros(3))")
    path = saved(
        f"{first_three}\nREFERENCES = [Reference('only', 'Only', 's', lambda split: split.labeled)]"
    )
    use_plugins([path])
    assert {"mine", "only", "mine+validation"} <= titles().keys()
    assert set(chosen_methods(("all",))) >= {"mine", "only"}
    assert list(STRATEGIES)[:2] == ["random", "entropy"]
    assert "Mine" in data_sets_and_strategies()
    assert code_of("mine+validation") == code_of("only") == path.read_bytes()
    assert code_of("random") == b""
    settings = strict(rounds=1, budget=3)
    split = split_of("breast_cancer")
    picks = run(split, "mine", settings, 0).picks
    assert [pick.row for pick in picks] == split.rows[split.pool[:3]].tolist()
    assert run(split, "mine+validation", settings, 0).curve[0].labels_validation > 0
    flat = run(split, "only", settings, 0).curve  # the labeled rows, fitted again
    assert flat[1].test_accuracy == flat[0].test_accuracy
    kept = method_code("mine"), method_code("random")
    path.write_text(path.read_text() + "# changed")
    use_plugins([path])
    assert method_code("mine") != kept[0]  # its runs are made anew
    assert method_code("random") == kept[1]
    use_plugins([])
    assert not {"mine", "only", "mine+validation"} & titles().keys()
    assert "mine+validation" not in VALIDATION_FORMS


# --- files that cannot be used --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def f(:\n", "mine.py, line 8: this is not Python"),
        ("\nunknown", "mine.py, line 9: NameError"),
        ("raise SystemExit", "mine.py, line 8: SystemExit"),
        ("import no_such_library", "line 8: there is no module no_such_library here"),
        ("import beside", "one file, it cannot import beside.py"),
        ("x = 1", r"brings nothing: .*STRATEGIES = \[...\]"),
        ("STRATEGIES = 3", "STRATEGIES is of type int: make it a list"),
        ("STRATEGIES = [len]", r"STRATEGIES\[0\] is of type builtin.*should be a Strategy of"),
        ("STUDIES = [Dataset]", r"STUDIES\[0\] is of type type: each entry should be a Study of"),
        (strategy("0", name="random"), "the name random is taken, the project has a method"),
        (strategy("0") + "REFERENCES = [Reference('mine', 'T', 's', len)]", "mine is taken, mine"),
        (strategy("0").replace("Mine", "Random"), "the title 'Random' of mine is taken, random"),
        ("DATASETS = [Dataset('bank', 'B', 2, 's', 'l')]", "bank is taken"),
        ("DATASETS = [Dataset('all', 'B', 2, 's', 'l')]", "uses this word itself"),
        ("DATASETS = [Dataset('a b', 'B', 2, 's', 'l')]", "'a b': the command line cannot name"),
        ("DATASETS = [Dataset('a:b', 'B', 2, 's', 'l')]", "'a:b': the command line cannot name"),
        ("DATASETS = [Dataset('a', '', 2, 's', 'l')]", "'a' needs a title"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_a_sentence(code, message, saved):
    saved("", "beside.py")
    with pytest.raises(UserError, match=message):
        use_plugins([saved(code)])


def test_a_path_that_names_no_plugin_is_told(saved, tmp_path):
    twice = [saved(strategy("0")), tmp_path / "other" / "mine.py"]
    twice[1].parent.mkdir()
    twice[1].write_text(twice[0].read_text())
    for paths, message in (
        ([tmp_path / "none.py"], "does not exist"),
        ([tmp_path / "mine.txt"], "its name should end in .py"),
        (twice, "have the same name"),
    ):
        with pytest.raises(UserError, match=message):
            use_files(paths)


# --- broken contracts -----------------------------------------------------------------------------

ROWS = "np.arange(3)"


@pytest.mark.parametrize(
    ("answer", "labels", "message"),
    [
        ("Picks(np.arange(2), None, np.zeros(2))", "TRUE", "3 different rows, it picked 2"),
        ("Picks(np.zeros(3, int), None, np.zeros(3))", "TRUE", "different rows, it picked 1"),
        (f"Picks({ROWS} - 1, None, np.zeros(3))", "TRUE", "rows must be 0 to "),
        (f"Picks({ROWS} / 1, None, np.zeros(3))", "TRUE", "a vector of whole numbers"),
        (f"Picks({ROWS}, None, np.zeros(3))", "OWN", "it gave no labels, .*labels='own'"),
        (f"Picks({ROWS}, {ROWS}, np.zeros(3))", "TRUE", "it gave labels, .*labels='true'"),
        (f"Picks({ROWS}, {ROWS}, np.zeros(3))", "OWN", "gave the label 2, the classes are 0, 1"),
        (f"Picks({ROWS}, [0, 1], np.zeros(3))", "OWN", "labels must be a vector of 3"),
        (f"Picks({ROWS}, None, np.zeros(2))", "TRUE", "scores must be a vector of 3"),
        (f"Picks({ROWS}, None, None)", "TRUE", "scores must be a vector of 3"),
        (
            f"Picks({ROWS}, None, np.zeros(3), np.zeros(3))",
            "TRUE",
            "benefits must have 3 rows and 2",
        ),
        (f"({ROWS}, None, np.zeros(3))", "TRUE", "it must return Picks, not tuple"),
        ("1 / 0", "TRUE", "it raised ZeroDivisionError"),
        ("highest('x', 3)", "TRUE", "it raised TypeError"),
        ("np.linalg.inv(np.zeros((2, 2)))", "TRUE", "it raised LinAlgError"),
        ("Picks([[1], [2, 3]], None, None)", "TRUE", "it raised ValueError"),
    ],
)
def test_a_strategy_of_a_plugin_that_breaks_the_contract_is_the_users_to_mend(
    answer, labels, message, saved
):
    use_plugins([saved(strategy(answer, labels))])
    line = ", line 11" if "raised" in message and "[[" not in answer else ""
    told = f"^mine.py{line}: strategy mine, round 1, seed 4: .*{message}"
    with pytest.raises(UserError, match=told):
        run(split_of("breast_cancer"), "mine", strict(rounds=1, budget=3), 4)


def test_a_system_that_this_program_cannot_solve_keeps_its_own_message(saved):
    """As for its own strategies: the message says what helps, and the plugin is not at fault."""
    use_plugins([saved(strategy("0"))])
    twins = np.repeat(np.arange(6.0)[:, None], 2, axis=1)
    with pytest.raises(np.linalg.LinAlgError), blamed(in_use()[0], "strategy mine"):
        LogisticRegression(1e-300).fit(twins, np.array([0, 1] * 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("lambda split: split.pool / 1", "a vector of whole numbers"),
        ("lambda split: split.test", "rows must be of the labeled set, the pool"),
        ("lambda split: split.pool[:1]", "its rows have none of class"),
        ("lambda split: split.nothing", "it raised AttributeError"),
        ("lambda split: split.pool, False, lambda query: query.left * 0", "it labels the pool"),
        ("lambda split: split.pool, False, lambda query: [3]", "labels must be a vector of"),
        ("lambda split: split.pool, False, lambda query: 1 / 0", "it raised ZeroDivisionError"),
    ],
)
def test_a_reference_of_a_plugin_that_breaks_the_contract_is_told(arguments, message, saved):
    use_plugins([saved(f"REFERENCES = [Reference('mine', 'Mine', 'told', {arguments})]")])
    with pytest.raises(
        UserError, match=f"^mine.py.*: reference mine, round 1, seed 0: .*{message}"
    ):
        run(split_of("breast_cancer"), "mine", strict(rounds=1, budget=3), 0)
    assert "mine" in REFERENCES


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("1 / 0", "mine.py, line 9: data set mine: it raised ZeroDivisionError"),
        ("[[1.0]], [0, 1]", "mine.py: data set mine must have X"),
        ("[[1.0], [np.nan]], [0, 1]", "must have finite numbers in X"),
        ("[['a'], ['b']], [0, 1]", "it raised "),
    ],
)
def test_a_data_set_of_a_plugin_that_cannot_be_read_is_told(body, message, saved):
    code = f"def read(return_X_y):\n    return {body}\n"
    use_plugins([saved(f"{code}DATASETS = [Dataset('mine', 'M', 2, 's', 'l', bundled=read)]")])
    with pytest.raises(UserError, match=message):
        load("mine")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("bench.records(rows)", "mine.py, line 9: study mine, seed 3: it raised ZeroDivisionError"),
        ("None", "mine.py: study mine must return a Finding, not NoneType"),
        ("Finding(None, None, ())", "mine.py: study mine must find a matplotlib figure"),
        ("bench.nothing", "mine.py, line 13: study mine: it raised AttributeError"),
    ],
)
def test_a_study_of_a_plugin_that_breaks_is_told(body, message, saved):
    code = "def rows(bench, split, seed):\n    yield 1 / 0\n\n"
    code += f"@study('M', 'shows')\ndef mine(bench):\n    return {body}\n\nSTUDIES = [mine]\n"
    use_plugins([saved(code)])
    bench = Bench(load("breast_cancer"), "strict", (3,), 60, study="mine")
    with pytest.raises(UserError, match=message):
        STUDIES["mine"](bench)


def test_on_the_command_line_a_mistake_is_one_line_with_exit_code_2(saved, tmp_path, capsys):
    saved(strategy("1 / 0"))
    command = "--plugin mine.py --methods mine --dataset breast_cancer --quiet --out".split()
    assert main_binary.main([*command, str(tmp_path)]) == 2
    assert error_of(capsys).endswith("line 11: strategy mine, round 1, seed 0: it raised "
                                     "ZeroDivisionError: mend the plugin")  # fmt: skip
