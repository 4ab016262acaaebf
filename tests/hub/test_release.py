"""What a release is made of: dependency bounds, workflows, release notes."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import modeling_docre

REPOSITORY = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))

spec = importlib.util.spec_from_file_location("release_notes", REPOSITORY / ".github" / "release_notes.py")
release = importlib.util.module_from_spec(spec)
spec.loader.exec_module(release)

CHANGELOG = """# Changelog

## [Unreleased]

- later

## [1.10.0] - 2026-01-02

### Added

- this

## [1.1.0]

- before

[1.1.0]: https://example.org
"""


def test_the_oldest_constraints_are_the_lower_bounds():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    bounds = dict(item.split(">=") for item in project["dependencies"])
    lines = (REPOSITORY / "constraints-oldest.txt").read_text().splitlines()
    assert dict(line.split("==") for line in lines if not line.startswith("#")) == bounds


def test_the_locked_versions_fulfil_the_bounds():
    def number(version: str) -> tuple[int, ...]:
        return tuple(map(int, re.findall(r"\d+", version)))

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    locked = dict(line.lower().split("==") for line in (REPOSITORY / "constraints.txt").read_text().splitlines())
    locked = {name.replace("_", "-"): version for name, version in locked.items()}
    for name, bound in (item.split(">=") for item in project["dependencies"]):
        assert number(locked[name]) >= number(bound), name


def test_workflows_pin_their_actions_and_ask_for_few_rights():
    assert WORKFLOWS
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {"contents": "read"}, path
        steps = [step for job in workflow["jobs"].values() for step in job.get("steps", [])]
        actions = [step["uses"] for step in steps if "uses" in step]
        assert actions, path
        for action in actions:
            assert re.fullmatch(r"[\w/-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})", action), action
        for file in re.findall(r"constraints[\w-]*\.txt", path.read_text()):
            assert (REPOSITORY / file).is_file(), (path, file)


def test_the_matrix_covers_what_is_supported():
    jobs = yaml.safe_load((REPOSITORY / ".github/workflows/tests.yml").read_text())["jobs"]
    rows = jobs["tests"]["strategy"]["matrix"]["include"]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    named = {line.split(" :: ")[-1] for line in project["classifiers"] if ":: Python :: 3." in line}
    assert {row["python"] for row in rows} == named == {"3.11", "3.12", "3.13"}
    assert {row["dependencies"] for row in rows} == {"locked", "newest", "oldest"}


def test_the_package_has_one_version():
    path = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["version"]["path"]
    stated = release.PACKAGE_FILE.read_text(encoding="utf-8")
    assert REPOSITORY / path == release.PACKAGE_FILE
    assert f'\n__version__ = "{modeling_docre.__version__}"\n' in stated
    assert release.release_notes(modeling_docre.__version__, f"## [{modeling_docre.__version__}]\n\nthis\n", stated)


def test_release_notes_are_the_section_of_the_version():
    assert release.release_notes("1.10.0", CHANGELOG, '__version__ = "1.10.0"\n') == "### Added\n\n- this"
    assert release.release_notes("1.1.0", CHANGELOG, '__version__ = "1.1.0"\n') == "- before"
    with pytest.raises(ValueError, match="no section"):
        release.release_notes("2.0.0", CHANGELOG, '__version__ = "2.0.0"\n')
    with pytest.raises(ValueError, match="set both"):
        release.release_notes("1.1.0", CHANGELOG, '__version__ = "1.10.0"\n')
