"""Prints the section of a version in CHANGELOG.md: `python .github/release_notes.py 1.2.3`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE_FILE = REPOSITORY / "modeling_docre" / "configuration_limits.py"


def release_notes(version: str, changelog: str, package: str) -> str:
    """What the changelog says about a version.

    Args:
        version: the version that is released, e.g. `1.2.3`.
        changelog: the text of CHANGELOG.md.
        package: the text of the file that states the package's version.

    Raises:
        ValueError: the package is of another version, or the changelog says nothing about this one.
    """
    stated = re.search(r'^__version__ = "(.*)"$', package, re.MULTILINE)
    if stated is None or stated[1] != version:
        raise ValueError(f"the tag says {version}, __version__ {stated and stated[1]}; set both to the same")
    section = re.search(
        rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## |^\[[^\]\n]+\]: |\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    if section is None or not section[1].strip():
        raise ValueError(f"CHANGELOG.md has no section [{version}]; rename [Unreleased] and date it")
    return section[1].strip()


if __name__ == "__main__":
    files = [REPOSITORY / "CHANGELOG.md", PACKAGE_FILE]
    try:
        print(release_notes(sys.argv[1], *(file.read_text(encoding="utf-8") for file in files)))
    except ValueError as error:
        sys.exit(str(error))
