"""Many documents by one model: the results of the pipeline, whatever shares a batch, and errors that stay alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pipelines import ENTITIES, TEXTS, build, close, decisive_atlop, decisive_jerex
from tiny import tiny_tokenizer

from modeling_docre.annotations.sources import Source
from modeling_docre.documents import DocumentError
from modeling_docre.scale.extractor import Extractor

SOURCES = [Source(text, f"t{number}") for number, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Any:
    def save(model: Any) -> str:
        folder = tmp_path_factory.mktemp("model")
        model.save_pretrained(folder)
        tiny_tokenizer().save_pretrained(folder)
        return str(folder)

    return save


def test_the_results_are_those_of_the_pipeline_in_batches_by_subwords(saved: Any, monkeypatch: Any) -> None:
    model = decisive_jerex()
    extract, sizes = Extractor(saved(model), max_tokens=64, threshold=0.4, relations=["born"]), []
    forward = extract.pipeline.forward
    monkeypatch.setattr(extract.pipeline, "forward", lambda batch, **o: sizes.append(len(batch)) or forward(batch, **o))
    expected = [build(model)(text, threshold=0.4, relations=["born"]) for text in TEXTS]
    found = extract(SOURCES)
    assert close([item.graph for item in found], [{**item, "id": f"t{n}"} for n, item in enumerate(expected)])
    assert [item.id for item in found] == [source.id for source in SOURCES] and max(sizes) > 1 and len(sizes) > 1


def test_known_entities_share_no_batch_with_unknown_ones(saved: Any) -> None:
    extract = Extractor(saved(decisive_jerex()))
    given = Source(TEXTS[0], "given", ENTITIES)
    found = extract([SOURCES[0], given, SOURCES[1]])
    assert [item.error for item in found] == [None] * 3
    assert [len(entity["mentions"]) for entity in found[1].graph["entities"]] == [2, 1, 1]
    assert close([found[0], found[2]], extract(SOURCES[:2]))


def test_an_error_stays_with_its_document(saved: Any, monkeypatch: Any) -> None:
    extract = Extractor(saved(decisive_atlop()))
    unread = Source(None, "unread", error=ValueError("not in UTF-8"))
    related, bare = Source(TEXTS[0], "related", ENTITIES), Source(TEXTS[1], "bare")
    found = extract([unread, related, bare])
    assert [item.graph is None for item in found] == [True, False, True]
    assert str(found[0].error) == "not in UTF-8"
    assert isinstance(found[2].error, DocumentError) and found[2].error.document_id == "bare"

    forward = extract.pipeline.forward

    def failing(batch: Any, **options: Any) -> Any:
        if any(item["features"][0].document.id == "large" for item in batch):
            raise torch.OutOfMemoryError("out of memory")
        return forward(batch, **options)

    monkeypatch.setattr(extract.pipeline, "forward", failing)
    more = extract(
        [related, Source(TEXTS[4], "large", [{"type": "ORG", "mentions": [{"char_start": 4, "char_end": 13}]}])]
    )
    assert close(more[0], found[1]) and isinstance(more[1].error, torch.OutOfMemoryError)

    def broken(batch: Any, **options: Any) -> Any:
        raise torch.AcceleratorError("device-side assert")

    monkeypatch.setattr(extract.pipeline, "forward", broken)
    with pytest.raises(torch.AcceleratorError):
        extract([related])
