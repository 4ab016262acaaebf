"""The pages for readers: every example runs, every link leads somewhere, the picture is what the package draws."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from hub_processes import environment
from hub_server import running_hub
from markdown_examples import Example, Page, read_page

from modeling_docre import Document

REPOSITORY = Path(__file__).resolve().parents[2]
# `docs/sharing.md` pushes the model that later pages load.
FILES = sorted(
    [
        *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
        REPOSITORY / "recipes" / "README.md",
        *(REPOSITORY / "docs").rglob("*.md"),
    ],
    key=lambda file: (file.stem != "sharing", file),
)
LANGUAGES = {"python", "sh"}
NUMBER = re.compile(r"-?\d+\.\d+")
# Small models in place of those that the pages train, one of them on the Hub.
PREPARE = """
import docre_spacy  # as spaCy does by the entry point of an installed package
from tiny import save_tiny, tiny_atlop, tiny_tokenizer
from modeling_docre.hub.push import push_folder

save_tiny("outputs/jerex_sample", entity_types=["LOC", "MISC", "ORG", "PER", "TIME"], relation_types=["P108"])
save_tiny("outputs/mine", entity_types=["LOC", "PER"], relation_types=["residence"])
tiny_atlop(entity_types=["LOC", "MISC", "PER"]).save_pretrained("outputs/atlop_sample")
tiny_tokenizer().save_pretrained("outputs/atlop_sample")
push_folder("outputs/jerex_sample", "organisation/name")
"""


@pytest.fixture(scope="module")
def pages() -> list[Page]:
    pages = [read_page(file, file.relative_to(REPOSITORY).as_posix()) for file in FILES]
    recipes = next(page for page in pages if page.name == "recipes/README.md")
    recipes.examples += table_of_recipes((REPOSITORY / recipes.name).read_text(encoding="utf-8"))
    return pages


def table_of_recipes(text: str) -> list[Example]:
    """The trainings that the last column of a table names, by recipe and options."""
    recipes = {file.stem for file in (REPOSITORY / "recipes").glob("*.yaml")}
    examples = []
    for number, line in enumerate(text.splitlines(), start=1):
        spans = re.findall(r"`([^`]+)`", line.split("|")[-2]) if line.startswith("| ") else []
        trainings = [f"docre train {span}\n" for span in spans if span.split()[0] in recipes]
        if trainings:
            examples.append(Example("recipes/README.md", number, "sh", "".join(trainings)))
    return examples


@pytest.fixture(scope="module")
def folder(pages, tmp_path_factory) -> Path:
    """Where the examples run, with what they read."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("recipes", "checkpoints", "docs"):
        (folder / name).symlink_to(REPOSITORY / name)
    blocks = {block.language: block.code for page in pages if page.name == "docs/training.md" for block in page.data}
    (folder / "mine.yaml").write_text(blocks["yaml"], encoding="utf-8")
    (folder / "dev.json").write_text(json.dumps([json.loads(blocks["json"])]), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def results(pages, folder) -> dict[str, dict[str, str]]:
    """What each example printed, or how it failed, by its place; all of them share one process."""
    work = [[Example("preparation", 1, "python", PREPARE)], *map(run, pages)]
    listed = [[asdict(item) | {"place": item.place, "commands": commands(item)} for item in items] for items in work]
    (folder / "work.json").write_text(json.dumps(listed), encoding="utf-8")
    with running_hub() as hub:
        variables = environment(hub, folder / "home") | {"HF_TOKEN": "hf_of_a_test"}
        variables["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests" / "support")])
        script = str(REPOSITORY / "tests" / "support" / "run_examples.py")
        command = [sys.executable, script, "work.json", "results.json"]
        done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert "failed" not in results["preparation:1"], results["preparation:1"]["failed"]
    return results


def run(page: Page) -> list[Example]:
    return [item for item in page.examples if item.reason is None]


