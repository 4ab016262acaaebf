"""CDR's real files: what comes out of them is what the standard processing of the corpus gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dataset_scripts.building.statistics import corpus_statistics
from dataset_scripts.cdr import Cdr
from dataset_scripts.readers.abstracts import COMPOSITE, CORRECTED, UNGROUNDED
from modeling_docre.documents import Candidate, Document
from modeling_docre.training.recall_ceiling import measure_reach

FIGURES: dict[str, dict[str, int]] = {
    "train": {
        "annotation rows of type Chemical": 5203,
        "annotation rows of type Disease": 4182,
        UNGROUNDED: 76,
        COMPOSITE: 98,
        "documents": 500,
        "entities": 3433,
        "entities of type Chemical": 1468,
        "entities of type Disease": 1965,
        "mentions": 9414,
        "relations": 1038,
        "candidate pairs": 1038 + 4396,
        "candidate pairs related": 1038,
        "candidate pairs left out of scoring": 192,
        "L2R": 3123,
        "R2L": 2311,
        "entities that share a span with another": 119,
        "entities with the same spans as another": 58,
        "relations of an entity that shares a span": 78,
        "mentions repeated within their entity": 2,
        "pairs of different spans that overlap": 0,
    },
    "validation": {
        "annotation rows of type Chemical": 5347,
        "annotation rows of type Disease": 4244,
        UNGROUNDED: 59,
        COMPOSITE: 100,
        "documents": 500,
        "entities": 3371,
        "entities of type Chemical": 1507,
        "entities of type Disease": 1864,
        "mentions": 9635,
        "relations": 1012,
        "candidate pairs": 1012 + 4249,
        "candidate pairs related": 1012,
        "candidate pairs left out of scoring": 174,
        "L2R": 3008,
        "R2L": 2253,
        "entities that share a span with another": 114,
        "entities with the same spans as another": 69,
        "relations of an entity that shares a span": 84,
        "mentions repeated within their entity": 0,
    },
}
"""What the standard processing (edge-oriented graph release) gives, and what the files themselves show."""


@dataclass
class Split:
    """The documents of a file and the report on reading it."""

    documents: list[Document]
    report: dict[str, int]
    changed: bool


def _read(builder: Cdr, path: Path) -> Split:
    reports: list[tuple[object, bool]] = []
    builder.log_report = lambda paths, report, changed: reports.append((report, changed))  # type: ignore[method-assign]
    documents = list(builder.read([str(path)]))
    [(report, changed)] = reports
    rows = (line.rsplit(maxsplit=1) for line in str(report).splitlines())
    return Split(documents, {text.strip(): int(number.replace(",", "")) for text, number in rows}, changed)


@pytest.fixture(scope="module")
def folder(shared_data: Callable[[str], Path]) -> Path:
    return shared_data("cdr/CDR_TrainingSet.PubTator.txt").parent


@pytest.fixture(scope="module")
def real(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Split]:
    builder = Cdr(str(tmp_path_factory.mktemp("cache")), data_dir=folder)
    return {split: _read(builder, folder / Cdr.SOURCES["default"][split].names[0]) for split in FIGURES}


def _first_blocks(folder: Path, count: int, path: Path) -> Path:
    """A file of the first training documents."""
    blocks = (folder / "CDR_TrainingSet.PubTator.txt").read_text().split("\n\n")
    path.write_text("\n\n".join(blocks[:count]) + "\n")
    return path


@pytest.mark.parametrize("split", list(FIGURES))
def test_figures(split: str, real: dict[str, Split]) -> None:
    found = real[split]
    heads = [d.entities[c.head].type for d in found.documents for c in d.candidates or ()]
    figures = {"L2R": heads.count("Chemical"), "R2L": heads.count("Disease")}
    figures |= corpus_statistics(found.documents) | found.report
    assert {name: figures[name] for name in FIGURES[split]} == FIGURES[split]
    assert not found.changed, "no row is left out and no id is changed"


def test_what_a_joint_model_can_reach(real: dict[str, Split]) -> None:
    found = {split: measure_reach(part.documents, 10) for split, part in real.items()}
    assert (found["train"].reachable_relations, found["train"].relations) == (995, 1022)
    assert (found["validation"].reachable_relations, found["validation"].relations) == (971, 997)
    assert (found["train"].reachable_entities, found["train"].entities) == (3362, 3403)
    assert (found["validation"].reachable_entities, found["validation"].entities) == (3302, 3336)


def test_scored_pairs_of_the_training_documents(real: dict[str, Split]) -> None:
    """Concepts, related pairs, unrelated pairs and filtered pairs as the standard processing has them."""
    found = real["train"].documents
    related = [{(r.head, r.tail) for r in document.relations} for document in found]
    pairs = [(c, (c.head, c.tail) in r) for d, r in zip(found, related, strict=True) for c in d.candidates or ()]
    positive = sum(label for c, label in pairs if c.scored)
    negative = sum(not label for c, label in pairs if c.scored)
    left_out = [label for c, label in pairs if not c.scored]
    assert (sum(len(d.entities) for d in found), positive, negative, len(left_out)) == (3433, 1038, 4204, 192)
    assert not any(left_out), "no related pair is left out"


@pytest.mark.parametrize("split", list(FIGURES))
def test_every_mention_covers_whole_words(split: str, real: dict[str, Split]) -> None:
    for document in real[split].documents:
        assert document.text is not None and document.token_offsets is not None
        for mention in (mention for entity in document.entities for mention in entity.mentions):
            offsets = document.token_offsets[mention.sentence]
            found = offsets[mention.start][0], offsets[mention.end - 1][1]
            assert found == (mention.char_start, mention.char_end), document.id


@pytest.mark.parametrize("split", list(FIGURES))
def test_relations_are_candidates_in_the_order_of_the_text(split: str, real: dict[str, Split]) -> None:
    for document in real[split].documents:
        starts = [document.span(entity.mentions[0])[0] for entity in document.entities]
        assert starts == sorted(starts), document.id
        asked = [(c.head, c.tail) for c in document.candidates or ()]
        assert len(asked) == len(set(asked)) and all(head < tail for head, tail in asked)
        assert {(r.head, r.tail) for r in document.relations} <= set(asked)


def test_the_direction_changes_no_pair(real: dict[str, Split], folder: Path, tmp_path: Path) -> None:
    builder = Cdr(str(tmp_path), config_name="chemical", data_dir=folder)
    by_type = _read(builder, _first_blocks(folder, 60, tmp_path / "first.txt")).documents
    assert len(by_type) == 60
    for first, document in zip(real["train"].documents, by_type, strict=False):
        assert first.entities == document.entities
        asked, oriented = first.candidates or (), document.candidates or ()
        assert all(document.entities[c.head].type == "Chemical" for c in oriented)
        assert _flags(asked) == _flags(oriented), document.id
        assert {frozenset((r.head, r.tail)) for r in first.relations} == {
            frozenset((r.head, r.tail)) for r in document.relations
        }


def _flags(candidates: tuple[Candidate, ...]) -> dict[frozenset[int], tuple[bool, bool | None]]:
    return {frozenset((c.head, c.tail)): (c.scored, c.cross) for c in candidates}


def test_the_malformed_id_can_be_corrected(real: dict[str, Split], folder: Path, tmp_path: Path) -> None:
    [before], path = real["train"].documents[:1], _first_blocks(folder, 1, tmp_path / "first.txt")
    cleaned = _read(Cdr(str(tmp_path), clean_ids=True, data_dir=folder), path)
    [after] = cleaned.documents
    assert cleaned.report[CORRECTED] == 1 and before.id == after.id == "227508"
    assert {e.id for e in before.entities} - {e.id for e in after.entities} == {"D003000f"}
    assert sum(len(e.mentions) for e in before.entities) == sum(len(e.mentions) for e in after.entities)
    # one chemical less, and with it one pair less for each of the two diseases
    assert (len(before.candidates or ()), len(after.candidates or ())) == (8, 6)
