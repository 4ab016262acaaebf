"""ATLOP: document-level relation extraction with adaptive thresholding and localized context pooling."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import initialization as init

from .candidates import Entities, Text
from .configuration_atlop import AtlopConfig
from .encoder import DocumentEncoder
from .encoder_attention import AttendedEncoder
from .layers import ConcatLinear, binary_loss, threshold_losses
from .modeling_given_entities import GivenEntitiesModel, read
from .segments import at_least_float32
from .stage_localized_context import AttendedText
from .stage_pairs import GroupedBilinear, PairClassifier


class AtlopModel(GivenEntitiesModel):
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
    mixed_precision = True
    training_defaults: ClassVar[dict[str, Any]] = {
        "head_learning_rate": 1e-4,
        "weight_decay": 0.0,
        "warmup_steps": 0.06,
        "adam_epsilon": 1e-6,
        "num_train_epochs": 30.0,
        "per_device_train_batch_size": 4,
        "negatives_relation": -1,
    }

    def __init__(self, config: AtlopConfig):
        super().__init__(config)
        parts = [config.encoder_config.hidden_size] * (1 + config.localized_context)
        self.encoder = self.new_encoder(AttendedEncoder if config.localized_context else DocumentEncoder)
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

    def relate(self, text: Text, entities: Entities, relations: dict[str, Tensor]) -> dict[str, Any]:
        """The logits of entity pairs; with labels the losses, with sentences the evidence of each pair."""
        config, pairs = self.config, relations["pairs"]
        hidden, mentions, attention = read(self.encoder, text)
        entity_vectors = entities.pool(at_least_float32(mentions), config.mention_pool).to(hidden.dtype)
        attended = None
        if attention is not None:
            entity_attention = entities.pool(attention, "mean")  # [entities, heads, longest document]
            attended = AttendedText(hidden, entity_attention, text.document_lengths, entities.document, text.sentences)
        classifier = PairClassifier(self.head_extractor, self.tail_extractor, self.bilinear)
        scores = classifier.score(entity_vectors, pairs, attended)

        logits, adaptive = scores.logits, config.threshold == "adaptive"
        result: dict[str, Any] = {"relation_logits": logits[:, 1:] - logits[:, :1] if adaptive else logits[:, 1:]}
        result |= scores.evidence(self.evidence_share)
        if "labels" in relations:
            if config.loss == "at":
                losses = threshold_losses(logits, relations, config.unlabelled_weight)
            else:
                losses = {"relation": binary_loss(logits[:, 1:], relations["labels"])}
            result |= self.weigh(losses)
        return result
