"""From scores to documents: thresholds, labels, offsets, and what carried each relation. Knows no model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from .configuration_docre import DocREConfig, RelationCut
from .documents import Document, Entity, Mention, MentionPair, Relation


class Scaling(NamedTuple):
    """What brings a model's logits to those of scores: logit / temperature + shift. The order of the logits stays.

    A temperature above 1 moves scores towards 0.5, the shift all of them up or down: of the relations between predicted
    entities fewer are right than of those between the entities of the training data.
    """

    temperature: float = 1.0
    shift: float = 0.0

    @classmethod
    def of(cls, config: DocREConfig, level: str = "relation") -> Scaling:
        """The scaling of a model's scores of relations, or of entities."""
        return cls(getattr(config, f"{level}_temperature"), getattr(config, f"{level}_shift"))

    def scale(self, logits: np.ndarray) -> np.ndarray:
        """The logits of the scores, in the shape and dtype given."""
        return logits / self.temperature + self.shift

    def undo(self, logits: np.ndarray) -> np.ndarray:
        """The logits of the model, from those of the scores."""
        return (logits - self.shift) * self.temperature

    def rescore(self, score: float) -> float:
        """The score that the scaling makes of a model's; one of 0 or 1 counts as 1e-7 away, so that it can move."""
        if self == Scaling():
            return score
        logits = torch.logit(torch.tensor(score, dtype=torch.float64), eps=1e-7).numpy()
        return float(torch.sigmoid(torch.as_tensor(self.scale(logits))))


class Signatures:
    """The triples (relation type, type of the head, type of the tail) that may hold.

    A type of entity that no one listed, or that is missing, allows every relation.

    Args:
        triples: what may hold.
        entity_types: the types of entities that are known.
    """

    def __init__(self, triples: Iterable[Sequence[str]], entity_types: Iterable[str]):
        self.triples = frozenset((relation, head, tail) for relation, head, tail in triples)
        self.pairs = frozenset((head, tail) for _, head, tail in self.triples)
        self.known = frozenset(entity_types)

    def allow(self, relation: str, head: str, tail: str) -> bool:
        """Whether a relation of this type may hold between entities of these types."""
        return not {head, tail} <= self.known or (relation, head, tail) in self.triples

    def related_types(self, entity_types: Sequence[str]) -> np.ndarray:
        """Which types of head and tail allow any relation, [entity types, entity types] bool."""
        return np.array(
            [
                [not {head, tail} <= self.known or (head, tail) in self.pairs for tail in entity_types]
                for head in entity_types
            ],
            dtype=bool,
        ).reshape(len(entity_types), len(entity_types))


def decode(
    output: Mapping[str, Any],
    spans: Mapping[str, Any],
    documents: Sequence[Document],
    config: DocREConfig,
    given: str | None = None,
    relation_threshold: float | None = None,
    signatures: Signatures | None = None,
) -> list[Document]:
    """Turn a model's output for a batch into documents.

    A mention's score is its probability; a mention that coreference was not asked about becomes an entity of its own
    with the empty type; so does a related span that is not an entity. An entity's score is the probability of its
    type, times `entity_linkage_scores` where there are some, after the scaling of entities; a relation's score is that
    of its type. In a system that reads sentences a symmetric relation stands once, its head being what begins first; of
    two that begin with the same word, as nested ones may, either can be the head.

    Args:
        output: fields of `DocREOutput`, tensors on any device.
        spans: the batch's `word_range` [spans, 2], `sentence` [spans] and `document` [spans].
        documents: the documents of the batch, for words, text and given entities.
        config: labels, thresholds and scaling.
        given: `"entities"` keeps the documents' entities as they are, `"clusters"` all but their types.
        relation_threshold: least score of a relation instead of the configuration's.
        signatures: which types of head and tail each relation type may have; None for any.

    Returns:
        One document per input document, with the predicted entities and relations.
    """
    host = {name: _to_host(value) for name, value in output.items() if isinstance(value, torch.Tensor)}
    for name in ("relation_logits", "mention_pair_logits"):
        if name in host:
            host[name] = Scaling.of(config).scale(host[name])
    cut = config.traits.relation_cut
    if relation_threshold is not None:
        cut = cut._replace(threshold=relation_threshold)
    host_spans = {name: _to_host(value) for name, value in spans.items()}
    decoder = _Decoder(host, host_spans, config, cut, given)
    if signatures is not None:
        decoder.forbid(signatures, documents)
    return [decoder.document(number, document) for number, document in enumerate(documents)]


