"""The configuration of memory-enhanced JEREX."""

# No `from __future__ import annotations` here: `@strict` checks the types of options, which must not be strings.
from typing import Any, Literal

from huggingface_hub.dataclasses import strict

from .configuration_docre import Traits
from .configuration_jerex import JerexConfig


@strict
class MemoryJerexConfig(JerexConfig):
    """JEREX with memories of entity types and relation types that feed back into its earlier stages.

    The defaults are the values of the paper and its release.

    Args:
        memory_read: whether the stages read the memories; without, they are similarity classifiers only (Table 2).
        read_levels: which representations are extended by what is read.
        mention_read: over which spans of a document the mention level reads: all `"candidates"` (in training the
            sampled spans), as the release; the mentions alone that are kept (`"kept_only"`), after they are scored; or
            none (`"off"`).
        entity_memory, relation_memory: whether the memory of entity types and that of relation types is read.
        read_grad: whether the losses of all stages reach a memory through its reading; where not, its own classifier
            alone writes it.
        memory_reading: whether reading is on. Training sets it, off for its warm-up and on from there
            (`memory_warmup_ratio`); to train without reading, set `memory_read`.
        similarity: how classifiers compare a vector with a memory: a `"bilinear"` form, or the `"cosine"`.
        cosine_scale: what a classifier's cosine is multiplied by to become a logit.
        read_similarity: how reading compares a representation with a memory, `"bilinear"` or `"cosine"`; cosines
            spread the weight of a slot almost evenly.
        slot_size: width of a memory's slots; None for the width of the encoder.
    """

    model_type = "docre-memory-jerex"

    memory_read: bool = True
    read_levels: Literal["tokens+mentions", "tokens", "mentions", "none"] = "tokens+mentions"
    mention_read: Literal["candidates", "kept_only", "off"] = "candidates"
    entity_memory: bool = True
    relation_memory: bool = True
    read_grad: bool = True
    memory_reading: bool = True
    similarity: Literal["bilinear", "cosine"] = "bilinear"
    cosine_scale: float | int = 30.0
    read_similarity: Literal["bilinear", "cosine"] = "bilinear"
    slot_size: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if self.relation_threshold is None:
            self.relation_threshold = 0.6  # for both relation classifiers
        super().__post_init__(**kwargs)

    def validate_memory(self) -> None:
        """Refuse slots without a width, a scale that is not positive, and a model without all stages."""
        if self.slot_size is not None and self.slot_size < 1:
            raise ValueError(f"slot_size is {self.slot_size}; give a whole number from 1 on, or None")
        if not 0 < self.cosine_scale < float("inf"):
            raise ValueError(f"cosine_scale is {self.cosine_scale}; give a number above 0")
        if self.task != "joint":
            raise ValueError(
                f'task is "{self.task}"; the memories join the stages of one model, so give "joint", or use JEREX'
            )

    @property
    def traits(self) -> Traits:
        """JEREX with memories, which training begins to read at the end of its warm-up."""
        return super().traits._replace(memory_levels=self._levels(), set_by_training=frozenset({"memory_reading"}))

    def _levels(self) -> tuple[str, ...]:
        """The levels at which the model has something to read: `"tokens"`, `"mentions"`, both or none."""
        if not self.memory_read or self.read_levels == "none" or not (self.entity_memory or self.relation_memory):
            return ()
        levels = self.read_levels.split("+")
        return tuple(level for level in levels if level == "tokens" or self.mention_read != "off")
