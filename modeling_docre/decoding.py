"""From scores to documents: thresholds, labels, offsets, and what carried each relation. Knows no model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np
import torch

from .configuration_docre import DocREConfig, RelationCut
from .documents import Document, Entity, Mention, MentionPair, Relation


class Scaling(NamedTuple):
    """What brings a model's logits to those of scores: logit / temperature + shift. The order of the logits stays.

    A temperature above 1 moves scores towards 0.5, the shift all of them up or down.
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

    def rescore(self, scores: np.ndarray) -> np.ndarray:
        """The scores that the scaling makes of a model's; one of 0 or 1 counts as 1e-7 away, so that it can move."""
        if self == Scaling():
            return scores
        logits = torch.logit(torch.as_tensor(scores, dtype=torch.float64), eps=1e-7).numpy()
        return torch.sigmoid(torch.as_tensor(self.scale(logits))).numpy()


class Signatures:
    """Which relation types may hold between which types of head and tail.

    They are `allowed` [kinds, kinds, relation types] bool. The last kind is of what is not among the entity types, or
    missing, and allows everything.
    """

    def __init__(self, triples: Iterable[Sequence[str]], entity_types: Sequence[str], relation_types: Sequence[str]):
        cells, of_triples = product(relation_types, entity_types, entity_types), {*map(tuple, triples)}
        flat = np.array([cell in of_triples for cell in cells], dtype=bool)
        table = flat.reshape(len(relation_types), len(entity_types), len(entity_types)).transpose(1, 2, 0)
        self.allowed = np.pad(table, ((0, 1), (0, 1), (0, 0)), constant_values=True)
        self._kinds = {name: number for number, name in enumerate(entity_types)}

    def kinds(self, types: Iterable[str]) -> np.ndarray:
        """The kind of each of some entities' types, [entities] int64."""
        return np.array([self._kinds.get(name, len(self._kinds)) for name in types], dtype=np.int64)


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

    Scores are probabilities, after the scalings: of a mention, of a relation's type (with `scores_with_entities` times
    the lower score of its entities), and of an entity's type times its `entity_linkage_scores` if any. Mentions that no
    coreference joins become entities of their own with the empty type, and so do related spans without a type. Where
    sentences are read by themselves, a symmetric relation is stated once, headed by the entity that begins first.

    Args:
        output: fields of `DocREOutput`, tensors on any device.
        spans: the batch's `word_range` [spans, 2], `sentence` [spans] and `document` [spans].
        documents, config: the documents of the batch; labels, thresholds and scaling.
        given: `"entities"` keeps the documents' entities as they are, `"clusters"` all but their types.
        relation_threshold: least score of a relation instead of the configuration's.
        signatures: which types of head and tail each relation type may have; None for any.
    """
    host = {name: _to_host(value) for name, value in output.items() if isinstance(value, torch.Tensor)}
    if config.traits.scores_with_entities and given != "entities" and "relation_logits" in host:
        host["relation_logits"] = _with_entities(host["relation_logits"], _entity_scores(host)[host["pairs"]])
    for name in ("relation_logits", "mention_pair_logits"):
        if name in host:
            host[name] = Scaling.of(config).scale(host[name])
    cut = config.traits.relation_cut
    if relation_threshold is not None:
        cut = cut._replace(threshold=float(relation_threshold))
    host_spans = {name: _to_host(value) for name, value in spans.items()}
    if signatures is not None and "relation_logits" in host:
        stated = (entity.type for document in documents for entity in document.entities)
        kinds = signatures.kinds(stated) if given == "entities" else host["entity_types"]  # class -1 is no type
        head, tail = kinds[host["pairs"]].T
        host["relation_logits"] = np.where(signatures.allowed[head, tail], host["relation_logits"], -np.inf)
    decoder = _Decoder(host, host_spans, config, cut, given)
    return [decoder.document(number, document) for number, document in enumerate(documents)]


def keep_relations(logits: np.ndarray, cut: RelationCut) -> np.ndarray:
    """Which relation types hold for which pairs, [pairs, types] bool; a NaN logit keeps nothing.

    Types as good as the last one that `top_k` admits are kept, too. In ATLOP's release the threshold class takes one of
    these places; a type that exceeds it ranks before it, so that is the same.

    Args:
        logits: [pairs, types] float32; with an adaptive threshold what they exceed it by. Minus infinity keeps nothing.
        cut: the decision.
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


def renumbered(relations: Iterable[Relation], positions: Mapping[int, int]) -> list[Relation]:
    """The relations between the entities that have a new position, at those positions."""
    kept = (item for item in relations if item.head in positions and item.tail in positions)
    return [replace(item, head=positions[item.head], tail=positions[item.tail]) for item in kept]


def _entity_scores(output: Mapping[str, np.ndarray]) -> np.ndarray:
    """The score of each entity, [entities] float32, before scaling; of one without a type it means nothing."""
    scores = torch.softmax(torch.from_numpy(output["entity_type_logits"]), dim=1).numpy()
    of_types = scores[np.arange(len(scores)), output["entity_types"]]
    return of_types * output["entity_linkage_scores"] if "entity_linkage_scores" in output else of_types