def keep_relations(logits: np.ndarray, cut: RelationCut) -> np.ndarray:
    """Which relation types hold for which pairs; a NaN logit keeps nothing.

    Args:
        logits: [pairs, types] float32; with an adaptive threshold what they exceed it by. Minus infinity keeps nothing.
        cut: the decision. Types as good as the last one that `top_k` admits are kept, too. In ATLOP's release the
            threshold class takes one of these places; a type that exceeds it ranks before it, so that is the same.

    Returns:
        [pairs, types] bool.
    """
    if cut.strict:  # on logits, since scores close to the threshold or to 1 round to the same number
        kept = logits > torch.logit(torch.tensor(cut.threshold, dtype=torch.float64)).numpy()
    else:
        kept = _sigmoid(logits) >= np.asarray(cut.threshold, dtype=logits.dtype)
    if 0 < cut.top_k < logits.shape[1]:
        kept &= logits >= -np.partition(-logits, cut.top_k - 1, axis=1)[:, cut.top_k - 1 : cut.top_k]
    return kept & (logits > -np.inf)


def _to_host(values: torch.Tensor) -> np.ndarray:
    values = values.detach()
    return (values.float() if values.is_floating_point() else values).cpu().numpy()


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return torch.sigmoid(torch.from_numpy(logits)).numpy()


def _reversed(relation: Relation) -> Relation:
    """The relation in the other direction."""
    pairs = relation.mention_pairs and tuple(
        replace(pair, head_mention=pair.tail_mention, tail_mention=pair.head_mention) for pair in relation.mention_pairs
    )
    return replace(relation, head=relation.tail, tail=relation.head, mention_pairs=pairs)


