"""Stages (a) and (b) of JEREX: which spans are mentions, and which mentions refer to the same entity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist
from scipy.cluster.hierarchy import linkage
from torch import Tensor, nn

from .candidates import Entities, Spans
from .configuration_end_to_end import EndToEndConfig
from .layers import ClampedEmbedding, TwoLayer
from .segments import in_chunks, positions_in_segments

# Pairs scored at once: bounds the memory of documents with thousands of mentions.
PAIR_CHUNK = 65_536


class MentionClassifier(nn.Module):
    """Scores spans as mentions from their pooled vector and their size in words (JEREX section 3.1).

    Row 0 of the size embedding is unused, sizes beyond it share the last row.
    """

    def __init__(self, hidden_size: int, meta_size: int, size_rows: int, dropout: float):
        super().__init__()
        self.size_embedding = ClampedEmbedding(size_rows, meta_size)
        self.classifier = TwoLayer([hidden_size, meta_size], hidden_size, 1, dropout)

    def forward(self, span_vectors: Tensor, sizes: Tensor) -> Tensor:
        """Logits [spans] of span vectors [spans, hidden] and sizes in words [spans] int64."""
        return self.classifier(span_vectors, self.size_embedding.part(sizes)).squeeze(1)


def select_mentions(logits: Tensor, threshold: float) -> Tensor:
    """Positions of the spans whose score reaches the threshold, ascending; [mentions] int64."""
    return (torch.sigmoid(logits.float()) >= threshold).nonzero().squeeze(1)


class CoreferenceScorer(nn.Module):
    """Scores ordered mention pairs from both vectors and the edit distance of their strings (JEREX section 3.2)."""

    def __init__(self, hidden_size: int, meta_size: int, distance_rows: int, dropout: float):
        super().__init__()
        self.distance_embedding = ClampedEmbedding(distance_rows, meta_size)
        self.classifier = TwoLayer([hidden_size, hidden_size, meta_size], hidden_size, 1, dropout)

    def forward(self, mention_vectors: Tensor, pairs: Tensor, distances: Tensor) -> Tensor:
        """Logits [pairs] of mention pairs.

        Args:
            mention_vectors: [mentions, hidden].
            pairs: [pairs, 2], int64 positions in `mention_vectors`.
            distances: [pairs], int64 character edit distances.
        """

        def score(rows: slice) -> Tensor:
            head, tail = pairs[rows].unbind(1)
            distance = self.distance_embedding.part(distances[rows])
            return self.classifier((mention_vectors, head), (mention_vectors, tail), distance).squeeze(1)

        return in_chunks(score, len(pairs), PAIR_CHUNK)


def coreference_pairs(documents: Tensor, both_orders: bool = False) -> Tensor:
    """Pairs of mentions of the same document, the earlier one first: [pairs, 2] int64 positions, row-major.

    Args:
        documents: [mentions], int64, ascending: the document of each mention.
        both_orders: whether each pair is listed in the reversed order too (appended after all others).
    """
    ends = torch.bincount(documents).cumsum(0)[documents]
    later = ends - torch.arange(len(documents), device=documents.device) - 1  # mentions after this one
    first, offset = positions_in_segments(later)
    pairs = torch.stack([first, first + 1 + offset], dim=1)
    return torch.cat([pairs, pairs.flip(1)]) if both_orders else pairs


@torch.compiler.disable  # strings on the host
def _texts_of(mentions: Tensor, texts: Sequence[str], spans: int) -> list[str]:
    """The strings of mentions among those of all spans."""
    if len(texts) != spans:
        raise ValueError(f"span_texts has {len(texts)} strings for {spans} spans; give one per span")
    return [texts[index] for index in mentions.tolist()]


@torch.compiler.disable  # NumPy on the host
def edit_distances(texts: Sequence[str], documents: Tensor, pairs: Tensor) -> Tensor:
    """Character Levenshtein distances (unit costs, case-sensitive) between mention strings, [pairs] int64.

    From the string and the document [mentions] int64, ascending, of each mention, and pairs [pairs, 2] int64 of
    positions in `texts`, both of one document.
    """
    of_document = documents.cpu().numpy()
    counts = np.bincount(of_document)
    first, before = counts.cumsum() - counts, (counts**2).cumsum() - counts**2
    lists = [[texts[n] for n in range(start, start + count)] for start, count in zip(first, counts, strict=True)]
    tables = [cdist(own, own, scorer=Levenshtein.distance, dtype=np.int32).ravel() for own in lists if own]
    earlier, later = pairs.cpu().numpy().T
    document = of_document[earlier]
    rows = before[document] + (earlier - first[document]) * counts[document] + later - first[document]
    distances = np.concatenate([np.zeros(0, np.int32), *tables])[rows]
    return torch.from_numpy(distances.astype(np.int64)).to(pairs.device)


def symmetric_scores(scores: Tensor, mode: str) -> Tensor:
    """One score per unordered pair, [pairs], by the configuration's `coref_symmetrise`.

    The scores are [pairs] for `"upper"`, else [2 * pairs] with the reversed orders appended.
    """
    if mode == "upper":
        return scores
    both = scores.view(2, -1)
    return both.mean(0) if mode == "mean" else both.amin(0)


def complete_linkage(scores: np.ndarray, count: int, threshold: float) -> np.ndarray:
    """Cluster mentions so that every pair inside a cluster scores above the threshold.

    Agglomerative complete linkage on the distances 1 - score, merging while the distance stays strictly below
    1 - threshold. From the scores [count * (count - 1) / 2] of the pairs (earlier, later), row-major, to cluster
    numbers [count] int64, in the order of the clusters' first mentions.
    """
    if count < 2:
        return np.zeros(count, dtype=np.int64)
    tree = linkage(1.0 - scores.astype(np.float64), method="complete")
    merged = tree[tree[:, 2] < 1.0 - threshold, :2].astype(np.int64)  # ascending; row i makes node count + i
    parents = np.arange(count + len(merged))
    parents[merged] = np.arange(count, len(parents))[:, None]
    while (parents[parents] != parents).any():
        parents = parents[parents]
    first = np.full(len(parents), count)
    np.minimum.at(first, parents[:count], np.arange(count))
    return np.unique(first[parents[:count]], return_inverse=True)[1]


@torch.compiler.disable  # NumPy on the host
def cluster_mentions(mentions: Tensor, documents: Tensor, scores: Tensor, threshold: float) -> Entities:
    """Entities of a batch, ordered by document and first mention; each mention belongs to exactly one.

    From span indices [mentions] int64 in candidate order, the document of each mention [mentions] int64, ascending, the
    scores [pairs] of the pairs of `coreference_pairs`, and the least score of every pair inside a cluster.
    """
    counts = np.bincount(documents.cpu().numpy())
    parts = np.split(scores.detach().float().cpu().numpy(), (counts * (counts - 1) // 2).cumsum())
    clusters = [complete_linkage(part, count, threshold) for part, count in zip(parts, counts.tolist(), strict=False)]
    found = np.array([numbers.max(initial=-1) + 1 for numbers in clusters], dtype=np.int64)
    owner = np.concatenate([np.zeros(0, dtype=np.int64), *map(np.add, clusters, found.cumsum() - found)])
    arrays = np.argsort(owner, kind="stable"), np.bincount(owner), np.repeat(np.arange(len(found)), found)
    order, sizes, owner_documents = (torch.from_numpy(array).to(mentions.device) for array in arrays)
    return Entities(mentions[order], sizes, owner_documents)


@torch.compiler.disable  # NumPy on the host
def in_text_order(entities: Entities, spans: Spans) -> Entities:
    """The entities of each document, and their mentions, in the order in which the text names them."""
    owner, document = entities.owners.cpu().numpy(), entities.document.cpu().numpy()
    start, end = spans.word_range[entities.members].cpu().numpy().T
    first = np.full(len(document), np.iinfo(np.int64).max)
    np.minimum.at(first, owner, start)
    listed = np.lexsort((first, document))  # old numbers of the entities
    of_mentions = np.lexsort((end, start, listed.argsort()[owner]))
    order, numbers = (torch.from_numpy(array).to(entities.members.device) for array in (of_mentions, listed))
    return Entities(entities.members[order], entities.sizes[numbers], entities.document)


def find_entities(mentions: Tensor, spans: Spans, scores: Tensor, threshold: float) -> Entities:
    """What `cluster_mentions` makes of mentions, in the order in which the text names them."""
    return in_text_order(cluster_mentions(mentions, spans.document[mentions], scores, threshold), spans)


def linkage_scores(mentions: Tensor, entities: Entities, pairs: Tensor, scores: Tensor) -> Tensor:
    """The lowest score of the mention pairs of each entity, [entities]; 1 for an entity with a single mention.

    Under complete linkage that is the score at which the last two parts of the cluster were joined. From span indices
    [mentions] int64, ascending, their entities, and one score [pairs] for each of the unordered pairs [pairs, 2] int64
    of positions in `mentions`.
    """
    owners = torch.empty_like(mentions)
    owners[torch.searchsorted(mentions, entities.members)] = entities.owners
    head, tail = owners[pairs].unbind(1)
    inside = (head == tail).nonzero().squeeze(1)
    whole = scores.new_ones(len(entities.sizes))
    return whole.scatter_reduce(0, head[inside], scores[inside], "amin")


def resolve_mentions(
    scorer: CoreferenceScorer,
    vectors: Tensor,
    spans: Spans,
    texts: Sequence[str],
    mentions: Tensor,
    config: EndToEndConfig,
) -> tuple[dict[str, Tensor], Entities]:
    """Score all mention pairs of each document and cluster its mentions.

    From the vectors [spans, hidden] and strings of the batch's spans, and the indices of those that are mentions
    [mentions] int64 in candidate order, come `coreference_logits` [pairs] of `coreference_pairs`,
    `entity_linkage_scores` [entities], and the entities, in the order in which the text names them.

    Raises:
        ValueError: there is not one string per span.
    """
    documents = spans.document[mentions]
    pairs = coreference_pairs(documents, both_orders=config.coref_symmetrise != "upper")
    distances = edit_distances(_texts_of(mentions, texts, len(spans.document)), documents, pairs)
    logits = scorer(vectors[mentions], pairs, distances)
    scores = symmetric_scores(torch.sigmoid(logits.float()), config.coref_symmetrise)
    clusters = find_entities(mentions, spans, scores, config.coreference_threshold)
    linkage = linkage_scores(mentions, clusters, pairs[: len(scores)], scores)
    return {"coreference_logits": logits, "entity_linkage_scores": linkage}, clusters
