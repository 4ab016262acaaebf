"""Memory-enhanced JEREX: similarity classifiers whose memories feed back into the earlier stages."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from .candidates import Spans
from .configuration_memory_jerex import MemoryJerexConfig
from .modeling_jerex import JerexModel
from .segments import positions_in_segments, range_max
from .stage_memory import Memory, MemoryReader, SimilarityClassifier
from .stage_mentions import select_mentions
from .stage_relations import PairSizes, Scene


class MemoryJerexModel(JerexModel):
    """JEREX with a memory of entity types and one of relation types (Kosciukiewicz et al., ICCS 2023).

    The entity and the relation classifier compare their inputs with the slots of a memory, one slot per type; their
    losses write it. What they have learned flows back: subwords and spans are extended by what they mean to the
    memories (section 3.1) before mentions, coreference, entities and relations are decided. The type of an entity
    enters stage (d) as its slot, without a gradient.

    Deviations from the paper and its release beside those of `JerexModel`:

    - The paper leaves the formula of the extended representation unprinted; as in the release it is the mean of the
      representation and its multiples by each memory that is read.
    - The softmax of a slot runs over the subwords or spans of a document, so neither padding nor the other documents
      of a batch change a score. At the mention level it runs over the sampled spans in training and over all
      candidates at inference, as in the release; between given entities it runs over their mentions alone, and their
      vectors become larger. `mention_read="kept_only"` always reads over the mentions alone, in training the gold ones.
    - All candidates for coreference negatives are drawn (200); the release's setting does not reach its sampler (100).
    - A checkpoint remembers whether its training had turned the reading on (`memory_reading`); the release reads
      whenever a checkpoint is loaded.
    - The cosines of the classifiers are multiplied by `cosine_scale`, since a softmax over cosines alone is nearly
      flat; those of the readers are not, as in the release. Reading by the cosine (`read_similarity`) keeps the
      matrix that maps slots to the width of representations; the release compares them as they are.
    """

    config_class = MemoryJerexConfig
    title = "Memory-enhanced JEREX"
    citation = """
@inproceedings{kosciukiewicz-etal-2023-similarity,
  title = {Similarity-based Memory Enhanced Joint Entity and Relation Extraction},
  author = {Kościukiewicz, Witold and Wójcik, Mateusz and Kajdanowicz, Tomasz and Gonczarek, Adam},
  booktitle = {Proceedings of ICCS 2023},
  year = {2023}
}"""
    training_defaults: ClassVar[dict[str, Any]] = {"per_device_train_batch_size": 2, "adam_bias_correction": False}

    def __init__(self, config: MemoryJerexConfig):
        super().__init__(config)
        width = config.encoder_config.hidden_size
        read = [name for name in ("entity", "relation") if getattr(config, f"{name}_memory")]
        sizes = [self.slot_size] * len(read)
        cosine = config.read_similarity == "cosine"
        self.readers = nn.ModuleDict(
            {
                level: MemoryReader(width, sizes, config.read_grad, read, cosine)
                for level in config.traits.memory_levels or ()
            }
        )
        self.post_init()

    @property
    def slot_size(self) -> int:
        """Width of a memory's slots."""
        return self.config.slot_size or self.config.encoder_config.hidden_size

    def new_similarity(self, classes: int) -> SimilarityClassifier:
        """A similarity classifier with its memory, with random weights."""
        scale = self.config.cosine_scale if self.config.similarity == "cosine" else None
        return SimilarityClassifier(self.config.encoder_config.hidden_size, classes, self.slot_size, scale)

    def new_entity_classifier(self) -> nn.Module:
        """A similarity classifier of entity vectors (equation 3)."""
        return self.new_similarity(len(self.config.entity_types))

    def pair_sizes(self) -> PairSizes:
        """The types of entities are slots of their memory."""
        return super().pair_sizes()._replace(type_size=self.slot_size)

    def new_relation_classifier(self) -> nn.Module:
        """JEREX's pair vector, compared with the memory of relation types (equation 4)."""
        classifier = super().new_relation_classifier()
        classifier.classifier.output = self.new_similarity(len(self.config.relation_types))
        return classifier

    @property
    def memories(self) -> list[Memory]:
        """The memories that are read."""
        written = [self.entity_classifier.memory, self.relation_classifier.classifier.output.memory]
        used = [self.config.entity_memory, self.config.relation_memory]
        return [memory for memory, reads in zip(written, used, strict=True) if reads]

    def _encode(
        self, input_ids: Tensor, document_lengths: Tensor, spans: Spans, mentions: Tensor | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Hidden states and span vectors by stage, extended by what the memories say."""
        count = len(document_lengths)
        states = self.encoders[0](input_ids, document_lengths).hidden
        states = self._read("tokens", states, positions_in_segments(document_lengths)[0], count)  # [subwords, hidden]
        vectors = range_max(states, spans.subword_range)  # [spans, hidden]
        before = vectors
        if self.config.mention_read == "candidates":
            before = vectors = self._read("mentions", vectors, spans.document, count)
        elif self.config.mention_read == "kept_only":
            kept = self._kept(before, spans, mentions)
            extended = self._read("mentions", vectors[kept], spans.document[kept], count)
            vectors = vectors.index_copy(0, kept, extended)
        hidden = dict.fromkeys(("mention", "coreference", "entity", "relation"), states)
        return hidden, {**dict.fromkeys(hidden, vectors), "mention": before}

    def _read(self, level: str, rows: Tensor, documents: Tensor, count: int) -> Tensor:
        if level not in self.readers or not self.config.memory_reading:
            return rows
        return self.readers[level](rows, documents, count, self.memories)

    def _kept(self, vectors: Tensor, spans: Spans, mentions: Tensor | None) -> Tensor:
        """The spans that are mentions, as far as that is known, else by their score."""
        if mentions is not None:
            return mentions.nonzero().squeeze(1)
        return select_mentions(self.mention_classifier(vectors, spans.sizes), self.config.mention_threshold)

    def _relate(self, scene: Scene) -> dict[str, Tensor]:
        """Logits of the scene's entity pairs; the slots of the entity types are their vectors, without a gradient."""
        slots = self.entity_classifier.memory.weight.detach()
        return super()._relate(scene._replace(type_vectors=slots))
