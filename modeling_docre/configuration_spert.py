"""The configuration of SpERT."""

# No `from __future__ import annotations` here: `@strict` checks the types of options, which must not be strings.
from typing import Literal

from huggingface_hub.dataclasses import strict

from .configuration_docre import DocREConfig, RelationCut, Traits
from .configuration_limits import check_counts, check_probabilities


@strict
class SpertConfig(DocREConfig):
    """SpERT: typed spans and relations between them, sentence by sentence.

    The defaults are the values of the paper and its release. Sizes count words.

    Args:
        context: what a relation sees beside its spans: the words between them (`"localized"`), all words of the
            sentence (`"full"`), or the start token's vector (`"cls"`; Figure 3).
        span_pooling: how the subwords of a span become its vector (Table 3).
        pool_mask: in maxima over spans and contexts, what stands for the subwords outside: nothing (`"minus_inf"`), or
            zero, as in the release until April 2020.
        relation_negatives: `"strong"` relates the spans that are entities, `"weak"` any two spans of a sentence, in
            training and at inference (section 4.2).
        relation_threshold: least score of a relation.
        max_related_entities: how many entities of a sentence are related at most, the best-scoring ones, where the
            model finds them itself: the pairs are quadratic in entities that it finds wrongly. Not with `"weak"`.
        max_span_size: longest candidate span.
        meta_size: width of the size embedding.
        size_rows: rows of the size embedding; larger spans share the last row.
        dropout: dropout on the inputs of both classifiers.
        pretraining: how much of the encoder keeps its pre-trained weights when a model is built from it: all of it, the
            embeddings alone (`"layers_random"`), or nothing (`"all_random"`; Table 2).
    """

    model_type = "docre-spert"

    context: Literal["localized", "full", "cls"] = "localized"
    span_pooling: Literal["max", "sum", "mean"] = "max"
    pool_mask: Literal["minus_inf", "zero"] = "minus_inf"
    relation_negatives: Literal["strong", "weak"] = "strong"
    relation_threshold: float | int = 0.4
    max_related_entities: int = 64
    max_span_size: int = 10
    meta_size: int = 25
    size_rows: int = 100
    dropout: float | int = 0.1
    pretraining: Literal["full", "layers_random", "all_random"] = "full"

    def validate_spans(self) -> None:
        """Refuse sizes that leave nothing to decide on, and a threshold or dropout outside [0, 1]."""
        check_counts(self, "max_related_entities", "max_span_size", "meta_size", "size_rows")
        check_probabilities(self, "relation_threshold", "dropout")

    @property
    def traits(self) -> Traits:
        """Sentences between start and end tokens; the start token's vector is part of what stands for a span."""
        return Traits(
            stages=("span", "relation"),
            relation_cut=RelationCut(self.relation_threshold),
            special_tokens=True,
            reads_sentences=True,
            reads_entity_types=False,
        )
