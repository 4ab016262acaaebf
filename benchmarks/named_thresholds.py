"""Scores a model's relations from raw text at its own threshold and at the ones with names.

    python benchmarks/named_thresholds.py [MODEL ...] --data FILE [--skip N]

MODEL is the folder or Hub name of a model that finds entities, by default the bundled model. The thresholds stand in
its configuration; documents that they were fitted on are left out by --skip, which counts from the start of the file.
All scores are strict. Behind each F1 stands its 95 % interval: the documents are drawn 2,000 times with replacement.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import pipeline

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset_scripts.building.loading import CorpusArguments, load_corpus
from metrics.docre_f1.scores import compute_scores, pooled_scores
from modeling_docre import Document
from modeling_docre.hub.resources import default_model
from modeling_docre.pipeline_docre import TASK
from modeling_docre.predictor import Predictor

DRAWS, SEED = 2000, 1


def interval(rows: Sequence[Mapping[str, Any]], score: str) -> tuple[float, float]:
    """Where the middle 95 % of the scores of documents drawn with replacement lie.

    Args:
        rows: the counts of each document.
        score: which score, for example `relation_f1`.
    """
    generator = random.Random(SEED)
    draws = sorted(pooled_scores(generator.choices(rows, k=len(rows)))[score] for _ in range(DRAWS))
    return draws[round(0.025 * DRAWS)], draws[round(0.975 * DRAWS) - 1]


def table(predictor: Predictor, documents: Sequence[Document]) -> str:
    """Markdown in percent, a row per threshold, and a first line with the entity scores."""
    lines = ["| threshold | | precision | recall | F1 | relations per document |"]
    lines.append("| --- | ---: | ---: | ---: | --- | ---: |")
    entities = ""
    for name in (None, *(name for name, _ in predictor.config.named_thresholds)):
        threshold = predictor.config.named_threshold(name)
        predictions = predictor.predict(documents, relation_threshold=threshold)
        scores = compute_scores(
            predictions, documents, symmetric_relations=predictor.config.symmetric_relations or None, per_document=True
        )
        rows = list(scores["per_document"].values())
        cells = [f"{predictor.config.relation_threshold if threshold is None else threshold:.3f}"]
        cells += [f"{100 * scores[f'relation_{part}']:.1f}" for part in ("precision", "recall")]
        cells.append(_with_interval(scores, rows, "relation_f1"))
        cells.append(f"{sum(len(document.relations) for document in predictions) / len(documents):.1f}")
        lines.append(f"| {name or 'its own'} | {' | '.join(cells)} |")
        entities = _with_interval(scores, rows, "entity_f1")
    return "\n".join([f"Entity F1 {entities} on {len(documents)} documents.", "", *lines])


def _with_interval(scores: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], score: str) -> str:
    low, high = interval(rows, score)
    return f"{100 * scores[score]:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", default=[default_model()])
    parser.add_argument("--data", required=True, help="annotated documents, in DocRED's JSON or the package's own")
    parser.add_argument("--skip", type=int, default=0, help="leave out so many documents at the start of the file")
    options = parser.parse_args(arguments)
    if None in options.models:
        parser.error("this checkout has no bundled model; name one")
    documents = load_corpus(CorpusArguments(test_file=options.data)).splits["test"][options.skip :]
    if not documents:
        parser.error(f"--skip {options.skip} leaves no document of {options.data}")
    for model in options.models:
        predictor = pipeline(TASK, model=model).predictor
        if predictor.config.traits.entities_given:
            parser.error(f"{model} relates given entities; name a model that finds entities")
        print(f"{model}\n\n{table(predictor, documents)}\n")


if __name__ == "__main__":
    main()
