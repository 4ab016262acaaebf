"""What the configurations of systems for given entities share: marked mentions, attention, a cut."""

# No `from __future__ import annotations` here: `@strict` checks the types of options, which must not be strings.
from typing import Literal

from huggingface_hub.dataclasses import strict

from .configuration_docre import DocREConfig, RelationCut, Traits
from .configuration_limits import check_probabilities


@strict
class GivenEntitiesConfig(DocREConfig):
    """Relations between given entities: marked mentions, attention at them, and an adaptive threshold.

    Args:
        entity_markers: `"star_per_token"` puts one `*` before each word that begins a mention and one behind each that
            ends one, `"star_per_mention"` a pair around each distinct mention, `"none"` leaves the text as it is and
            represents a mention by the mean of its subwords.
        relation_threshold: the score that a relation must exceed. With the adaptive threshold a score is
            sigmoid(logit of the type - logit of the threshold class), and 0.5 is its decision.
        add_prefix_space: False by default as in ATLOP's release, also where the encoder is RoBERTa.
        top_k: most relation types that a pair may have; 0 for no limit.
        unlabelled_weight: how far a type without a label counts as false in documents whose relations are incomplete.
        distillation_weight: weight of a teacher's scores in the loss, where documents hold them.
    """

    entity_markers: Literal["star_per_token", "star_per_mention", "none"] = "star_per_token"
    relation_threshold: float | int = 0.5
    top_k: int = 0
    add_prefix_space: bool | None = False
    unlabelled_weight: float | int = 0.5
    distillation_weight: float | int = 0.0
    # Two windows then suffice for twice the encoder's positions, as in ATLOP's release.
    window_overlap: int = 0

    def validate_relation_cut(self) -> None:
        """Refuse a threshold outside [0, 1], and a negative limit."""
        check_probabilities(self, "relation_threshold")
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; give a whole number from 1 on, or 0 for no limit")

    @property
    def traits(self) -> Traits:
        """Entities of any type are given; a relation's score has to be greater than the threshold."""
        return Traits(
            stages=("relation",),
            given="entities",
            relation_cut=RelationCut(self.relation_threshold, strict=True, top_k=self.top_k),
            special_tokens=True,  # attention is paid to them, too
            entity_markers=self.entity_markers,
            mention_attention=True,
            adaptive_threshold=True,
            reads_entity_types=False,
        )
