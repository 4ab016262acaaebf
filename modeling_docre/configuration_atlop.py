"""The configuration of ATLOP."""

# No `from __future__ import annotations` here: `@strict` checks the types of options, which must not be strings.
from dataclasses import field
from typing import Any, Literal

from huggingface_hub.dataclasses import strict

from .configuration_docre import RelationCut, Traits
from .configuration_given_entities import GivenEntitiesConfig


@strict
class AtlopConfig(GivenEntitiesConfig):
    """ATLOP: relations between given entities, with localized context pooling and an adaptive threshold.

    The defaults are the values of the paper and its release for DocRED with BERT; for CDR and GDA the release marks
    mentions by `"star_per_mention"` and has `top_k` 1.

    Args:
        entity_markers: as in `GivenEntitiesConfig` (Table 5, entity marker).
        mention_pool: how the mentions of an entity become its vector (Table 5, logsumexp).
        localized_context: whether a pair sees the context that both entities attend to (Table 5, LOP).
        bilinear_groups: number of groups of the bilinear layer; 1 is the full one (Table 5, group bilinear).
        pair_size: width of the head's and the tail's vector in a pair, whatever the encoder's width.
        loss: `"at"`, the adaptive-threshold loss, or `"bce"`, binary cross-entropy of each class.
        threshold: `"adaptive"` compares each type with the threshold class, `"global"` with `relation_threshold`,
            `"per_class"` with its own of `relation_thresholds`; the latter two are tuned on validation documents.
        relation_thresholds: for `"per_class"`, one threshold per relation type.
        top_k: most relation types that a pair may have; 0 for no limit.
    """

    model_type = "docre-atlop"

    mention_pool: Literal["logsumexp", "mean", "max"] = "logsumexp"
    localized_context: bool = True
    bilinear_groups: int = 12
    pair_size: int = 768
    loss: Literal["at", "bce"] = "at"
    threshold: Literal["adaptive", "global", "per_class"] = "adaptive"
    relation_thresholds: list[float] = field(default_factory=list)
    top_k: int = 4

    def __post_init__(self, **kwargs: Any) -> None:
        if self.threshold == "per_class" and not self.relation_thresholds:
            self.relation_thresholds = [float(self.relation_threshold)] * len(self.relation_types)
        super().__post_init__(**kwargs)

    def validate_thresholds(self) -> None:
        """Refuse thresholds outside [0, 1], and a number of them that does not fit the relation types."""
        for value in self.relation_thresholds:
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"relation_thresholds has {value}; give numbers from 0 to 1")
        if self.relation_thresholds and len(self.relation_thresholds) != len(self.relation_types):
            raise ValueError(
                f"relation_thresholds has {len(self.relation_thresholds)} values for {len(self.relation_types)} "
                "relation types; give one per type"
            )
        if self.loss == "at" and self.threshold != "adaptive":
            raise ValueError(
                f'threshold is "{self.threshold}", and the adaptive-threshold loss trains no class against a fixed '
                'score; set `loss="bce"`'
            )

    def validate_sizes(self) -> None:
        """Refuse groups that do not divide the width of a pair."""
        if self.bilinear_groups < 1 or self.pair_size < 1 or self.pair_size % self.bilinear_groups:
            raise ValueError(
                f"bilinear_groups is {self.bilinear_groups}; give a divisor of pair_size, which is {self.pair_size}"
            )

    @property
    def traits(self) -> Traits:
        """The localized context is pooled by attention; fixed thresholds mean nothing before they are fitted."""
        adaptive = self.threshold == "adaptive"
        threshold = self.relation_thresholds if self.threshold == "per_class" else self.relation_threshold
        return super().traits._replace(
            relation_cut=RelationCut(threshold, strict=True, top_k=self.top_k if adaptive else 0),
            fits_thresholds=not adaptive,
            mention_attention=self.localized_context,
            adaptive_threshold=self.loss == "at",
        )
