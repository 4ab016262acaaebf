"""Tells where a model's relations are lost: its stages are replaced by gold one after the other.

    python benchmarks/lost_points.py [CHECKPOINT] --data FILE [--documents N] [--threshold NUMBER|NAME]
        [--no_signatures]

CHECKPOINT is the folder or Hub name of a model with all stages, JEREX or joint, by default the bundled model. The first
row of the table is what the model predicts from the words alone. In each further row one more of its first stages is
replaced by gold, and the later ones work on that: mentions, then clusters, then entity types. A stage's gain is the
strict relation F1 that its replacement adds; what the last row lacks to 100 is lost by the classifier of relations.

The second table takes the first row apart: a relation can only be right between two right entities.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from transformers import pipeline

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.paragraphs import as_threshold
from dataset_scripts.building.loading import CorpusArguments, load_corpus
from metrics.docre_f1.scores import compute_scores
from modeling_docre import Document
from modeling_docre.hub.resources import default_model
from modeling_docre.pipeline_docre import TASK
from modeling_docre.predictor import Predictor

STAGES = ("mention", "coreference", "entity", "relation")
SUBSTITUTIONS = {
    "nothing": None,
    "mentions": "mentions",
    "mentions, clusters": "clusters",
    "mentions, clusters, types": "entities",
}
"""What is gold in each row, and what the model is given then."""

LEVELS = ("mention_f1", "cluster_f1", "entity_f1", "relation_precision", "relation_recall", "relation_f1")


def substituted_scores(
    predictor: Predictor, documents: Sequence[Document], **options: Any
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is gold, and the scores of the predictions then, for each substitution.

    Args:
        predictor: a model with all stages.
        documents: annotated documents.
        options: as for `Predictor.predict_batch`: `relation_threshold` and `signatures` in place of the model's.
    """
    symmetric = predictor.config.symmetric_relations or None
    for name, given in SUBSTITUTIONS.items():
        predictions = predictor.predict(documents, given=given, **options)
        yield name, compute_scores(predictions, documents, symmetric_relations=symmetric)


def table(rows: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Markdown rows in percent; `gain` is the relation F1 above the row before."""
    lines = [f"| gold | {' | '.join(level.replace('_', ' ') for level in LEVELS)} | gain |"]
    lines.append(f"| --- |{' ---: |' * (len(LEVELS) + 1)}")
    before = None
    for name, scores in rows:
        cells = [f"{100 * scores[level]:.1f}" for level in LEVELS]
        gain = "" if before is None else f"{100 * (scores['relation_f1'] - before):+.1f}"
        lines.append(f"| {name} | {' | '.join(cells)} | {gain} |")
        before = scores["relation_f1"]
    return "\n".join(lines)


class Division(NamedTuple):
    """Numbers of relations.

    Attributes:
        gold, found: of the gold ones, and of those with both entities found.
        right, wrong, astray: of the predicted ones: right, wrong between right entities, with a wrong entity.
    """

    gold: int
    found: int
    right: int
    wrong: int
    astray: int


def divided(predictions: Sequence[Document], references: Sequence[Document]) -> Division:
    """The relations of predictions by whether their entities are right; without symmetric relations."""
    counts = []
    for predicted, gold in zip(predictions, references, strict=True):
        (found, entities), (stated, known) = (_facts(document) for document in (predicted, gold))
        between = {fact for fact in found if {fact[0], fact[2]} <= known}
        reachable = {fact for fact in stated if {fact[0], fact[2]} <= entities}
        counts.append((len(stated), len(reachable), len(found & stated), len(between - stated), len(found - between)))
    return Division(*map(sum, zip(*counts, strict=True)))


def _facts(document: Document) -> tuple[set[tuple[Any, str, Any]], set[Any]]:
    """Relations by what their entities are, and the entities."""
    entities = [
        (entity.type, frozenset((m.sentence, m.start, m.end) for m in entity.mentions)) for entity in document.entities
    ]
    return {(entities[r.head], r.type, entities[r.tail]) for r in document.relations}, set(entities)


def division_table(counts: Division) -> str:
    """Markdown, with precision and recall in percent between the right entities that are found."""
    precision, recall = counts.right / max(1, counts.right + counts.wrong), counts.right / max(1, counts.found)
    lines = [
        "| gold | both entities found | right | wrong, entities right | an entity wrong | P and R between right ones |"
    ]
    lines.append("| ---: | ---: | ---: | ---: | ---: | ---: |")
    return "\n".join([*lines, f"| {' | '.join(map(str, counts))} | {100 * precision:.1f} / {100 * recall:.1f} |"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of a model on the documents of a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", default=default_model())
    parser.add_argument("--data", required=True, help="annotated documents, in DocRED's JSON or the package's own")
    parser.add_argument("--documents", type=int, help="use only the first documents of the file")
    parser.add_argument("--threshold", type=as_threshold, help="least score of a relation, instead of the model's own")
    parser.add_argument("--no_signatures", action="store_true", help="decide without the signatures of the model")
    options = parser.parse_args(arguments)
    if options.checkpoint is None:
        parser.error("this checkout has no bundled model; name one")
    predictor = pipeline(TASK, model=options.checkpoint).predictor
    if predictor.config.traits.stages != STAGES or predictor.config.traits.reads_sentences:
        kind = type(predictor.model).__name__
        parser.error(
            f"{options.checkpoint} is a {kind} that does not do all of mentions, clusters, types and relations"
        )
    documents = load_corpus(CorpusArguments(test_file=options.data)).splits["test"][: options.documents]
    chosen = {
        "relation_threshold": predictor.config.named_threshold(options.threshold),
        "signatures": None if options.no_signatures else "stored",
    }
    print(table(list(substituted_scores(predictor, documents, **chosen))))
    predictions = predictor.predict(documents, **chosen)
    print(f"\n{division_table(divided(predictions, documents))}")


if __name__ == "__main__":
    main()
