"""ATLOP: document-level relation extraction with adaptive thresholding and localized context pooling."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import initialization as init

from .candidates import Entities, Spans
from .configuration_atlop import AtlopConfig
from .layers import ConcatLinear, GroupedBilinear, adaptive_threshold_loss, binary_loss
from .modeling_docre import DocREOutput, DocREPreTrainedModel
from .segments import at_least_float32
from .stage_entities import pool_entities
from .stage_localized_context import EVIDENCE_WEIGHT, AttendedText
from .stage_marked_mentions import MarkedText, read
from .stage_pairs import PairClassifier


class AtlopModel(DocREPreTrainedModel):
    """Relations between given entities of a document (Zhou et al., AAAI 2021).

    Mentions stand between markers; a mention is the hidden state of its first marker, an entity the logsumexp of its
    mentions (section 3.1). Each pair adds the localized context that both its entities attend to (section 5), and a
    grouped bilinear layer scores its relation types and a threshold class (section 3.2). A type holds if it scores
    above the threshold class (section 4).

    Deviations from the paper and its release, exact rewrites apart:

    - Documents of any length are read in as many windows as they need; the release cuts them after 1,024 pieces and
      drops the mentions beyond. Where two windows suffice, hidden states and attention are merged as there. For
      RoBERTa a window ends in one `</s>`, as the document does; the release appends two.
    - Entities that no window holds together, in documents of three windows or more, have no context in common: it is
      zero, and there is no evidence. A larger `window_overlap` brings more of them together.
    - A word without pieces (blank or unmapped characters) becomes one unknown token; the release leaves it out.
    - The context averages over the heads and has 1e-5 in its denominator, as the release; the paper sums.
    - Of a duplicated gold relation nothing counts twice.
    - With `loss="bce"` the threshold class is not trained; `threshold="adaptive"` then compares with it all the same
      (Table 5, AT loss).
    - Without markers and with localized context (no row of the paper), a mention's attention is the mean over its
      subwords.
    """

    config_class = AtlopConfig
    title = "ATLOP"
    citation = """
@inproceedings{zhou-etal-2021-document,
  title = {Document-Level Relation Extraction with Adaptive Thresholding and Localized Context Pooling},
  author = {Zhou, Wenxuan and Huang, Kevin and Ma, Tengyu and Huang, Jing},
  booktitle = {Proceedings of the AAAI Conference on Artificial Intelligence},
  year = {2021},
  url = {https://arxiv.org/abs/2010.11304}
}"""
    training_defaults: ClassVar[dict[str, Any]] = {
        "head_learning_rate": 1e-4,
        "weight_decay": 0.0,
        "warmup_steps": 0.06,
        "adam_epsilon": 1e-6,
        "num_train_epochs": 30.0,
        "per_device_train_batch_size": 4,
        "negatives_relation": -1,
    }

    mixed_precision = True
    evidence_share: float = EVIDENCE_WEIGHT
    """The share of a pair's context that its evidence exceeds; with 1 each sentence has its weight."""

    def __init__(self, config: AtlopConfig):
        super().__init__(config)
        if not config.relation_types:
            raise ValueError("the configuration's relation_types is empty; give the list of labels to predict")
        parts = [config.encoder_config.hidden_size] * (1 + config.localized_context)
        self.encoder = self.new_encoder()
        self.head_extractor = ConcatLinear(parts, config.pair_size)
        self.tail_extractor = ConcatLinear(parts, config.pair_size)
        self.bilinear = GroupedBilinear(config.pair_size, config.bilinear_groups, 1 + len(config.relation_types))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """The layers start as torch's linear layers do, as in the release."""
        if isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            init.uniform_(module.weight, -bound, bound)
            init.uniform_(module.bias, -bound, bound)

    def forward(
        self,
        input_ids: Tensor,
        document_lengths: Tensor,
        spans: dict[str, Tensor],
        entities: dict[str, Tensor],
        relations: dict[str, Tensor],
        special_lengths: Tensor | None = None,
        subword_sentences: Tensor | None = None,
    ) -> DocREOutput:
        """Score the entity pairs of a batch; all lists are flat over the batch.

        Args:
            input_ids: [subwords] int64, the documents end to end.
            document_lengths: [documents] int64, subwords per document.
            spans: the fields of `Spans`, the mentions; their subword ranges are the opening markers.
            entities: the fields of `Entities`.
            relations: `pairs` [pairs, 2] entity indices and, in training, `labels` [pairs, relation types].
            special_lengths: [2] int64, start and end tokens of each document; None for a tokenizer that has neither.
            subword_sentences: [subwords] int64, the sentence of each subword, -1 outside of sentences; where given,
                each pair's evidence is told.

        Returns:
            `relation_logits` [pairs, relation types]; with labels the loss, with sentences the evidence.
        """
        known, pairs = Entities(**entities), relations["pairs"]
        marked = MarkedText(input_ids, document_lengths, special_lengths, Spans(**spans))
        hidden, mentions, attention = read(self.encoder, marked, self.config.localized_context)
        entity_vectors = pool_entities(at_least_float32(mentions), known, self.config.mention_pool).to(hidden.dtype)
        classifier = PairClassifier(self.head_extractor, self.tail_extractor, self.bilinear)
        if attention is None:
            scores = classifier.score(entity_vectors, pairs)
        else:
            entity_attention = pool_entities(attention, known, "mean")  # [entities, heads, longest document]
            text = AttendedText(hidden, entity_attention, document_lengths, known.document, subword_sentences)
            scores = classifier.score_in_context(entity_vectors, pairs, text)
        logits, evidence = scores.logits, scores.evidence(self.evidence_share)

        result: dict[str, Any] = {"pairs": pairs, "relation_logits": logits[:, 1:]}
        if self.config.threshold == "adaptive":
            result["relation_logits"] = logits[:, 1:] - logits[:, :1]
        result |= {"entity_members": known.members, "entity_sizes": known.sizes, "entity_documents": known.document}
        if evidence is not None:
            result |= {f"evidence_{name}": values for name, values in evidence._asdict().items()}
        if "labels" in relations:
            labels = relations["labels"]
            at = self.config.loss == "at"
            loss = adaptive_threshold_loss(logits, labels) if at else binary_loss(logits[:, 1:], labels)
            result |= {"loss": loss, "losses": {"relation": loss}}
        return DocREOutput(**result)
