"""KMGRE: document-level relation extraction by key mention pairs, trained by expectation-maximization."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .candidates import Entities, MentionPairs, Text, mention_pairs
from .configuration_kmgre import EXPECTATION, MAXIMIZATION, KmgreConfig
from .encoder import DocumentEncoder
from .encoder_attention import AttendedEncoder
from .layers import logits_linear, threshold_losses
from .modeling_given_entities import GivenEntitiesModel, Reading, read
from .segments import segment_logsumexp, segment_max
from .stage_key_pairs import HeadNorm, assign_labels, focal_loss, pool_pairs, select_key_pairs
from .stage_localized_context import AttendedText, unordered_pairs

LABEL_FIELDS = frozenset(["labels", "masked", "complete", "soft", "taught"])
"""What training knows of each entity pair (see `threshold_losses`)."""


class MentionPairNetwork(nn.Module):
    """Scores mention pairs: one linear layer on both mentions and the context that both attend to (KMGRE section 3.1).

    Args:
        encoder: reads the marked text; None for a network that scores what another one's encoder reads.
        hidden_size: width of the encoder.
        outputs: number of classes.
        head_norm: how the heads of the context are joined, as in `pool_pairs`.
    """

    def __init__(self, encoder: DocumentEncoder | None, hidden_size: int, outputs: int, head_norm: HeadNorm):
        super().__init__()
        self.encoder, self.head_norm = encoder, head_norm
        self.classifier = nn.Linear(3 * hidden_size, outputs)

    def read(self, text: Text) -> Reading:
        """What the network's own encoder makes of the text."""
        assert self.encoder is not None
        return read(self.encoder, text)

    def forward(self, reading: Reading, text: Text, pairs: MentionPairs) -> Tensor:
        """Logits [mention pairs, outputs], at least float32, by what an encoder made of the text."""
        of_head, of_tail, of_context = self.classifier.weight.chunk(3, dim=1)
        heads = logits_linear(reading.mentions, of_head, self.classifier.bias)
        tails = logits_linear(reading.mentions, of_tail)  # [mentions, outputs]
        # The context is linear in the hidden states, so they are projected before they are pooled.
        projected = logits_linear(reading.hidden, of_context)  # [subwords, outputs]
        attended = AttendedText(projected, reading.attention, text.document_lengths, text.spans.document)
        unordered, index = unordered_pairs(torch.stack([pairs.head, pairs.tail], dim=1))
        contexts = pool_pairs(attended, unordered, self.head_norm)  # [unordered, outputs]
        return heads.index_select(0, pairs.head) + tails.index_select(0, pairs.tail) + contexts.index_select(0, index)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Run a network as at inference: in evaluation mode and without a gradient."""
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(training)


class KmgreModel(GivenEntitiesModel):
    """Relations between given entities by key mention pairs (Jiang et al., COLING 2022).

    The relation extractor scores the relation types and a threshold class of each mention pair, the key instance
    classifier the probability that the mention pair is key (section 3.1). The logits of an entity pair are fused from
    its key mention pairs; a type holds if its logit exceeds that of the threshold class. Training alternates (section
    3.2): the E-step teaches the classifier which mention pairs state the gold relations most clearly, the M-step
    teaches the extractor the gold relations through the key mention pairs.

    There is no release. What the paper leaves open or what differs from its letter:

    - Special tokens, markers, windows and the merging of attention are ATLOP's, for documents of any length.
    - The context averages over the normalised heads (`head_norm`); the printed sum over heads is larger by their
      number, which a linear layer absorbs. 1e-5 is added to the denominators.
    - Pseudo labels come from the extractor in evaluation mode, and entity pairs without a relation are negatives
      (`estep_pairs`). The weight of the focal loss multiplies both classes (`focal_alpha`); its mean runs over the
      mention pairs of the batch.
    - N_T of equations 17 to 19, which the paper does not define, is read as C without P_T: the types that
      do not hold.
    - Every entity pair has a key mention pair: its threshold is at most the highest probability.
    - The cap of the threshold grows with the updates of the E-step after the warm-up. In the warm-up the cap is 0, all
      mention pairs are key, and each update trains both networks.
    - A relation is decided as it is trained: fused over the key mention pairs, above the threshold class, with no
      limit on the number of types (`top_k`).
    - With `fusion="label_assignment"` each mention pair learns the types that it states clearly, in the warm-up (and
      always without a key instance classifier) all types of its entity pair; an entity pair has the types that some
      key mention pair has.
    - With `shared_encoder` (not in the paper) the E-step trains the classifier's linear layer alone, and the M-step
      selects key mention pairs by what the training extractor reads, dropout included.
    """

    config_class = KmgreConfig
    title = "KMGRE"
    citation = """
