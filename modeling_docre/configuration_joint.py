"""The configuration of joint, the project's own system."""

# No `from __future__ import annotations` here: `@strict` checks the types of options, which must not be strings.
from typing import Any, Literal

from huggingface_hub.dataclasses import strict

from .configuration_docre import RelationCut, Traits
from .configuration_end_to_end import EndToEndConfig
from .configuration_limits import check_counts

GROUP_SIZE = 64
"""Width of a group of the bilinear layer where the number of groups is not given (ATLOP's for BERT-base)."""


@strict
class JointConfig(EndToEndConfig):
    """Entities from raw text as JEREX finds them, related by the context that both attend to, as in ATLOP.

    Every borrowed part is a switch.

    Args:
        mention_pool: how the subwords of a mention become its vector in a pair.
        entity_pool: how the mentions of an entity become its vector in a pair.
        type_embedding: whether a pair sees the types of its entities, which gained nothing where it was tried.
        attended_context: whether a pair sees the context that both entities attend to.
        pair_size: width of the head's and the tail's vector in a pair; None for the encoder's width.
        bilinear_groups: number of groups of the bilinear layer; None for groups of 64.
        loss: `"at"`, the adaptive-threshold loss, or `"bce"`, binary cross-entropy of each type.
        relation_threshold: the score that a relation must exceed; None means 0.5, which is the adaptive decision.
        evidence_weight: weight of the evidence loss; 0 trains no evidence.
        unlabelled_weight: how far a type without a label counts as false in documents whose relations are incomplete.
        distillation_weight: weight of a teacher's scores in the loss, where documents hold them.
    """

    model_type = "docre-joint"

    mention_pool: Literal["max", "mean", "first"] = "max"
    entity_pool: Literal["logsumexp", "max"] = "logsumexp"
    type_embedding: bool = False
    attended_context: bool = True
    pair_size: int | None = None
    bilinear_groups: int | None = None
    loss: Literal["at", "bce"] = "at"
    evidence_weight: float | int = 0.1
    unlabelled_weight: float | int = 0.5
    distillation_weight: float | int = 0.0

    def __post_init__(self, **kwargs: Any) -> None:
        if self.relation_threshold is None:
            self.relation_threshold = 0.5
        super().__post_init__(**kwargs)

    def validate_pairs(self) -> None:
        """Refuse groups that do not divide the width of a pair."""
        check_counts(self, *[name for name in ("pair_size", "bilinear_groups") if getattr(self, name) is not None])
        if self.encoder_config is not None and self.pair_width % self.pair_groups:
            width = self.pair_width
            raise ValueError(f"bilinear_groups is {self.pair_groups}; give a divisor of the pair's width, {width}")

    @property
    def pair_width(self) -> int:
        """Width of the head's and the tail's vector in a pair."""
        return self.pair_size or self.encoder_config.hidden_size

    @property
    def pair_groups(self) -> int:
        """Groups of the bilinear layer."""
        return self.bilinear_groups or max(1, self.pair_width // GROUP_SIZE)

    @property
    def traits(self) -> Traits:
        """All stages on what the model finds itself; a relation's score has to be greater than the threshold."""
        assert self.relation_threshold is not None  # since `__post_init__`
        return Traits(
            stages=("mention", "coreference", "entity", "relation"),
            relation_cut=RelationCut(self.relation_threshold, strict=True),
            scores_with_entities=self.relation_score == "with_entities",
            special_tokens=True,  # attention is paid to them, too
            mention_attention=self.attended_context,
            adaptive_threshold=self.loss == "at",
            evidence_guidance=self.attended_context and self.evidence_weight > 0,
            typed_pairs=True,
        )
