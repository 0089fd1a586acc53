"""Every module has its floor, and imports go downwards only (docs/architecture.md).

All imports count, those inside functions too: they are read from the syntax trees.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import ROOT

FLOORS: tuple[tuple[str, ...], ...] = (
    ("common", "numerics"),
    ("models", "data_prep"),
    ("influence", "data_utils"),
    ("strategies", "streaming"),
    ("experiments",),
    ("labeling", "llm", "studies"),
    ("main_binary", "main_multi", "main_llm", "compare", "explore", "label"),
)
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS, start=1) for name in names}
NOT_OF_THE_HOUSE = {"tests"}  # a package that nothing imports


def modules(root: Path) -> dict[str, Path]:
    """Every module of the house by its dotted name."""
    found = {path.stem: path for path in root.glob("*.py")}
    for package in root.glob("*/__init__.py"):
        if package.parent.name not in NOT_OF_THE_HOUSE:
            for path in package.parent.rglob("*.py"):
                name = ".".join(path.relative_to(root).with_suffix("").parts)
                found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, known: set[str]) -> Iterator[str]:
    """The modules of the house that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield f"a relative import in line {node.lineno}"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                if inside in known:
                    yield inside
                elif node.module in known:
                    yield node.module


def breaches(root: Path) -> list[str]:
    """What breaks the rules of the house, a sentence each."""
    if (root / "datasets" / "__init__.py").exists():
        return ["datasets/__init__.py would hide Hugging Face's datasets"]
    paths = modules(root)
    graph = {name: set(imports(path, set(paths))) for name, path in sorted(paths.items())}
    found = []
    for name, imported in graph.items():
        home = name.split(".")[0]
        if home not in FLOOR_OF:
            found.append(f"{name} has no floor")
            continue
        for other in sorted(imported):
            there = other.split(".")[0]
            if other.startswith("a relative import"):
                found.append(f"{name}: {other}")
            elif there != home and FLOOR_OF.get(there, 99) >= FLOOR_OF[home]:
                found.append(f"{name} (floor {FLOOR_OF[home]}) imports {other}")
    return found + [f"a circle: {' → '.join(circle)}" for circle in circles(graph)]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The first circle that a walk from each module meets, if any."""
    done: set[str] = set()
    found = []

    def walk(name: str, way: list[str]) -> None:
        if name in way:
            found.append([*way[way.index(name) :], name])
        elif name not in done:
            for other in sorted(graph.get(name, ())):
                walk(other, [*way, name])
            done.add(name)

    for name in graph:
        walk(name, [])
    return found


def test_the_house_keeps_its_floors():
    assert breaches(ROOT) == []


def test_nine_modules_lie_at_the_root():
    assert sorted(path.stem for path in ROOT.glob("*.py")) == sorted(
        name for name in FLOOR_OF if not (ROOT / name).is_dir()
    )
    assert len(list(ROOT.glob("*.py"))) == 9


def test_every_package_says_what_it_is_and_nothing_else():
    for name in FLOOR_OF:
        init = ROOT / name / "__init__.py"
        if init.parent.is_dir():
            (only,) = ast.parse(init.read_text(encoding="utf-8")).body
            assert isinstance(only, ast.Expr), init


@pytest.mark.parametrize(
    ("files", "breach"),
    [
        (
            {"models.py": "import influence", "influence.py": ""},
            "models (floor 2) imports influence",
        ),
        (
            {"llm/__init__.py": "", "labeling/__init__.py": "", "llm/a.py": "import labeling"},
            "llm.a (floor 6) imports labeling",
        ),
        (
            {"models.py": "def f():\n    from strategies import base", "strategies/__init__.py": "",
             "strategies/base.py": ""},
            "models (floor 2) imports strategies.base",
        ),
        (
            {"common/__init__.py": "", "common/a.py": "from common.b import x",
             "common/b.py": "def f():\n    import common.a"},
            "a circle: common.a → common.b → common.a",
        ),
        ({"newcomer.py": ""}, "newcomer has no floor"),
        ({"package/__init__.py": ""}, "package has no floor"),
        (
            {"common/__init__.py": "", "common/a.py": "from . import b"},
            "common.a: a relative import",
        ),
        ({"datasets/__init__.py": ""}, "datasets/__init__.py would hide"),
    ],
)  # fmt: skip
def test_each_breach_is_found(files, breach, tmp_path):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert any(sentence.startswith(breach) for sentence in breaches(tmp_path))


# --- sizes, and the tests ------------------------------------------------------------------------

MOST_LINES, MOST_FUNCTION_LINES = 400, 60


def test_modules_and_functions_are_short():
    too_long = []
    for name, path in modules(ROOT).items():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > MOST_LINES:
            too_long.append(name)
        too_long += [
            f"{name}.{node.name}"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.end_lineno - node.lineno >= MOST_FUNCTION_LINES
        ]
    assert too_long == []


def test_no_test_imports_another_test():
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom | ast.Import):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [alias.name for alias in node.names]
                assert not any(part.startswith("test_") for n in names for part in n.split(".")), (
                    path.name,
                    names,
                )