def commands(example: Example) -> list[list[str]]:
    return example.commands if example.language == "sh" else []


def close(printed: str, expected: str) -> bool:
    """Whether two outputs have the same words, and numbers that differ by no more than another machine makes them."""
    numbers = [[float(text) for text in NUMBER.findall(output)] for output in (printed, expected)]
    words = [NUMBER.sub("#", output).split() for output in (printed, expected)]
    return words[0] == words[1] and all(abs(one - other) < 0.011 for one, other in zip(*numbers, strict=True))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(REPOSITORY).as_posix())
def test_examples_run_and_print_what_the_page_says(file, pages, results):
    page = next(page for page in pages if page.name == file.relative_to(REPOSITORY).as_posix())
    for example in run(page):
        assert example.language in LANGUAGES, f"{example.place} is {example.language}; write python or sh"
        result = results[example.place]
        assert "failed" not in result, f"{example.place}\n{result['failed']}"
        if example.output is not None:
            assert close(result["printed"], example.output), f"{example.place} prints\n{result['printed']}"


def test_a_faulty_example_is_noticed():
    assert close("Galway | 0.90\n", "Galway | 0.91\n")
    assert not close("Galway | 0.90\n", "Galway | 0.80\n")
    assert not close("Galway | 0.90\n", "Cork | 0.90\n")


def test_a_block_needs_a_language_and_a_reason_says_something(tmp_path):
    for text, message in (
        ("```\nprint()\n```\n", "no language"),
        ("<!-- not run: -->\n```sh\nls\n```\n", "no reason"),
    ):
        (tmp_path / "page.md").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            read_page(tmp_path / "page.md", "page.md")


def test_a_page_is_read_into_its_examples(tmp_path):
    text = "```python\nprint(1)\n```\n\n```text\n1\n```\n\n<!-- not run: too long -->\n```sh\nls \\\n  -l # all\n```\n"
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    python, shell = read_page(tmp_path / "page.md", "page.md").examples
    assert (python.code, python.output, python.reason, python.line) == ("print(1)\n", "1\n", None, 1)
    assert (shell.commands, shell.output, shell.reason) == ([["ls", "-l"]], None, "too long")


def test_the_tables_of_recipes_name_trainings(pages):
    recipes = next(page for page in pages if page.name == "recipes/README.md")
    trainings = [words for example in recipes.examples for words in example.commands]
    assert ["docre", "train", "kmgre_dwie", "--data_dir", "data/dwie"] in trainings and len(trainings) > 30


def test_documents_on_the_pages_are_valid(pages):
    documents = [block for page in pages for block in page.data if block.language == "json"]
    assert documents
    for block in documents:
        Document.from_dict(json.loads(block.code))


def test_links_lead_somewhere():
    for file in FILES:
        text = re.sub(r"^```.*?^```$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            if "://" in target:
                continue
            goal = (file.parent / path).resolve() if path else file
            assert goal.exists(), f"{file.name} links {target}"
            assert not anchor or anchor in anchors(goal), f"{file.name} links {target}, and there is no such heading"


def test_paths_in_the_text_exist():
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        for path in re.findall(r"`((?:benchmarks|checkpoints|docs|metrics|recipes|spaces|tests)/[\w./]*)`", text):
            assert (REPOSITORY / path).exists(), f"{file.name} names {path}"


def anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_site():
    index = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (REPOSITORY / "docs").rglob("*.md"):
        name = page.relative_to(REPOSITORY / "docs").with_suffix("").as_posix()
        assert name == "index" or f"\n{name}\n" in index, f"{name} is in no table of contents"


def test_the_picture_is_what_the_index_draws(folder, results):
    shown = (REPOSITORY / "docs" / "images" / "graph.svg").read_text(encoding="utf-8")
    assert labels((folder / "norway.svg").read_text(encoding="utf-8")) == labels(shown) != []


def labels(picture: str) -> list[str]:
    return sorted(re.findall(r">([^<>]+)</text>", picture))
