"""Tells where a model's relations are lost: its stages are replaced by gold one after the other.

    python benchmarks/lost_points.py [CHECKPOINT] --data FILE [--documents N] [--threshold NUMBER|NAME]

CHECKPOINT is the folder or Hub name of a model with all stages, JEREX or joint, by default the bundled model. The first
row of the table is what the model predicts from the words alone. In each further row one more of its first stages is
replaced by gold, and the later ones work on that: mentions, then clusters, then entity types. A stage's gain is the
strict relation F1 that its replacement adds; what the last row lacks to 100 is lost by the classifier of relations.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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
    predictor: Predictor, documents: Sequence[Document], threshold: float | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is gold, and the scores of the predictions then, for each substitution.

    Args:
        predictor: a model with all stages.
        documents: annotated documents.
        threshold: least score of a relation instead of the configuration's.
    """
    symmetric = predictor.config.symmetric_relations or None
    for name, given in SUBSTITUTIONS.items():
        predictions = predictor.predict(documents, given=given, relation_threshold=threshold)
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of a model on the documents of a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", default=default_model())
    parser.add_argument("--data", required=True, help="annotated documents, in DocRED's JSON or the package's own")
    parser.add_argument("--documents", type=int, help="use only the first documents of the file")
    parser.add_argument("--threshold", type=as_threshold, help="least score of a relation, instead of the model's own")
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
    threshold = predictor.config.named_threshold(options.threshold)
    print(table(list(substituted_scores(predictor, documents, threshold))))


if __name__ == "__main__":
    main()
