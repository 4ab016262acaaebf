"""What the configurations of systems share that find mentions, entities and their types in raw text."""

# No `from __future__ import annotations` here: `@strict` checks the types of options, which must not be strings.
from typing import Literal

from huggingface_hub.dataclasses import strict

from .configuration_docre import DocREConfig
from .configuration_limits import check_counts, check_probabilities


@strict
class EndToEndConfig(DocREConfig):
    """JEREX's stages of mentions, coreference and entity types; all sizes and distances count words.

    Args:
        mention_threshold: least score of a mention.
        coreference_threshold: least score of every mention pair inside a cluster.
        relation_threshold: least score of a relation; None for the system's own.
        relation_score: `"pair"`, the score of a type between a pair, or `"with_entities"`, that score multiplied by the
            lower one of the two entities, since a relation is right only if both are. Given entities count as certain.
        coref_symmetrise: how the two orders of a mention pair become one score: the score of (earlier, later),
            the mean, or the lower score.
        edit_distance_text: at inference compare mention strings made of the document's words or of decoded subwords.
        max_span_size: longest candidate span in words.
        meta_size: width of the size, distance and type embeddings.
        size_rows, edit_distance_rows: rows of these embedding tables; larger values share the last row.
        dropout: dropout of the heads.
        mention_weight, coreference_weight, entity_weight, relation_weight: weights of the stages in the loss.
    """

    mention_threshold: float | int = 0.85
    coreference_threshold: float | int = 0.85
    relation_threshold: float | int | None = None
    relation_score: Literal["pair", "with_entities"] = "pair"
    coref_symmetrise: Literal["upper", "mean", "max_distance"] = "upper"
    edit_distance_text: Literal["tokens", "decoded"] = "tokens"
    max_span_size: int = 10
    meta_size: int = 25
    size_rows: int = 30
    edit_distance_rows: int = 300
    dropout: float | int = 0.1
    mention_weight: float | int = 1.0
    coreference_weight: float | int = 1.0
    entity_weight: float | int = 0.25
    relation_weight: float | int = 1.0

    def validate_numbers(self) -> None:
        """Refuse sizes that leave nothing to decide on, and thresholds or a dropout outside [0, 1]."""
        check_counts(self, "max_span_size", "meta_size", "size_rows", "edit_distance_rows")
        check_probabilities(self, "mention_threshold", "coreference_threshold", "relation_threshold", "dropout")