@dataclass
class _Decoder:
    """The batch on the host; `document` cuts one document out of it."""

    output: dict[str, np.ndarray]
    spans: dict[str, np.ndarray]
    config: DocREConfig
    cut: RelationCut
    given: str | None

    def __post_init__(self) -> None:
        output = self.output
        self.undirected = frozenset(self.config.symmetric_relations if self.config.traits.reads_sentences else ())
        self.mention_scores = _sigmoid(output["mention_logits"]) if "mention_logits" in output else None
        if "entity_members" not in output:  # mentions alone: each stands for itself
            mentions = output["mentions"]
            output |= {"entity_members": mentions, "entity_documents": self.spans["document"][mentions]}
            output["entity_sizes"] = np.ones(len(mentions), dtype=np.int64)
        self.member_ends = output["entity_sizes"].cumsum()
        self.type_scores = None
        if "entity_type_logits" in output:
            self.type_scores = torch.softmax(torch.from_numpy(output["entity_type_logits"]), dim=1).numpy()
        if "relation_logits" in output:
            logits = output["relation_logits"]  # [pairs, types]
            self.kept_pairs, self.kept_types = keep_relations(logits, self.cut).nonzero()
            self.kept_scores = _sigmoid(logits[self.kept_pairs, self.kept_types])

    def forbid(self, signatures: Signatures, documents: Sequence[Document]) -> None:
        """Leave out the relations that the types of their entities do not allow."""
        if "relation_logits" not in self.output:
            return
        names = self._type_names(documents)
        ends = self.output["pairs"][self.kept_pairs].tolist()
        relation_types = [self.config.relation_types[kind] for kind in self.kept_types]
        allowed = [
            signatures.allow(relation, names[head], names[tail])
            for relation, (head, tail) in zip(relation_types, ends, strict=True)
        ]
        kept = np.array(allowed, dtype=bool)
        self.kept_pairs, self.kept_types = self.kept_pairs[kept], self.kept_types[kept]
        self.kept_scores = self.kept_scores[kept]

    def _type_names(self, documents: Sequence[Document]) -> list[str]:
        """The type of each entity of the batch, empty where it has none."""
        if self.given == "entities":
            return [entity.type for document in documents for entity in document.entities]
        names = [*self.config.entity_types, ""]
        return [names[kind] for kind in self.output["entity_types"]]

    def document(self, number: int, document: Document) -> Document:
        """The predicted entities and relations of one document of the batch."""
        first, end = np.searchsorted(self.output["entity_documents"], [number, number + 1]).tolist()
        members = [self._members(entity) for entity in range(first, end)]
        relations = self._relations(first, end, members) if "relation_logits" in self.output else []
        entities = document.entities
        if self.given != "entities":
            kept = self._kept(first, end, relations)
            entities = tuple(self._entity(first + position, members[position], document) for position in kept)
            if len(kept) < len(members):
                relations = [replace(item, head=kept[item.head], tail=kept[item.tail]) for item in relations]
        if self.given == "clusters":
            typed = zip(document.entities, entities, strict=True)
            entities = tuple(replace(old, type=new.type, score=new.score) for old, new in typed)
        return replace(
            document,
            entities=entities,
            relations=tuple(relations),
            candidates=None,
            complete=None,
            soft_relations=None,
        )

    def _kept(self, first: int, end: int, relations: list[Relation]) -> dict[int, int]:
        """The new position of each of the entities that stay: all but spans without type and relation."""
        types = self.output.get("entity_types")
        related = {entity for relation in relations for entity in (relation.head, relation.tail)}
        stays = (n for n in range(end - first) if types is None or types[first + n] >= 0 or n in related)
        return {old: new for new, old in enumerate(stays)}

    def _members(self, entity: int) -> np.ndarray:
        end = self.member_ends[entity]
        return self.output["entity_members"][end - self.output["entity_sizes"][entity] : end]

    def _entity(self, entity: int, spans: np.ndarray, document: Document) -> Entity:
        mentions = tuple(self._mention(span, document) for span in spans.tolist())
        if self.type_scores is None:
            return Entity("", mentions)
        kind = int(self.output["entity_types"][entity])
        if kind < 0:
            return Entity("", mentions)
        score = float(self.type_scores[entity, kind])
        if "entity_linkage_scores" in self.output:
            score *= float(self.output["entity_linkage_scores"][entity])
        return Entity(self.config.entity_types[kind], mentions, score=Scaling.of(self.config, "entity").rescore(score))

    def _mention(self, span: int, document: Document) -> Mention:
        sentence = int(self.spans["sentence"][span])
        start, end = (self.spans["word_range"][span] - document.sentence_starts[sentence]).tolist()
        score = None if self.mention_scores is None else float(self.mention_scores[span])
        if document.token_offsets is None:
            return Mention(sentence, start, end, score=score)
        offsets = document.token_offsets[sentence]
        char_start, char_end = offsets[start][0], offsets[end - 1][1]
        if char_start >= char_end:  # words without a character in the text
            return Mention(sentence, start, end, score=score)
        return Mention(sentence, start, end, score=score, char_start=char_start, char_end=char_end)

    def _relations(self, first: int, end: int, members: list[np.ndarray]) -> list[Relation]:
        """Relations among the entities `first` to `end`, best score first."""
        heads = self.output["pairs"][self.kept_pairs, 0]
        inside = ((heads >= first) & (heads < end)).nonzero()[0]
        relations: dict[tuple[int, int, str], Relation] = {}
        for row in inside[np.argsort(-self.kept_scores[inside], kind="stable")]:
            item = self._relation(row, first, members)
            if item.type in self.undirected and self._place(members[item.tail]) < self._place(members[item.head]):
                item = _reversed(item)
            relations.setdefault((item.head, item.tail, item.type), item)
        return list(relations.values())

    def _place(self, spans: np.ndarray) -> int:
        """The word with which the first of the spans begins."""
        return int(self.spans["word_range"][spans, 0].min())

    def _relation(self, row: int, first: int, members: list[np.ndarray]) -> Relation:
        pair = self.kept_pairs[row]
        head, tail = (self.output["pairs"][pair] - first).tolist()
        kind = self.kept_types[row]
        name = self.config.relation_types[kind]
        evidence = self._evidence(pair, kind, members[head], members[tail])
        return Relation(
            head,
            tail,
            name,
            label=self.config.relation_labels.get(name),
            score=float(self.kept_scores[row]),
            **evidence,
        )

    @staticmethod
    def _sentences(sentences: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
        """Sentences in the order of the document, with what each one weighs."""
        order = np.argsort(sentences)
        return {"evidence": tuple(sentences[order].tolist()), "evidence_scores": tuple(weights[order].tolist())}

    def _evidence(self, pair: int, kind: int, head_spans: np.ndarray, tail_spans: np.ndarray) -> dict[str, Any]:
        """What carried a type of an entity pair: mention pairs, and sentences with the weight of each."""
        stated: dict[str, Any] = {}
        if "evidence_pair" in self.output:
            rows = slice(*np.searchsorted(self.output["evidence_pair"], [pair, pair + 1]))
            stated = self._sentences(self.output["evidence_sentence"][rows], self.output["evidence_weight"][rows])
        if "mention_pair_owner" not in self.output:
            return stated
        rows = slice(*np.searchsorted(self.output["mention_pair_owner"], [pair, pair + 1]))
        heads, tails = self.output["mention_pair_head"][rows], self.output["mention_pair_tail"][rows]
        weights = self.output["mention_pair_weight"][rows]
        weights = weights if weights.ndim == 1 else weights[:, kind]
        by_key = self._scores_of("mention_pair_key_logits", rows)
        by_relation = self._scores_of("mention_pair_logits", (rows, kind))
        order = [number for number in np.argsort(-weights, kind="stable") if weights[number] > 0]
        carried: dict[int, float] = {}
        for number in order:
            sentences = {
                int(self.spans["sentence"][span]) for span in (head_spans[heads[number]], tail_spans[tails[number]])
            }
            for sentence in sentences:
                carried[sentence] = carried.get(sentence, 0.0) + float(weights[number])
        evidence = sorted(carried)
        return {
            "mention_pairs": tuple(
                MentionPair(
                    int(heads[number]),
                    int(tails[number]),
                    float(weights[number]),
                    key_score=None if by_key is None else float(by_key[number]),
                    relation_score=None if by_relation is None else float(by_relation[number]),
                )
                for number in order
            ),
            "evidence": tuple(evidence),
            "evidence_scores": tuple(carried[sentence] for sentence in evidence),
            **stated,
        }

    def _scores_of(self, name: str, index: Any) -> np.ndarray | None:
        """The probabilities of some logits of the output, None where the model gives none."""
        return _sigmoid(self.output[name][index]) if name in self.output else None
