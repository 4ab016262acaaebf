"""The examples of a Markdown page: its fenced blocks, what they should print, and why some are not run."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = re.compile(
    r"^(?:<!-- not run: ?(?P<reason>.*?) ?-->\n)?^```(?P<language>[^\n`]*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# Not examples: directives of Sphinx, and what is data or output.
DATA = ("text", "json", "yaml", "bibtex")


@dataclass
class Example:
    """A block of code on a page.

    `output` is the block of text right behind it, which it should print; `reason` says why it is not run.
    """

    page: str
    line: int
    language: str
    code: str
    reason: str | None = None
    output: str | None = None

    @property
    def place(self) -> str:
        """Page and line, for messages."""
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command of a shell block, without comments."""
        lines = self.code.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


@dataclass
class Page:
    """A page with its examples in order, and its blocks of other languages."""

    name: str
    examples: list[Example] = field(default_factory=list)
    data: list[Example] = field(default_factory=list)


def read_page(file: Path, name: str) -> Page:
    """The examples of a page.

    Raises:
        ValueError: a block has no language, or a reason not to run it is empty.
    """
    text, page, behind = file.read_text(encoding="utf-8"), Page(name), -1
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        language, code, reason = found["language"], found["code"], found["reason"]
        if reason == "":
            raise ValueError(f"{name}:{line} is not run and gives no reason")
        if not language:
            raise ValueError(f"{name}:{line} has no language")
        block = Example(name, line, language, code, reason)
        if language == "text" and page.examples and not text[behind : found.start()].strip():
            page.examples[-1].output = code
        elif language in DATA:
            page.data.append(block)
        elif not language.startswith("{"):
            page.examples.append(block)
        behind = found.end()
    return page
