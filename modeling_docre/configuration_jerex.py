"""The configuration of JEREX."""

# No `from __future__ import annotations` here: `@strict` checks the types of options, which must not be strings.
from typing import Any, Literal

from huggingface_hub.dataclasses import strict

from .configuration_docre import RelationCut, Traits
from .configuration_end_to_end import EndToEndConfig
from .configuration_limits import check_counts


@strict
class JerexConfig(EndToEndConfig):
    """JEREX: mentions, coreference, entity types and relations, jointly from raw text.

    The defaults are the values of the paper and its release.

    Args:
        task: `"joint"` trains all stages on one encoder, `"pipeline"` all stages with an encoder each, and
            `"mention"`, `"coreference"`, `"entity"`, `"relation"` one stage alone, its inputs given.
        relation_head: `"multi_instance"` classifies mention pairs and max-pools, `"global"` classifies entity pairs.
        relation_threshold: least score of a relation; None means 0.6 for multi-instance and 0.55 for global.
        entity_repr: whether mention pairs see the entities' pooled vectors (Table 5 a).
        localized_context: whether mention pairs see the context between the mentions (Table 5 b).
        pairing: `"all"` mention pairs, or only those within a sentence and else the closest one (Table 5 c).
        word_distance_rows, sentence_distance_rows: rows of these embedding tables; larger values share the last row.
    """

    model_type = "docre-jerex"

    task: Literal["joint", "pipeline", "mention", "coreference", "entity", "relation"] = "joint"
    relation_head: Literal["multi_instance", "global"] = "multi_instance"
    entity_repr: bool = True
    localized_context: bool = True
    pairing: Literal["all", "intra_sentence_or_closest"] = "all"
    word_distance_rows: int = 700
    sentence_distance_rows: int = 50

    def __post_init__(self, **kwargs: Any) -> None:
        if self.relation_threshold is None:
            self.relation_threshold = 0.6 if self.relation_head == "multi_instance" else 0.55
        super().__post_init__(**kwargs)

    def validate_distances(self) -> None:
        """Refuse empty tables of distances."""
        check_counts(self, "word_distance_rows", "sentence_distance_rows")

    @property
    def traits(self) -> Traits:
        """All stages, or a single one, which is given the gold result of the stage before."""
        assert self.relation_threshold is not None  # since `__post_init__`
        everything = ("mention", "coreference", "entity", "relation")
        return Traits(
            stages=everything if self.task in ("joint", "pipeline") else (self.task,),
            given={"coreference": "mentions", "entity": "clusters", "relation": "entities"}.get(self.task),
            relation_cut=RelationCut(self.relation_threshold),
            scores_with_entities=self.relation_score == "with_entities",
        )
