"""The pipeline: what it accepts, what it returns, in which order, and that it works without the package installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from pipelines import ENTITIES, PAIRS, TEXTS, build, close, decisive_jerex, run_without_package, spans
from tiny import RELATION_TYPES, save_tiny, tiny_jerex, tiny_tokenizer
from torch.utils.data import Dataset
from transformers import pipeline
from transformers.pipelines import PIPELINE_REGISTRY

from modeling_docre import DocRelationExtractionPipeline, Document, DocumentError, Predictor, result_features
from modeling_docre.pipeline_docre import register
from modeling_docre.text import document_from_text


@pytest.fixture(scope="module")
def extract() -> DocRelationExtractionPipeline:
    """A model that finds entities and relations itself."""
    return build(decisive_jerex(relation_labels={"born": "place of birth"}))


@pytest.fixture(scope="module")
def relate() -> DocRelationExtractionPipeline:
    """A model that finds relations between given entities."""
    return build(decisive_jerex(task="relation", relation_threshold=0.0))


def places(result: dict[str, Any]) -> list[list[tuple[int, ...]]]:
    """Sentence, first word and end of each mention by entity."""
    return [[(m["sentence"], m["start"], m["end"]) for m in entity["mentions"]] for entity in result["entities"]]


def test_a_text_may_have_an_id(extract: DocRelationExtractionPipeline, relate: DocRelationExtractionPipeline) -> None:
    """And then what a result has: a result that is given back is the document that it was."""
    plain, named = extract([TEXTS[0], {"id": "a letter", "text": TEXTS[0]}])
    assert (plain["id"], named["id"]) == ("text-0", "a letter")
    assert {**named, "id": "text-0"} == plain
    assert extract({"text": TEXTS[0]}) == plain
    marked = {"id": "a letter", "text": TEXTS[0], "entities": ENTITIES}
    assert relate(marked) == {**relate(TEXTS[0], entities=ENTITIES), "id": "a letter"}
    with pytest.raises(DocumentError, match="document 'a letter': entities is None; give the entities to relate"):
        relate({"id": "a letter", "text": TEXTS[0]})
    for broken, message in (
        ({"id": 7, "text": "a"}, "id is 7; give a non-empty string"),
        ({"id": "", "text": "a"}, "id is ''; give a non-empty string"),
        ({"text": 3}, "text is 3; give a"),
        ({"id": "a"}, "text is None; give a string, or sentences of words"),
        ({"txt": "a"}, r"document\.txt is 'a'; give the text as \"text\"; known are id, sentences, .*, text, "),
        ({"text": "b", "label": 1}, r"document\.label is 1; drop this key; .*; of a dataset give .* rows\[\"text\"\]"),
        ({"text": "b", "txt": "a"}, r"document\.txt is 'a'; drop this key"),
    ):
        with pytest.raises(DocumentError, match=message):
            extract(broken)


def test_no_two_inputs_of_a_list_have_one_id(extract: DocRelationExtractionPipeline) -> None:
    words = {"sentences": [["Anna", "met", "Tom"]]}
    assert [found["id"] for found in extract([TEXTS[1], words, {**words, "id": None}])] == [
        "text-0",
        "text-1",
        "text-2",
    ]
    one, taken = {"id": "one", "text": TEXTS[1]}, {"id": "text-1", "text": TEXTS[1]}
    for inputs, message in (
        (
            [one, TEXTS[1], Document("one", ())],
            "document 'one': id is 'one'; inputs 0 and 2 have this id; give each its",
        ),
        ([taken, TEXTS[1]], "document 'text-1': id is 'text-1'; inputs 0 and 1 have this id"),
    ):
        for listed in (inputs, tuple(inputs)):
            with pytest.raises(DocumentError, match=message):
                extract(listed)
        assert len(list(extract(iter(inputs)))) == len(inputs)


def test_labels_of_a_document_are_not_those_of_its_result(extract: DocRelationExtractionPipeline) -> None:
    training = {"complete": {"relations": False}, "soft_relations": [{"head": 0, "tail": 1, "type": "x", "score": 0.5}]}
    document = extract(TEXTS[0])
    assert extract({**document, **training}) == document


def test_map_needs_no_first_result_with_content(extract: DocRelationExtractionPipeline) -> None:
    texts = datasets.Dataset.from_dict({"content": ["", *TEXTS[:3]]})
    features = datasets.Features({**texts.features, **result_features()})
    found = texts.map(lambda row: extract(row["content"]), features=features)
    assert found.features == features
    rows = [{name: value for name, value in row.items() if name != "content"} for row in found]
    assert [Document.from_dict(row).to_dict() for row in rows] == [extract(text) for text in ["", *TEXTS[:3]]]


def test_result_of_a_text(extract: DocRelationExtractionPipeline) -> None:
    result = extract(TEXTS[0])
    assert result["entities"] and result["relations"]
    assert json.loads(json.dumps(result)) == result
    Document.from_dict(result)
    for entity in result["entities"]:
        assert entity["type"] in extract.model.config.entity_types and 0 <= entity["score"] <= 1
        for mention in entity["mentions"]:
            assert mention["name"] == TEXTS[0][mention["char_start"] : mention["char_end"]]
            assert extract.model.config.mention_threshold <= mention["score"] <= 1
    scores = [relation["score"] for relation in result["relations"]]
    assert scores == sorted(scores, reverse=True) and scores[-1] >= extract.model.config.relation_threshold
    for relation in result["relations"]:
        assert relation.get("label") == {"born": "place of birth"}.get(relation["type"])
        carriers = relation["mention_pairs"]
        assert sum(pair["score"] for pair in carriers) == pytest.approx(1, abs=1e-4)
        sentences = set()
        for pair in carriers:
            sentences.add(result["entities"][relation["head"]]["mentions"][pair["head_mention"]]["sentence"])
            sentences.add(result["entities"][relation["tail"]]["mentions"][pair["tail_mention"]]["sentence"])
        assert relation["evidence"] == sorted(sentences)
        assert len(relation["evidence_scores"]) == len(sentences)


def test_result_equals_the_predictor(extract: DocRelationExtractionPipeline) -> None:
    document = document_from_text(TEXTS[2], "text-0")
    expected = Predictor(extract.model, extract.tokenizer).predict([document])[0].to_dict()
    result = extract(TEXTS[2])
    for mention in (mention for entity in result["entities"] for mention in entity["mentions"]):
        del mention["name"]
    for pair in (pair for relation in result["relations"] for pair in relation["mention_pairs"]):
        del pair["head_offsets"], pair["tail_offsets"]
    assert close(result, expected)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_lists_keep_their_order(extract: DocRelationExtractionPipeline, batch_size: int) -> None:
    single = [{**extract(text), "id": f"text-{number}"} for number, text in enumerate(TEXTS)]
    assert len({len(result["entities"]) for result in single}) > 1
    results = extract(TEXTS, batch_size=batch_size)
    assert isinstance(results, list) and close(results, single)
    assert close(extract(tuple(TEXTS), batch_size=batch_size), single)
    assert extract([], batch_size=batch_size) == []


def test_batches_hold_neighbours_in_length(extract: DocRelationExtractionPipeline, monkeypatch: Any) -> None:
    seen = []
    forward = extract._forward
    monkeypatch.setattr(
        extract,
        "_forward",
        lambda inputs, **options: (
            seen.append([len(i["features"][0].input_ids) for i in inputs]) or forward(inputs, **options)
        ),
    )
    lengths = [3, 30, 4, 29, 2, 31]
    results = extract(["a " * length for length in lengths], batch_size=2)
    assert seen == [[31, 30], [29, 4], [3, 2]]
    assert [len(result["sentences"][0]) for result in results] == lengths


def test_generators_are_read_as_needed(extract: DocRelationExtractionPipeline) -> None:
    read = []

    def texts() -> Iterator[str]:
        for number in range(100):
            read.append(number)
            yield f"Anna {number}"

    results = extract(texts())
    assert read == []
    assert next(results)["text"] == "Anna 0" and len(read) == 1
    assert next(extract(texts(), batch_size=2))["text"] == "Anna 0" and len(read) == 1 + 64
    results = extract((text for text in TEXTS), batch_size=2)
    assert [result["text"] for result in results] == TEXTS


def test_datasets_stream(extract: DocRelationExtractionPipeline) -> None:
    class Texts(Dataset):
        def __len__(self) -> int:
            return len(TEXTS)

        def __getitem__(self, position: int) -> str:
            return TEXTS[position % len(TEXTS)]

    results = extract(Texts())
    assert not isinstance(results, list)
    assert [result["text"] for result in results] == TEXTS


def test_words_and_documents(extract: DocRelationExtractionPipeline) -> None:
    document = document_from_text(TEXTS[0], "mine")
    words = [list(sentence) for sentence in document.sentences]
    from_text, from_words, from_document = extract(TEXTS[0]), extract(words), extract(document)
    assert from_document == {**from_text, "id": "mine"} == extract(document.to_dict())
    assert places(from_words) == places(from_text) and from_words["sentences"] == words
    assert "text" not in from_words and "char_start" not in from_words["entities"][0]["mentions"][0]
    mixed = extract([TEXTS[0], words, document, {**document.to_dict(), "id": "also mine"}, []])
    assert [result["id"] for result in mixed] == ["text-0", "text-1", "mine", "also mine", "text-4"]
    assert [places(result) for result in mixed[:4]] == [places(from_text)] * 4 and mixed[4]["sentences"] == []
    assert [result["sentences"] for result in extract([words, words[:1]])] == [words, words[:1]]
    assert extract([[], []])["sentences"] == [[], []]


@pytest.mark.parametrize("inputs", [5, None, [5], [TEXTS[0], ["two", "words"]], [[["a"], [1]]]])
def test_wrong_inputs(extract: DocRelationExtractionPipeline, inputs: Any) -> None:
    with pytest.raises(TypeError, match="give a string"):
        extract(inputs)
    with pytest.raises(DocumentError, match="sentences"):
        extract({"id": "a"})


def test_what_only_looks_like_several_inputs(extract: DocRelationExtractionPipeline) -> None:
    class Table(list):
        columns = ("text",)

    with pytest.raises(TypeError, match="decode the bytes"):
        list(extract(TEXTS[0].encode()))
    with pytest.raises(TypeError, match="the input is a table; give the column"):
        extract(Table(TEXTS))


def test_strings_and_numbers_of_numpy(extract: DocRelationExtractionPipeline) -> None:
    found = list(extract(np.array(TEXTS[:2]), batch_size=np.int64(2)))
    assert found == extract(TEXTS[:2], batch_size=2) and extract(np.str_(TEXTS[0])) == extract(TEXTS[0])


def test_the_model_may_be_replaced(extract: DocRelationExtractionPipeline) -> None:
    own, other = build(decisive_jerex()), build(decisive_jerex(seed=5))
    own.model = other.model
    assert own(TEXTS[0]) == other(TEXTS[0]) != extract(TEXTS[0])


def test_threshold_and_relations(extract: DocRelationExtractionPipeline) -> None:
    everything = extract(TEXTS[0], entities=ENTITIES, threshold=0)["relations"]
    limit = sorted(relation["score"] for relation in everything)[len(everything) // 2]
    some = extract(TEXTS[0], entities=ENTITIES, threshold=limit - 1e-6)["relations"]
    assert 0 < len(some) < len(everything)
    assert some == [relation for relation in everything if relation["score"] >= limit - 1e-6]
    try:
        extract.model.config.named_thresholds = [["precise", limit - 1e-6], ["everything", 0]]
        for name, expected in (("precise", some), ("everything", everything)):
            assert extract(TEXTS[0], entities=ENTITIES, threshold=name)["relations"] == expected, name
        with pytest.raises(ValueError, match=r"threshold is 'balanced'; .* this model's: 'precise', 'everything'$"):
            extract(TEXTS[0], entities=ENTITIES, threshold="balanced")
    finally:
        extract.model.config.named_thresholds = []
    chosen = extract(TEXTS[0], entities=ENTITIES, threshold=0, relations=("seat", "born"))["relations"]
    assert chosen == [relation for relation in everything if relation["type"] != "works"]
    assert extract(TEXTS[0], entities=ENTITIES, threshold=0, relations=[])["relations"] == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"threshold": 1.5}, ValueError, "threshold is 1.5; give a number from 0 to 1"),
        (
            {"threshold": "high"},
            ValueError,
            "threshold is 'high'; give a number from 0 to 1 or a name of this model's",
        ),
        ({"threshold": float("nan")}, ValueError, "threshold is nan"),
        (
            {"relations": ["born", "died"]},
            ValueError,
            r"'died', which .* not know; it knows seat, born \(place of birth\), works$",
        ),
        (
            {"relations": ["place of brith"]},
            ValueError,
            r"'place of brith', which .* not know; it knows born \(place of birth\), ",
        ),
        ({"relations": "born"}, ValueError, "relations is 'born'; give a list"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"num_workers": 2}, ValueError, "num_workers is 2; .*leave it out"),
        ({"treshold": 0.5}, TypeError, "no argument 'treshold'; a call takes threshold"),
    ],
)
def test_wrong_arguments(extract: Any, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        extract(TEXTS[0], **arguments)
    with pytest.raises(error, match=message):
        build(extract.model, **arguments)(TEXTS[0])


def test_arguments_at_construction_are_not_stored(tmp_path: Path) -> None:
    pipe = build(decisive_jerex(), threshold=0.0, relations=["born"], entities=True, batch_size=2)
    document = document_from_text(TEXTS[0], "mine")
    result = build(pipe.model)(TEXTS[0], entities=ENTITIES)
    relations = pipe(result)["relations"]
    assert len(relations) == PAIRS and {relation["type"] for relation in relations} == {"born"}
    assert len(pipe(result, relations=["seat", "works"])["relations"]) == 2 * PAIRS
    assert len(pipe(result)["relations"]) == PAIRS
    assert pipe.model.config.relation_threshold == 0.6
    pipe.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["relation_threshold"] == 0.6 and not {"threshold", "relations", "entities"} & set(saved)
    assert pipe(document)["entities"] == []


def test_progress_bar(extract: DocRelationExtractionPipeline, capsys: Any) -> None:
    extract(TEXTS[1:2] * 25, batch_size=25)
    assert "text" not in capsys.readouterr().err  # no terminal
    results = extract(TEXTS[:2], progress=True)
    assert "2/2" in capsys.readouterr().err and [result["text"] for result in results] == TEXTS[:2]
    streamed = extract(iter(TEXTS[:2]), progress=True)
    assert [result["text"] for result in streamed] == TEXTS[:2]
    assert "2text" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "  \n\t", "日本 ☃ \u200b", "☃", "Anna"])
def test_odd_texts(extract: DocRelationExtractionPipeline, relate: DocRelationExtractionPipeline, text: str) -> None:
    result = extract(text, threshold=0)
    assert result["text"] == text
    assert bool(result["sentences"]) == bool(text.strip())
    entities = [
        {"type": "PER", "mentions": [{"char_start": n, "char_end": n + 1}]} for n in range(len(text.strip(" \n\t")))
    ]
    entities = [entity for entity in entities if text[entity["mentions"][0]["char_start"]].strip()]
    result = relate(text, entities=entities)
    assert len(result["relations"]) == len(RELATION_TYPES) * len(entities) * (len(entities) - 1)


def test_long_text(extract: DocRelationExtractionPipeline, relate: DocRelationExtractionPipeline) -> None:
    text = "Anna was there. " * 1250 + "Tom left."
    entities = [
        {"type": "PER", "mentions": [{"char_start": 0, "char_end": 4}]},
        {"type": "PER", "mentions": [{"char_start": len(text) - 9, "char_end": len(text) - 6}]},
    ]
    result = relate(text, entities=entities, section_words=None)
    assert spans(result) == [["Anna"], ["Tom"]]
    assert sum(map(len, result["sentences"])) == 5003
    assert result["relations"][0]["evidence"] == [0, 1250]
    sceptic = build(decisive_jerex(mention_threshold=1.0))
    assert sum(map(len, sceptic(text)["sentences"])) == 5003


def test_kinds_of_models() -> None:
    pairs = build(decisive_jerex(task="pipeline"))(TEXTS[0], entities=ENTITIES, threshold=0)
    assert all(relation["mention_pairs"] for relation in pairs["relations"])
    entities = build(decisive_jerex(relation_head="global"))(TEXTS[0], entities=ENTITIES, threshold=0)
    assert len(entities["relations"]) == len(pairs["relations"]) == PAIRS * len(RELATION_TYPES)
    assert not {"mention_pairs", "evidence"} & {key for relation in entities["relations"] for key in relation}
    mentions = build(decisive_jerex(task="mention", mention_threshold=0.5))(TEXTS[0])
    assert mentions["entities"] and mentions["relations"] == []
    assert all(entity["type"] == "" and len(entity["mentions"]) == 1 for entity in mentions["entities"])


def test_half_precision(extract: DocRelationExtractionPipeline, tmp_path: Path) -> None:
    decisive_jerex().save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    pipe = pipeline("doc-relation-extraction", model=str(tmp_path), device="cpu", dtype=torch.bfloat16)
    assert pipe.model.dtype == torch.bfloat16
    half, full = (
        {
            (item["head"], item["tail"], item["type"]): item["score"]
            for item in made(TEXTS[0], entities=ENTITIES, threshold=0)["relations"]
        }
        for made in (pipe, extract)
    )
    assert half == pytest.approx(full, abs=0.3)


def test_folder_without_trust(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    pipe = pipeline("doc-relation-extraction", model=str(folder), device="cpu")
    assert type(pipe) is DocRelationExtractionPipeline
    pipe.save_pretrained(tmp_path / "again")
    again = pipeline("doc-relation-extraction", model=str(tmp_path / "again"), device="cpu")
    assert type(again) is DocRelationExtractionPipeline


def test_missing_tokenizer() -> None:
    with pytest.raises(ValueError, match="`tokenizer`"):
        DocRelationExtractionPipeline(model=tiny_jerex(), device="cpu")


def test_fresh_process_without_the_package(tmp_path: Path) -> None:
    """Code and weights of two models in folders of one name, loaded where the package cannot be imported."""
    expected = {}
    for head in ("global", "multi_instance"):
        pipe = build(decisive_jerex(relation_head=head))
        pipe.save_pretrained(tmp_path / head / "best")
        expected[head] = pipe(TEXTS[0])
        assert expected[head]["relations"]
    found = run_without_package(tmp_path, dict.fromkeys(expected, (TEXTS[0], None)))
    assert found["configs"] == {head: ["docre-jerex", head] for head in expected}
    assert found["loaded"] == []
    assert close(found["results"], expected) and close(found["copies"], expected)
    assert not close(expected["global"], expected["multi_instance"])


def test_no_model_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIPELINE_REGISTRY, "supported_tasks", dict(PIPELINE_REGISTRY.supported_tasks))
    model = decisive_jerex()
    build(model).save_pretrained(tmp_path / "default")
    register(str(tmp_path / "default"))
    register()  # as another copy of the file does
    extract = pipeline("doc-relation-extraction")
    text = "Anna Berg was born in Berlin."
    assert close(extract(text), build(model)(text))
    extract.save_pretrained(tmp_path / "copy")
    for file in (tmp_path / "copy").rglob("*.*"):
        assert str(tmp_path).encode() not in file.read_bytes(), file
    named = json.loads((tmp_path / "copy" / "config.json").read_text())["custom_pipelines"]
    assert named["doc-relation-extraction"].keys() == {"impl", "pt", "type"}


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_model_finds_the_same(extract: DocRelationExtractionPipeline) -> None:
    """What runs in NumPy is left out of the compilation."""
    text = TEXTS[0]
    wanted = extract(text)
    pipe = build(decisive_jerex(relation_labels=extract.model.config.relation_labels))
    pipe.model = torch.compile(pipe.model, backend="eager")
    assert len(wanted["entities"]) > 1 and wanted["relations"] and close(pipe(text), wanted)
    torch.compiler.reset()
