"""What code a checkpoint takes along: few files of the package's root, and nothing that trains, pushes or draws."""

from __future__ import annotations

import re
from pathlib import Path

from pipelines import build
from tiny import TINY

import modeling_docre
from modeling_docre import SYSTEMS

ROOT = Path(modeling_docre.__file__).parent
FILES, LINES = 30, 5576
IMPORT = re.compile(r"^\s*from\s+(\S*)\s+import\b|^\s*import\s+(\S+)", re.MULTILINE)
OF_OTHER_ROOMS = re.compile(
    r"\b(HfApi|upload_folder|upload_file|create_commit|create_repo|ModelCard|EvalResult|jinja2|Trainer|TrainingArguments|"
    r"TrainerCallback|Dataset|networkx|argparse)\b"
)


def code_of(system: str, folder: Path) -> dict[str, str]:
    """The text of each file of code in the folder of a saved pipeline, by name."""
    build(TINY[system]()).save_pretrained(folder)
    return {file.name: file.read_text(encoding="utf-8") for file in folder.rglob("*.py")}


def test_a_checkpoint_takes_along_little_code_and_only_that_of_its_system(tmp_path: Path) -> None:
    travelling = set()
    for system in SYSTEMS:
        files = code_of(system, tmp_path / system)
        travelling |= files.keys()
        lines = sum(len(text.splitlines()) for text in files.values())
        assert {f"modeling_{system}.py", f"configuration_{system}.py", "pipeline_docre.py"} <= files.keys()
        assert len(files) <= FILES and lines <= LINES, f"{system}: {len(files)} files, {lines} lines"
        for name, text in files.items():
            assert text == (ROOT / name).read_text(encoding="utf-8"), f"{name} is not the root's"
            modules = [relative or absolute for relative, absolute in IMPORT.findall(text)]
            assert not [module for module in modules if module.startswith("modeling_docre")], name
            ours = [module for module in modules if module.startswith(".")]
            assert all(f"{module[1:]}.py" in files for module in ours), f"{name} imports {ours}"
            code = re.sub(r'"""[\s\S]*?"""|#.*', "", text)
            assert not (found := OF_OTHER_ROOMS.search(code)), f"{name} names {found and found[0]}"
    assert travelling == {file.name for file in ROOT.glob("*.py")} - {"__init__.py", "__main__.py"}
