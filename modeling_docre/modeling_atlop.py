"""ATLOP: document-level relation extraction with adaptive thresholding and localized context pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import initialization as init

from .candidates import Entities
from .configuration_atlop import AtlopConfig
from .grouped_bilinear import GroupedBilinear
from .layers import ConcatLinear, adaptive_threshold_loss, binary_loss
from .modeling_given_entities import GivenEntitiesModel
from .segments import at_least_float32, in_chunks, positions_in_segments, segment_starts
from .stage_entities import pool_entities
from .stage_localized_context import (
    EVIDENCE_WEIGHT,
    AttendedText,
    Block,
    Evidence,
    blocks,
    find_evidence,
    pool_block,
    runs,
    unordered_pairs,
)
from .stage_marked_mentions import MarkedText, read

# Pairs classified at once; with more, a training step recomputes each run of them in its backward pass.
PAIR_CHUNK = 16_384


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

    evidence_share: float = EVIDENCE_WEIGHT
    """The share of a pair's context that its evidence exceeds; with 1 each sentence has its weight."""

    def __init__(self, config: AtlopConfig):
        super().__init__(config)
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

    def relate(self, text: MarkedText, entities: Entities, pairs: Tensor, labels: Tensor | None) -> dict[str, Any]:
        """The logits of entity pairs; with labels the loss, with sentences the evidence of each pair."""
        hidden, mentions, attention = read(self.encoder, text, self.config.localized_context)
        entity_vectors = pool_entities(at_least_float32(mentions), entities, self.config.mention_pool).to(hidden.dtype)
        if attention is None:
            logits = in_chunks(lambda rows: self._score_pairs(entity_vectors, pairs[rows]), len(pairs), PAIR_CHUNK)
            evidence = None
        else:
            entity_attention = pool_entities(attention, entities, "mean")  # [entities, heads, longest document]
            attended = AttendedText(hidden, entity_attention, text.document_lengths, entities.document, text.sentences)
            logits, evidence = self._score_pairs_in_context(entity_vectors, pairs, attended)

        adaptive = self.config.threshold == "adaptive"
        result: dict[str, Any] = {"relation_logits": logits[:, 1:] - logits[:, :1] if adaptive else logits[:, 1:]}
        if evidence is not None:
            result |= {f"evidence_{name}": values for name, values in evidence._asdict().items()}
        if labels is not None:
            at = self.config.loss == "at"
            loss = adaptive_threshold_loss(logits, labels) if at else binary_loss(logits[:, 1:], labels)
            result |= {"loss": loss, "losses": {"relation": loss}}
        return result

    def _score_pairs(
        self, entity_vectors: Tensor, pairs: Tensor, contexts: Tensor | None = None, index: Tensor | None = None
    ) -> Tensor:
        """Logits [pairs, 1 + types], the threshold class first; contexts [contexts, hidden] by index [pairs]."""
        head, tail = pairs.unbind(1)
        context = [] if contexts is None or index is None else [(contexts, index)]
        head_vectors = torch.tanh(self.head_extractor((entity_vectors, head), *context))  # [pairs, pair size]
        tail_vectors = torch.tanh(self.tail_extractor((entity_vectors, tail), *context))
        return self.bilinear(head_vectors, tail_vectors)

    def _score_pairs_in_context(
        self, entity_vectors: Tensor, pairs: Tensor, text: AttendedText
    ) -> tuple[Tensor, Evidence | None]:
        """Logits [pairs, 1 + types] and, where sentences are known, the evidence of each pair."""
        unordered, index = unordered_pairs(pairs, len(entity_vectors))
        index, order = index.sort(stable=True)  # both orders of a pair together
        listed = list(runs(blocks(text, unordered), PAIR_CHUNK // 2))
        recompute = torch.is_grad_enabled() and len(listed) > 1
        logits: list[Tensor] = []
        evidence: list[Evidence] = []
        for run in listed:
            first, stop = run[0].rows.start, run[-1].rows.stop
            rows = slice(*torch.searchsorted(index, torch.tensor([first, stop], device=index.device)).tolist())
            here = pairs[order[rows]], index[rows] - first
            arguments = (entity_vectors, *here, text, unordered, run)
            if recompute:
                scored, carried = checkpoint(self._score_run, *arguments, use_reentrant=False)
            else:
                scored, carried = self._score_run(*arguments)
            logits.append(scored)
            evidence += carried
        if not logits:
            return self._score_pairs(entity_vectors, pairs, text.hidden[:0], index), None
        return torch.cat(logits)[order.argsort()], _spread(evidence, index, order, len(unordered))

    def _score_run(
        self,
        entity_vectors: Tensor,
        pairs: Tensor,
        index: Tensor,
        text: AttendedText,
        unordered: Tensor,
        run: Sequence[Block],
    ) -> tuple[Tensor, list[Evidence]]:
        """Logits of the pairs of some blocks, and the evidence of the unordered pairs."""
        contexts, evidence = [], []
        for block in run:
            context, weights = pool_block(text, unordered, block)
            contexts.append(context.to(entity_vectors.dtype))
            if text.sentences is not None:
                evidence.append(find_evidence(text, block, weights, self.evidence_share))
        return self._score_pairs(entity_vectors, pairs, torch.cat(contexts), index), evidence


def _spread(evidence: Sequence[Evidence], index: Tensor, order: Tensor, count: int) -> Evidence | None:
    """The evidence of `count` unordered pairs as that of all pairs, ascending; both orders of a pair share it."""
    if not evidence:
        return None
    pair, sentence, weight = (torch.cat(values) for values in zip(*evidence, strict=True))
    counts = torch.bincount(pair, minlength=count)
    place = index[order.argsort()]  # the unordered pair of each pair
    owner, number = positions_in_segments(counts[place])
    item = segment_starts(counts)[place[owner]] + number
    return Evidence(owner, sentence[item], weight[item])
