"""Memory-enhanced JEREX: similarity classifiers whose memories feed back into the earlier stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from .candidates import Spans, Text
from .configuration_memory_jerex import MemoryJerexConfig
from .modeling_end_to_end import Encoding
from .modeling_jerex import JerexModel
from .segments import at_least_float32, positions_in_segments, range_max, segment_max, segment_sum
from .stage_entities import select_mentions
from .stage_relations import PairSizes, Scene


def segment_softmax(values: Tensor, owners: Tensor, count: int) -> Tensor:
    """Softmax of each column over the rows of each owner, [rows, width]; arguments as for `segment_max`."""
    highest = segment_max(values.detach(), owners, count)
    exponentials = (values - highest.index_select(0, owners)).exp()
    return exponentials / segment_sum(exponentials, owners, count).index_select(0, owners)


def similarities(vectors: Tensor, slots: Tensor, cosine: bool) -> Tensor:
    """Products, or cosines, [rows, slots], at least float32, of vectors [rows, width] with slots [slots, width]."""
    vectors, slots = at_least_float32(vectors), at_least_float32(slots)
    if cosine:
        vectors, slots = nn.functional.normalize(vectors), nn.functional.normalize(slots)
    return vectors @ slots.T


class SimilarityClassifier(nn.Module):
    """Scores vectors by their similarity with the slots of its memory (equation 5).

    Args:
        size: width of the vectors.
        classes: number of classes.
        slot_size: width of a slot.
        cosine_scale: None for the bilinear similarity; else the scale of the cosine.
    """

    def __init__(self, size: int, classes: int, slot_size: int, cosine_scale: float | None = None):
        super().__init__()
        self.cosine_scale = cosine_scale
        self.memory = nn.Embedding(classes, slot_size)  # a slot per class, which the gradient alone writes
        self.write = nn.Linear(size, slot_size, bias=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Logits [rows, classes] of vectors [rows, size]."""
        scale = self.cosine_scale
        logits = similarities(self.write(vectors), self.memory.weight, cosine=scale is not None)
        return logits if scale is None else scale * logits


class MemoryReader(nn.Module):
    """Extends representations by what they mean to the slots of memories (equations 1 and 2).

    Each slot spreads a weight of 1 over the representations of a document. A representation's own share, summed over
    the slots of a memory, multiplies it, and the mean of it and its multiples is the result: its direction stays.

    Args:
        size: width of the representations.
        slot_sizes: width of the slots of each memory, by its name.
        read_grad: whether gradients reach the memories.
        cosine: whether representations and slots are compared by their cosine instead of a bilinear form.
    """

    def __init__(self, size: int, slot_sizes: Mapping[str, int], read_grad: bool, cosine: bool = False):
        super().__init__()
        self.read_grad, self.cosine = read_grad, cosine
        # By name, so that a checkpoint of which one memory is no longer read keeps the other's query.
        self.queries = nn.ModuleDict({name: nn.Linear(width, size, bias=False) for name, width in slot_sizes.items()})

    def forward(self, rows: Tensor, documents: Tensor, count: int, memories: Sequence[nn.Embedding]) -> Tensor:
        """Extended representations [rows, size].

        Args:
            rows: [rows, size], the representations of all documents.
            documents: [rows] int64, the document of each; softmax runs inside a document, so a batch changes nothing.
            count: number of documents.
            memories: as many as there are slot sizes.
        """
        scale = sum(self.weights(rows, documents, count, memories))
        return rows * ((1.0 + scale) / (1 + len(self.queries)))[:, None].to(rows.dtype)

    def weights(self, rows: Tensor, documents: Tensor, count: int, memories: Sequence[nn.Embedding]) -> list[Tensor]:
        """The weight [rows] of each representation, by memory; they sum to the number of slots in each document."""
        return [
            self.slot_weights(rows, documents, count, query, memory).sum(1)
            for query, memory in zip(self.queries.values(), memories, strict=True)
        ]

    def slot_weights(
        self, rows: Tensor, documents: Tensor, count: int, query: nn.Module, memory: nn.Embedding
    ) -> Tensor:
        """The weight [rows, slots] that each slot of a memory gives to each representation of a document."""
        slots = memory.weight if self.read_grad else memory.weight.detach()
        return segment_softmax(at_least_float32(similarities(rows, query(slots), self.cosine)), documents, count)


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
        sizes = {name: self.slot_size for name in ("entity", "relation") if getattr(config, f"{name}_memory")}
        self.readers = nn.ModuleDict(
            {
                level: MemoryReader(width, sizes, config.read_grad, config.read_similarity == "cosine")
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
    def memories(self) -> list[nn.Embedding]:
        """The memories that are read."""
        written = [self.entity_classifier.memory, self.relation_classifier.classifier.output.memory]
        used = [self.config.entity_memory, self.config.relation_memory]
        return [memory for memory, reads in zip(written, used, strict=True) if reads]

    def encode(self, text: Text, mentions: Tensor | None) -> Encoding:
        """Hidden states and span vectors by stage, extended by what the memories say."""
        spans, count = text.spans, len(text.document_lengths)
        states = self.encoders[0](text.input_ids, text.document_lengths).hidden
        states = self._read("tokens", states, positions_in_segments(text.document_lengths)[0], count)
        vectors = range_max(states, spans.subword_range)  # [spans, hidden]
        before = vectors
        if self.config.mention_read == "candidates":
            before = vectors = self._read("mentions", vectors, spans.document, count)
        elif self.config.mention_read == "kept_only":
            kept = self._kept(before, spans, mentions)
            extended = self._read("mentions", vectors[kept], spans.document[kept], count)
            vectors = vectors.index_copy(0, kept, extended)
        return Encoding(text, states, {**dict.fromkeys(self.config.traits.stages, vectors), "mention": before})

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
