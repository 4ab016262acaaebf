"""The contenders' input: real documents, and longer ones made of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

from modeling_docre import Document, Entity, Relation, read_docred
from modeling_docre.annotations.records import iter_records
from modeling_docre.segments import token_batches

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE = REPOSITORY / "dataset_scripts" / "sample_data" / "train.jsonl"

Batches = list[list[Document]]


@dataclass(frozen=True)
class Workload:
    """Documents in batches: `inference` with several documents per batch, `training` with one or a few."""

    name: str
    inference: Batches
    training: Batches

    @property
    def documents(self) -> list[Document]:
        """The documents of the inference batches."""
        return [document for batch in self.inference for document in batch]


def default_data() -> Path:
    """Re-DocRED's validation file if the development data has it, else the bundled sample corpus."""
    root = Path(os.environ.get("DOCRE_DATA", REPOSITORY.parent / "shared" / "data"))
    file = root / "re_docred" / "validation.json"
    return file if file.exists() else SAMPLE


def read_documents(file: Path) -> list[Document]:
    """Documents of a file in DocRED's JSON, or of a `.jsonl` file of Document dicts.

    Raises:
        ValueError: the file has no words.
    """
    if file.suffix == ".jsonl":
        documents = [Document.from_dict(record) for record in iter_records(file)]
    else:
        documents, _ = read_docred(file)
    if not any(document.sentence_starts[-1] for document in documents):
        raise ValueError(f"{file} holds no document with words; name another file with --data")
    return documents


def label_lists(documents: Sequence[Document]) -> dict[str, list[str]]:
    """The entity and relation types that documents use, each sorted."""
    return {
        "entity_types": sorted({entity.type for document in documents for entity in document.entities}),
        "relation_types": sorted({relation.type for document in documents for relation in document.relations}),
    }


def corpus_workload(
    documents: Sequence[Document],
    lengths: Sequence[int],
    training_documents: int,
    max_tokens: int,
    training_batch: int = 1,
) -> Workload:
    """Documents in their order: inference batches limited by subwords (`lengths`), training batches by documents.

    An incomplete last training batch is left out.
    """
    inference = [[documents[index] for index in batch] for batch in token_batches(lengths, max_tokens)]
    training = list(documents[:training_documents])
    starts = range(0, max(1, len(training) - training_batch + 1), training_batch)
    return Workload("corpus", inference, [training[start : start + training_batch] for start in starts])


def concatenate(documents: Sequence[Document], words: int) -> Document:
    """Join real documents into one of at most `words` words, with their entities and relations.

    It ends with the last sentence that fits; the first sentence is always kept. Documents repeat if the corpus is too
    short. No entity spans two documents, so mentions and entities grow with the length, and pairs with its square.
    """
    sentences: list[tuple[str, ...]] = []
    entities: list[Entity] = []
    relations: list[Relation] = []
    for document in cycle(documents):
        if sum(map(len, sentences)) > words:
            break
        first_sentence, first_entity = len(sentences), len(entities)
        sentences += document.sentences
        for entity in document.entities:
            mentions = (
                replace(mention, sentence=mention.sentence + first_sentence, char_start=None, char_end=None)
                for mention in entity.mentions
            )
            entities.append(replace(entity, mentions=tuple(mentions)))
        for relation in document.relations:
            head, tail = relation.head + first_entity, relation.tail + first_entity
            bare = replace(relation, evidence=None, evidence_scores=None, mention_pairs=None)
            relations.append(replace(bare, head=head, tail=tail))
    joined = Document(f"{words} words", tuple(sentences), tuple(entities), tuple(relations))
    return _first_words(joined, words)


def _first_words(document: Document, words: int) -> Document:
    """The leading sentences with at most `words` words, and the entities and relations inside them."""
    ends = document.sentence_starts[1:]
    count = max(1, sum(end <= words for end in ends))
    kept = [tuple(m for m in entity.mentions if m.sentence < count) for entity in document.entities]
    index = {old: new for new, old in enumerate(number for number, mentions in enumerate(kept) if mentions)}
    return replace(
        document,
        sentences=document.sentences[:count],
        entities=tuple(replace(document.entities[number], mentions=kept[number]) for number in index),
        relations=tuple(
            replace(relation, head=index[relation.head], tail=index[relation.tail])
            for relation in document.relations
            if relation.head in index and relation.tail in index
        ),
    )
