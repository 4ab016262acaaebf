"""Every text file is read and written in UTF-8, whatever the locale says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDERS = ("modeling_docre", "dataset_scripts", "metrics", "benchmarks", "spaces", ".github", ".ci")
SOURCES = [*REPOSITORY.glob("*.py"), *(file for folder in FOLDERS for file in (REPOSITORY / folder).rglob("*.py"))]
# Where the mode stands among the arguments, by the name that is called; of `Path.open` it is the first.
MODE = {"open": 1, "fdopen": 1, "NamedTemporaryFile": 0, "TemporaryFile": 0, "TextIOWrapper": None}


def calls_in_the_locale(tree: ast.Module) -> Iterator[ast.Call]:
    """Calls that open a text file, or decode what a process writes, without naming an encoding."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(word.arg in ("encoding", None) for word in node.keywords):
            continue
        if _reads_or_writes_text(node):
            yield node


def _reads_or_writes_text(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    words = {word.arg: word.value for word in call.keywords}
    if name == "read_text":
        return not call.args
    if name == "write_text":
        return len(call.args) < 2
    if name in ("run", "Popen", "check_output"):
        return any(getattr(words.get(key), "value", False) is True for key in ("text", "universal_newlines"))
    if name not in MODE:
        return False
    place = MODE[name]
    if name == "open" and isinstance(call.func, ast.Attribute):
        module = getattr(call.func.value, "id", "")
        place = 1 if module in ("gzip", "io") else 0
        if module == "gzip" and len(call.args) < 2 and "mode" not in words:
            return False  # it is binary unless a mode says otherwise
        if place == 0 and call.args and not isinstance(call.args[0], ast.Constant):
            return False  # the member of an archive, which is always binary
    if place is None:
        return True
    mode = words.get("mode", call.args[place] if len(call.args) > place else None)
    return not (isinstance(mode, ast.Constant) and "b" in str(mode.value))


def test_sources_name_the_encoding_of_every_text_file() -> None:
    wrong = [
        f"{file.relative_to(REPOSITORY)}:{call.lineno}: {ast.unparse(call)[:80]}"
        for file in SOURCES
        for call in calls_in_the_locale(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert not wrong, "\n".join(wrong)
