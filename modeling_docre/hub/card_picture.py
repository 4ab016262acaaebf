"""The picture of a card: the graph that the model finds in a document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from modeling_docre.documents import Document
from modeling_docre.graphs.names import mention_texts
from modeling_docre.graphs.picture import draw_graph

from .files import write_whole

PICTURE = "example_graph.svg"
"""The file that the card shows, beside the card."""
EXAMPLE = "Mira Halloran was born in Galway, Ireland. In 2011 Halloran published The Salt Compass."
"""The text of the card's example code."""
MOST_ENTITIES = 10
MOST_RELATIONS = 12


def predicted_example(folder: str | Path) -> dict[str, Any] | None:
    """The best document to draw among those that a training run predicted, as for `best_example`."""
    for split in ("test", "validation"):
        file = Path(folder) / split / "predictions.json"
        if file.is_file():
            return best_example(json.loads(file.read_text(encoding="utf-8")))
    return None


def best_example(documents: Iterable[Document | Mapping[str, Any]]) -> dict[str, Any] | None:
    """What a small picture can show best: of the graphs with at most ten related entities, that with most relations.

    Args:
        documents: results of the pipeline or predicted documents.

    Returns:
        The dict form of the document with its related entities only; None where no graph is small enough and has a
        relation.
    """
    read = (item if isinstance(item, Document) else Document.from_dict(item) for item in documents)
    graphs = [related for document in read if fits(related := _related(document))]
    best = max(graphs, key=lambda document: len(document.relations), default=None)
    return None if best is None else best.to_dict()


def fits(document: Document) -> bool:
    """Whether a small picture can show all of the graph, and there is something to show."""
    return len(document.entities) <= MOST_ENTITIES and 1 <= len(document.relations) <= MOST_RELATIONS


def _related(document: Document) -> Document:
    """The document without entities that no relation names."""
    kept = sorted({end for relation in document.relations for end in (relation.head, relation.tail)})
    place = {entity: number for number, entity in enumerate(kept)}
    relations = tuple(replace(item, head=place[item.head], tail=place[item.tail]) for item in document.relations)
    entities = tuple(document.entities[entity] for entity in kept)
    return replace(document, entities=entities, relations=relations, candidates=None, soft_relations=None)


def write_picture(folder: Path, graph: Mapping[str, Any] | None) -> None:
    """Draw a graph into a folder; without one, remove the picture, because it shows what another model found."""
    if graph is None:
        (folder / PICTURE).unlink(missing_ok=True)
    else:
        write_whole(folder / PICTURE, draw_graph(graph))


def in_words(graph: Mapping[str, Any]) -> str:
    """The relations of a graph as a sentence, for those who do not see the picture."""
    called = [mention_texts(graph, entity)[0] for entity in graph["entities"]]
    stated = (
        f"{called[item['head']]} – {item.get('label') or item['type']} – {called[item['tail']]}"
        for item in graph["relations"]
    )
    return "; ".join(stated)
