"""The evaluation of a run: predictions of the held-out splits and their scores."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers.trainer_utils import speed_metrics

from modeling_docre.documents import Document
from modeling_docre.hub.score_table import score_table

from .arguments import DataArguments
from .calibration import Calibrator
from .hardware import machine_facts
from .saving import card_facts
from .trainer import TARGETS, DocRETrainer

logger = logging.getLogger(__name__)


def single_stage_scores(trainer: DocRETrainer, documents: Sequence[Document]) -> dict[str, float]:
    """F1 of each stage on the gold result of the stage before (JEREX Table 4); of relations also Ign F1."""
    given = {"coreference": "mentions", "entity": "clusters", "relation": "entities"}
    result: dict[str, float] = {}
    for stage in trainer.model.config.traits.stages:
        if stage in given:
            scores = trainer.score(trainer.predict_documents(documents, given=given[stage]), documents)
            names = [TARGETS[stage], *["ign_f1"] * (stage == "relation")]
            result |= {name: scores[name] for name in names if name in scores}
    return result


def evaluate_split(
    trainer: DocRETrainer,
    split: str,
    documents: Sequence[Document],
    data: DataArguments,
    calibrator: Calibrator | None = None,
) -> dict[str, Any] | None:
    """Predict the documents of a split, score them, save both and log the main scores.

    Where a model finds relations, documents without any (DocRED hides those of its test split) are predicted only; then
    there are no scores.
    """
    folder, started = Path(trainer.args.output_dir) / split, time.time()
    predictions = trainer.predict_documents(documents)
    speed = speed_metrics("predict", started, num_samples=len(predictions)) | machine_facts("predict")
    if "relation" in trainer.model.config.traits.stages and not any(document.relations for document in documents):
        trainer.save_predictions(predictions, speed, folder)
        logger.info("%s: no document states a relation, so they are predicted and not scored", split)
        return None
    reports = {"per_type": True, "subsets": True, "by_entity_count": True, "by_word_count": data.by_word_count}
    scores = trainer.score(predictions, documents, **reports)
    facts = card_facts(data, trainer.card_facts["command"], split)
    stated = {name: value for name, value in facts.items() if value}
    scores |= {"thresholds": trainer.model.config.thresholds_in_force(), **speed, **stated}
    scores |= trainer.fitted
    if calibrator is not None:
        scores["calibration"] = calibrator.report(documents)
    if data.single_stages:
        scores["single_stages"] = single_stage_scores(trainer, documents)
    trainer.save_predictions(predictions, scores, folder)
    logger.info("%s, %d documents, in percent:\n%s", split, len(documents), score_table(scores))
    return scores
