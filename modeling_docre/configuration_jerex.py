"""The configuration of JEREX."""

# No `from __future__ import annotations` here: `@strict` checks the types of options, which must not be strings.
from typing import Any, Literal

from huggingface_hub.dataclasses import strict

from .configuration_docre import DocREConfig, RelationCut, Traits
from .configuration_limits import check_counts, check_probabilities


@strict
class JerexConfig(DocREConfig):
    """JEREX: mentions, coreference, entity types and relations, jointly from raw text.

    The defaults are the values of the paper and its release. All sizes and distances count words.

    Args:
        task: `"joint"` trains all stages on one encoder, `"pipeline"` all stages with an encoder each, and
            `"mention"`, `"coreference"`, `"entity"`, `"relation"` one stage alone, its inputs given.
        relation_head: `"multi_instance"` classifies mention pairs and max-pools, `"global"` classifies entity pairs.
        relation_threshold: least score of a relation; None means 0.6 for multi-instance and 0.55 for global.
        mention_threshold: least score of a mention.
        coreference_threshold: least score of every mention pair inside a cluster.
        entity_repr: whether mention pairs see the entities' pooled vectors (Table 5 a).
        localized_context: whether mention pairs see the context between the mentions (Table 5 b).
        pairing: `"all"` mention pairs, or only those within a sentence and else the closest one (Table 5 c).
        coref_symmetrise: how the two orders of a mention pair become one score: the score of (earlier, later),
            the mean, or the lower score.
        edit_distance_text: at inference compare mention strings made of the document's words or of decoded subwords.
        max_span_size: longest candidate span in words.
        meta_size: width of the size, distance and type embeddings.
        size_rows, edit_distance_rows, word_distance_rows, sentence_distance_rows: rows of these embedding tables;
            larger values share the last row.
        dropout: dropout of the heads.
        mention_weight, coreference_weight, entity_weight, relation_weight: weights of the stages in the loss.
    """

    model_type = "docre-jerex"

    task: Literal["joint", "pipeline", "mention", "coreference", "entity", "relation"] = "joint"
    relation_head: Literal["multi_instance", "global"] = "multi_instance"
    mention_threshold: float | int = 0.85
    coreference_threshold: float | int = 0.85
    relation_threshold: float | int | None = None
    entity_repr: bool = True
    localized_context: bool = True
    pairing: Literal["all", "intra_sentence_or_closest"] = "all"
    coref_symmetrise: Literal["upper", "mean", "max_distance"] = "upper"
    edit_distance_text: Literal["tokens", "decoded"] = "tokens"
    max_span_size: int = 10
    meta_size: int = 25
    size_rows: int = 30
    edit_distance_rows: int = 300
    word_distance_rows: int = 700
    sentence_distance_rows: int = 50
    dropout: float | int = 0.1
    mention_weight: float | int = 1.0
    coreference_weight: float | int = 1.0
    entity_weight: float | int = 0.25
    relation_weight: float | int = 1.0

    def __post_init__(self, **kwargs: Any) -> None:
        if self.relation_threshold is None:
            self.relation_threshold = 0.6 if self.relation_head == "multi_instance" else 0.55
        super().__post_init__(**kwargs)

    def validate_thresholds(self) -> None:
        """Refuse thresholds outside [0, 1]."""
        check_probabilities(self, "mention_threshold", "coreference_threshold", "relation_threshold")

    def validate_sizes(self) -> None:
        """Refuse sizes that leave nothing to decide on, and a dropout outside [0, 1]."""
        rows = ("size_rows", "edit_distance_rows", "word_distance_rows", "sentence_distance_rows")
        check_counts(self, "max_span_size", "meta_size", *rows)
        check_probabilities(self, "dropout")

    @property
    def traits(self) -> Traits:
        """All stages, or a single one, which is given the gold result of the stage before."""
        assert self.relation_threshold is not None  # since `__post_init__`
        everything = ("mention", "coreference", "entity", "relation")
        return Traits(
            stages=everything if self.task in ("joint", "pipeline") else (self.task,),
            given={"coreference": "mentions", "entity": "clusters", "relation": "entities"}.get(self.task),
            relation_cut=RelationCut(self.relation_threshold),
        )
