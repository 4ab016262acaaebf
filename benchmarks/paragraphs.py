"""Counts how many of the facts in two sets of paragraphs a model finds, by relation type.

    python benchmarks/paragraphs.py [MODEL] [--threshold NUMBER|NAME] [--out FILE]

MODEL is the folder or Hub name of a model that finds entities itself, by default the bundled model.
`benchmarks/paragraphs/facts.jsonl` holds twenty invented texts about people, places, organisations, films and dates, in
the style of an encyclopaedia. Two are long; one is full of traps where entities meet without a relation.
`benchmarks/paragraphs/other_kinds.jsonl` holds ten of kinds that the training documents lack: company news, a court
report, a product page, an e-mail, a life told by oneself, a sports report, a museum label, a press release and a police
notice. Each text has a list of the entities that it states facts about, by their names, and of the facts, annotated as
in Re-DocRED.

A found entity matches a stated one if a mention has one of its names, ignoring case and a leading article. If several
match, the one with the most such mentions counts. A found relation is right if it is a stated fact between matched
entities. All facts of a paragraph are listed, so every other relation is wrong.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from transformers import Pipeline, pipeline

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modeling_docre.hub.resources import default_model
from modeling_docre.pipeline_docre import TASK

FACTS, OTHER_KINDS = (
    Path(__file__).resolve().parent / "paragraphs" / f"{name}.jsonl" for name in ("facts", "other_kinds")
)
SETS = {"Twenty paragraphs as in an encyclopaedia": FACTS, "Ten paragraphs of other kinds": OTHER_KINDS}

Triple = tuple[int, str, int]


class Paragraph(NamedTuple):
    """A text, the names of each entity in it, and the facts as head, relation type and tail."""

    id: str
    text: str
    entities: list[list[str]]
    facts: set[Triple]


class Counts(NamedTuple):
    """How often each relation type is stated, found, and found correctly."""

    stated: Counter[str]
    found: Counter[str]
    right: Counter[str]


def read_paragraphs(file: Path = FACTS) -> list[Paragraph]:
    """The paragraphs of a file."""
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return [Paragraph(row["id"], row["text"], row["entities"], set(map(tuple, row["facts"]))) for row in rows]


def stated_entities(graph: Mapping[str, Any], entities: Sequence[Iterable[str]]) -> dict[int, int]:
    """The stated entity that each found entity matches, if any."""
    owner = {_plain(name): number for number, names in enumerate(entities) for name in names}
    matches = {}
    for number, entity in enumerate(graph["entities"]):
        names = map(_plain, (mention["name"] for mention in entity["mentions"]))
        if named := Counter(owner[name] for name in names if name in owner):
            matches[number] = named.most_common(1)[0][0]
    return matches


def _plain(name: str) -> str:
    return re.sub(r"^(the|a|an) ", "", " ".join(name.split()).casefold())


def count(graphs: Sequence[Mapping[str, Any]], paragraphs: Sequence[Paragraph]) -> Counts:
    """The counts of all paragraphs together; a relation found twice between the same stated entities counts once."""
    counts = Counts(Counter(), Counter(), Counter())
    for graph, paragraph in zip(graphs, paragraphs, strict=True):
        named = stated_entities(graph, paragraph.entities)
        found = {
            # An unmatched entity gets a negative number of its own.
            (named.get(item["head"], ~item["head"]), item["type"], named.get(item["tail"], ~item["tail"]))
            for item in graph["relations"]
        }
        counts.stated.update(kind for _, kind, _ in paragraph.facts)
        counts.found.update(kind for _, kind, _ in found)
        counts.right.update(kind for _, kind, _ in found & paragraph.facts)
    return counts


def table(counts: Counts, labels: Mapping[str, str]) -> str:
    """Markdown rows by relation type, the most often stated first, and one for all."""
    lines = ["| relation | stated | found | right | precision | recall |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    kinds = sorted(counts.stated | counts.found, key=lambda kind: (-counts.stated[kind], -counts.found[kind], kind))
    rows = [("all", [counter.total() for counter in counts])]
    rows += [(labels.get(kind, kind), [counter[kind] for counter in counts]) for kind in kinds]
    for name, (stated, found, right) in rows:
        shares = (f"{100 * right / total:.0f}" if total else "" for total in (found, stated))
        lines.append(f"| {name} | {stated} | {found} | {right} | {' | '.join(shares)} |")
    return "\n".join(lines)


def scored(extract: Pipeline, paragraphs: Sequence[Paragraph], threshold: float | str | None = None) -> tuple[str, str]:
    """One sentence with the totals of a set of paragraphs, and the table by relation type."""
    graphs = extract([paragraph.text for paragraph in paragraphs], threshold=threshold)
    matches = [stated_entities(*pair) for pair in zip(graphs, (item.entities for item in paragraphs), strict=True)]
    entities, named = sum(len(item.entities) for item in paragraphs), sum(len(set(match.values())) for match in matches)
    counts = count(graphs, paragraphs)
    stated, found, right = (counter.total() for counter in counts)
    summary = (
        f"{right} of the {found} facts found are right, {stated} are stated; {named} of {entities} entities are found."
    )
    return summary, table(counts, extract.model.config.relation_labels)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a model on the paragraphs and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=default_model())
    parser.add_argument("--threshold", type=as_threshold, help="least score of a relation, instead of the model's own")
    parser.add_argument("--out", type=Path, help="file to which the tables are also written")
    options = parser.parse_args(arguments)
    if options.model is None:
        parser.error("this checkout has no bundled model; name one")
    extract = pipeline(TASK, model=options.model)
    blocks = []
    for name, file in SETS.items():
        summary, rows = scored(extract, read_paragraphs(file), options.threshold)
        blocks += [f"**{name}.** {summary}", rows]
    text = "\n\n".join(blocks)
    print(text)
    if options.out:
        options.out.write_text(f"{text}\n", encoding="utf-8")


def as_threshold(value: str) -> float | str:
    """A number, or the name of one."""
    try:
        return float(value)
    except ValueError:
        return value


if __name__ == "__main__":
    main()