def _with_entities(logits: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The logits [pairs, types] of the scores times the lower one of the scores `ends` [pairs, 2] of their entities."""
    with np.errstate(divide="ignore"):
        products = np.log(ends.min(axis=1, keepdims=True)) - np.logaddexp(0, -logits)  # logarithms
        return products - np.log(-np.expm1(products))


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
        output, config = self.output, self.config
        self.entity_types, self.relation_types = config.entity_types, config.relation_types
        self.labels = config.relation_labels
        self.undirected = frozenset(config.symmetric_relations if config.traits.reads_sentences else ())
        self.mention_scores = _sigmoid(output["mention_logits"]).tolist() if "mention_logits" in output else None
        if "entity_members" not in output:  # mentions alone: each stands for itself
            mentions = output["mentions"]
            output |= {"entity_members": mentions, "entity_documents": self.spans["document"][mentions]}
            output["entity_sizes"] = np.ones(len(mentions), dtype=np.int64)
        borders = pairwise([0, *output["entity_sizes"].cumsum().tolist()])
        self.members = [output["entity_members"][slice(*border)] for border in borders]  # spans by entity
        self.sentences = [self.spans["sentence"][spans].tolist() for spans in self.members]
        self.entity_scores: list[float] | None = None
        if "entity_type_logits" in output:
            self.entity_scores = Scaling.of(config, "entity").rescore(_entity_scores(output)).tolist()
        if "relation_logits" in output:
            logits = output["relation_logits"]  # [pairs, types]
            self.kept_pairs, self.kept_types = keep_relations(logits, self.cut).nonzero()
            self.kept_scores = _sigmoid(logits[self.kept_pairs, self.kept_types])

    def document(self, number: int, document: Document) -> Document:
        """The predicted entities and relations of one document of the batch."""
        first, end = np.searchsorted(self.output["entity_documents"], [number, number + 1]).tolist()
        members = self.members[first:end]
        relations = self._relations(first, end) if "relation_logits" in self.output else []
        entities = document.entities
        if self.given != "entities":
            kept = self._kept(first, end, relations)
            entities = tuple(self._entity(first + position, members[position], document) for position in kept)
            relations = relations if len(kept) == end - first else renumbered(relations, kept)
        if self.given == "clusters":
            typed = zip(document.entities, entities, strict=True)
            entities = tuple(replace(old, type=new.type, score=new.score) for old, new in typed)
        unknown: dict[str, Any] = dict.fromkeys(("candidates", "complete", "soft_relations", "sections"))
        return replace(document, entities=entities, relations=tuple(relations), **unknown)

    def _kept(self, first: int, end: int, relations: list[Relation]) -> dict[int, int]:
        """The new position of each of the entities that stay: all but spans without type and relation."""
        types = self.output.get("entity_types")
        related = {entity for relation in relations for entity in (relation.head, relation.tail)}
        stays = (n for n in range(end - first) if types is None or types[first + n] >= 0 or n in related)
        return {old: new for new, old in enumerate(stays)}

    def _entity(self, entity: int, spans: np.ndarray, document: Document) -> Entity:
        mentions = tuple(self._mention(span, document) for span in spans.tolist())
        if self.entity_scores is None or (kind := int(self.output["entity_types"][entity])) < 0:
            return Entity("", mentions)
        return Entity(self.entity_types[kind], mentions, score=self.entity_scores[entity])

    def _mention(self, span: int, document: Document) -> Mention:
        sentence = int(self.spans["sentence"][span])
        start, end = (self.spans["word_range"][span] - document.sentence_starts[sentence]).tolist()
        score = None if self.mention_scores is None else self.mention_scores[span]
        characters: tuple[Any, Any] = (None, None)
        if document.token_offsets is not None:
            offsets = document.token_offsets[sentence]
            characters = offsets[start][0], offsets[end - 1][1]
            if characters[0] >= characters[1]:  # a word may be without a character in the text
                characters = None, None
        return Mention(sentence, start, end, None, None, score, *characters)

    def _relations(self, first: int, end: int) -> list[Relation]:
        """Relations among the entities `first` to `end`, best score first."""
        heads = self.output["pairs"][self.kept_pairs, 0]
        inside = ((heads >= first) & (heads < end)).nonzero()[0]
        relations: dict[tuple[int, int, str], Relation] = {}
        for row in inside[np.argsort(-self.kept_scores[inside], kind="stable")].tolist():
            item = self._relation(row, first)
            if item.type in self.undirected and self._place(first + item.tail) < self._place(first + item.head):
                item = _reversed(item)
            relations.setdefault((item.head, item.tail, item.type), item)
        return list(relations.values())

    def _place(self, entity: int) -> int:
        """The word with which an entity begins."""
        return int(self.spans["word_range"][self.members[entity], 0].min())

    def _relation(self, row: int, first: int) -> Relation:
        pair, kind = self.kept_pairs[row], self.kept_types[row]
        head, tail = self.output["pairs"][pair].tolist()
        name, score = self.relation_types[kind], float(self.kept_scores[row])
        evidence = self._evidence(pair, kind, self.sentences[head], self.sentences[tail])
        return Relation(head - first, tail - first, name, label=self.labels.get(name), score=score, **evidence)

    def _evidence(self, pair: int, kind: int, head: Sequence[int], tail: Sequence[int]) -> dict[str, Any]:
        """What carried a type of an entity pair: mention pairs, and sentences with the weight of each.

        The sentences of the mentions of `head` and `tail` are listed.
        """
        output = self.output
        stated: dict[str, Any] = {}
        if "evidence_pair" in output:
            rows = slice(*np.searchsorted(output["evidence_pair"], [pair, pair + 1]))
            sentences, weights = output["evidence_sentence"][rows].tolist(), output["evidence_weight"][rows].tolist()
            stated = _in_order(dict(zip(sentences, weights, strict=True)))
        if "mention_pair_owner" not in output:
            return stated
        rows = slice(*np.searchsorted(output["mention_pair_owner"], [pair, pair + 1]))
        weights = output["mention_pair_weight"][rows]
        weights = (weights if weights.ndim == 1 else weights[:, kind]).tolist()
        heads, tails = output["mention_pair_head"][rows].tolist(), output["mention_pair_tail"][rows].tolist()
        by_key = self._scores_of("mention_pair_key_logits", rows, len(weights))
        by_relation = self._scores_of("mention_pair_logits", (rows, kind), len(weights))
        table = zip(heads, tails, weights, by_key, by_relation, strict=True)
        kept = sorted((row for row in table if row[2] > 0), key=lambda row: -row[2])
        carried: defaultdict[int, float] = defaultdict(float)
        for head_mention, tail_mention, weight, *_ in kept:
            for sentence in {head[head_mention], tail[tail_mention]}:
                carried[sentence] += weight
        return {"mention_pairs": tuple(MentionPair(*row) for row in kept), **_in_order(carried), **stated}

    def _scores_of(self, name: str, index: Any, count: int) -> list[float | None]:
        """The probabilities of some logits of the output, None where the model gives none."""
        return _sigmoid(self.output[name][index]).tolist() if name in self.output else [None] * count


def _in_order(weights: Mapping[int, float]) -> dict[str, Any]:
    """Sentences in the order of the document, with what each one weighs."""
    evidence = sorted(weights)
    return {"evidence": tuple(evidence), "evidence_scores": tuple(weights[sentence] for sentence in evidence)}


def without_overlaps(document: Document, rule: str) -> Document:
    """The document without mentions that share words; entities that lose all of theirs go, and with them relations.

    Mention pairs of which a mention goes are left out of their relation, whose score and evidence stay.

    Args:
        document: a predicted document.
        rule: `"flat"` keeps the mention with the best score (its entity's, where it has none), then the longest;
            `"longest"` the longest, then the one with the best score. Of equal ones the first stays.
    """

    def rank(place: tuple[int, int]) -> tuple[float, ...]:
        entity = document.entities[place[0]]
        mention = entity.mentions[place[1]]
        score = next((value for value in (mention.score, entity.score) if value is not None), 0.0)
        start, end = document.span(mention)
        return (start - end, -score, start) if rule == "longest" else (-score, start - end, start)

    places = [(entity, n) for entity, item in enumerate(document.entities) for n in range(len(item.mentions))]
    taken: set[int] = set()  # words of the document
    kept: defaultdict[int, list[int]] = defaultdict(list)  # by entity
    for entity, number in sorted(places, key=rank):
        words = set(range(*document.span(document.entities[entity].mentions[number])))
        if taken.isdisjoint(words):
            taken |= words
            kept[entity] = sorted([*kept[entity], number])
    positions = {entity: position for position, entity in enumerate(sorted(kept))}
    mentions = [tuple(document.entities[entity].mentions[n] for n in kept[entity]) for entity in positions]
    entities = (replace(document.entities[e], mentions=own) for e, own in zip(positions, mentions, strict=True))
    relations = [_of_mentions(item, kept[item.head], kept[item.tail]) for item in document.relations]
    return replace(document, entities=tuple(entities), relations=tuple(renumbered(relations, positions)))


def _of_mentions(relation: Relation, heads: Sequence[int], tails: Sequence[int]) -> Relation:
    """The relation with only the mention pairs of some mentions of its head and tail, which are counted anew."""
    pairs = relation.mention_pairs and tuple(
        replace(pair, head_mention=heads.index(pair.head_mention), tail_mention=tails.index(pair.tail_mention))
        for pair in relation.mention_pairs
        if pair.head_mention in heads and pair.tail_mention in tails
    )
    return replace(relation, mention_pairs=pairs)