@inproceedings{jiang-etal-2022-key,
  title = {Key Mention Pairs Guided Document-Level Relation Extraction},
  author = {Jiang, Feng and Niu, Jianwei and Mo, Shasha and Fan, Shengda},
  booktitle = {Proceedings of the 29th International Conference on Computational Linguistics},
  year = {2022},
  url = {https://aclanthology.org/2022.coling-1.165/}
}"""
    mixed_precision = True
    training_defaults: ClassVar[dict[str, Any]] = {
        "weight_decay": 1e-5,
        "warmup_steps": 0.06,
        "num_train_epochs": 57.0,  # 3 of warm-up, then 27 rounds of two
        "warmup_epochs": 3,
        "per_device_train_batch_size": 4,
        "negatives_relation": -1,
        "ddp_find_unused_parameters": True,
    }
    phase_of_module: ClassVar[dict[str, str]] = {"key_classifier": EXPECTATION, "relation_extractor": MAXIMIZATION}
    phases = (MAXIMIZATION,)
    phase = MAXIMIZATION

    def __init__(self, config: KmgreConfig):
        super().__init__(config)
        width, classes = config.encoder_config.hidden_size, 1 + len(config.relation_types)
        self.relation_extractor = MentionPairNetwork(
            self.new_encoder(AttendedEncoder), width, classes, config.head_norm
        )
        absent: Any = None
        self.key_classifier = absent
        if config.key_classifier:
            encoder = None if config.shared_encoder else self.new_encoder(AttendedEncoder)
            self.key_classifier = MentionPairNetwork(encoder, width, 1, config.head_norm)
        self.post_init()

    def relate(self, text: Text, entities: Entities, relations: dict[str, Tensor]) -> dict[str, Any]:
        """The logits of entity pairs with the mention pairs that carried them; with labels the loss of the phase.

        The E-step has its loss alone.
        """
        pairs, labels = relations["pairs"], relations.get("labels")
        candidates = mention_pairs(entities, pairs)
        if labels is not None and self.phase == EXPECTATION:
            loss, labelled = self._expectation_loss(text, candidates, labels)
            return {"loss": loss, "losses": {"key": loss}, "statistics": {"labelled_key": labelled}}

        reading = self.relation_extractor.read(text)
        logits = self.relation_extractor(reading, text, candidates)  # [mention pairs, 1 + types], equations 4 to 6
        key_logits = self._judge(text, candidates, reading, explain=labels is None)
        keys = self._select(key_logits, candidates, len(pairs))  # [mention pairs] bool, equations 12 to 14
        fused = self._decide(logits, keys, candidates, len(pairs))  # [pairs, 1 + types]

        result: dict[str, Any] = {"relation_logits": fused[:, 1:] - fused[:, :1]}
        if labels is None:
            result |= self._explain(logits, key_logits, keys, fused, candidates)
        else:
            losses = self._maximization_losses(fused, logits, text, candidates, relations)
            result |= {**self.weigh(losses), "statistics": {"kept_key": _fraction(keys)}}
        return result

    def _expectation_loss(self, text: Text, candidates: MentionPairs, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The E-step: the key instance classifier learns which mention pairs state the gold relations most clearly.

        Returns:
            The loss, and the fraction of the mention pairs of related entity pairs that are labelled key.
        """
        config = self.config
        reading, assigned = self._assign(text, candidates, labels)
        key_labels = assigned.any(1)  # [mention pairs], equation 9
        key_logits = self._key_logits(text, candidates, reading)  # equations 7 and 8
        related = labels.any(1)[candidates.owner].nonzero().squeeze(1)
        labelled = _fraction(key_labels[related])
        if config.estep_pairs == "related":
            key_logits, key_labels = key_logits[related], key_labels[related]
        loss = focal_loss(key_logits, key_labels, config.gamma, config.alpha, config.focal_alpha == "balanced")
        return loss, labelled

    def _key_logits(self, text: Text, candidates: MentionPairs, reading: Reading) -> Tensor:
        """Logits [mention pairs] of being key; without an encoder of its own by the extractor's reading."""
        classifier = self.key_classifier
        if classifier.encoder is not None:
            reading = classifier.read(text)
        return classifier(reading, text, candidates).squeeze(1)

    def _judge(self, text: Text, candidates: MentionPairs, reading: Reading, explain: bool) -> Tensor | None:
        """The key logits [mention pairs]; None without a classifier, or where all are key and none is explained."""
        if self.key_classifier is None or (self.config.tau == 0 and not explain):
            return None
        with frozen(self.key_classifier):
            return self._key_logits(text, candidates, reading)

    def _select(self, key_logits: Tensor | None, candidates: MentionPairs, count: int) -> Tensor:
        """Which mention pairs are key, [mention pairs] bool."""
        if key_logits is None:
            return torch.ones_like(candidates.owner, dtype=torch.bool)
        return select_key_pairs(key_logits, candidates.owner, count, self.config.xi, self.config.tau)

    def _decide(self, logits: Tensor, keys: Tensor, candidates: MentionPairs, count: int) -> Tensor:
        """Logits [pairs, 1 + types] of entity pairs by their key mention pairs, the threshold class first."""
        kept = keys.nonzero().squeeze(1)
        logits, owners = logits.index_select(0, kept), candidates.owner[kept]
        if self.config.fusion == "logsumexp":
            return segment_logsumexp(logits, owners, count)  # equation 16
        return segment_max(logits - logits[:, :1], owners, count)  # equation 1

    def _maximization_losses(
        self, fused: Tensor, logits: Tensor, text: Text, candidates: MentionPairs, relations: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """The M-step: entity pairs, or without fusion mention pairs, learn the gold relations."""
        weight = self.config.unlabelled_weight
        if self.config.fusion == "logsumexp":
            return threshold_losses(fused, relations, weight)  # equations 17 to 19
        of_mention_pairs = {name: relations[name][candidates.owner] for name in LABEL_FIELDS & relations.keys()}
        if self.config.tau:
            of_mention_pairs["labels"] = self._assign(text, candidates, relations["labels"])[1]
        return threshold_losses(logits, of_mention_pairs, weight)

    def _assign(self, text: Text, candidates: MentionPairs, labels: Tensor) -> tuple[Reading, Tensor]:
        """What the frozen extractor reads, and the gold types [mention pairs, types] that it finds in mention pairs."""
        with frozen(self.relation_extractor):
            reading = self.relation_extractor.read(text)
            logits = self.relation_extractor(reading, text, candidates)[:, 1:]  # of equation 6
        return reading, assign_labels(logits, labels, candidates.owner)

    def _explain(
        self, logits: Tensor, key_logits: Tensor | None, keys: Tensor, fused: Tensor, candidates: MentionPairs
    ) -> dict[str, Tensor | None]:
        """The mention pairs, and what each of them contributed to the decision on its entity pair."""
        excess, of_pair = logits[:, 1:] - logits[:, :1], fused[candidates.owner, 1:]  # [mention pairs, types]
        if self.config.fusion == "logsumexp":
            weight = (logits[:, 1:] - of_pair).masked_fill(~keys[:, None], float("-inf")).exp()
        else:
            weight = ((excess == of_pair) & keys[:, None]).to(logits.dtype)
        return {
            "mention_pair_owner": candidates.owner,
            "mention_pair_head": candidates.head_mention,
            "mention_pair_tail": candidates.tail_mention,
            "mention_pair_weight": weight,
            "mention_pair_logits": excess,
            "mention_pair_key_logits": key_logits,
        }


def _fraction(chosen: Tensor) -> Tensor:
    """The fraction that is chosen, zero of nothing."""
    return chosen.float().sum() / max(len(chosen), 1)
