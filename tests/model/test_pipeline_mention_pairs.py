"""Relations explained by mention pairs: KMGRE's and JEREX's in the pipeline, with their places in the text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pipelines import ENTITIES, PAIRS, TEXTS, build, close, decisive_jerex, run_without_package, spans
from tiny import RELATION_TYPES, tiny_kmgre

from modeling_docre import DocRelationExtractionPipeline, Document
from modeling_docre.given_entities import place_entities
from modeling_docre.text import document_from_text

KMGRE_KEYS = {"head_mention", "tail_mention", "score", "key_score", "relation_score", "head_offsets", "tail_offsets"}


def decisive_kmgre(**options: Any) -> Any:
    """A random model whose scores are spread out, with some mention pairs key and others not."""
    model = tiny_kmgre(**{"seed": 5, "expectation_updates": 100_000, **options})
    with torch.no_grad():
        for network in filter(None, (model.relation_extractor, model.key_classifier)):
            network.classifier.weight.mul_(40)
    return model


@pytest.fixture(scope="module")
def extract() -> DocRelationExtractionPipeline:
    return build(decisive_kmgre(relation_labels={"born": "place of birth"}))


def everything(pipe: DocRelationExtractionPipeline, text: Any = TEXTS[0], entities: Any = ENTITIES) -> dict[str, Any]:
    """The answer with all relation types of all pairs."""
    return pipe(text, entities=entities, threshold=0)


def test_a_relation_lists_the_mention_pairs_that_carried_it(extract: DocRelationExtractionPipeline) -> None:
    result = everything(extract)
    assert spans(result) == [["Anna Berg", "She"], ["Berlin"], ["Institute"]]
    assert len(result["relations"]) == PAIRS * len(RELATION_TYPES)
    counts = set()
    for relation in result["relations"]:
        pairs = relation["mention_pairs"]
        counts.add(len(pairs))
        assert all(pair.keys() == KMGRE_KEYS for pair in pairs)
        shares = [pair["score"] for pair in pairs]
        assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1, abs=1e-5)
        assert shares[-1] > 0
        assert relation.get("label") == {"born": "place of birth"}.get(relation["type"])
    assert counts == {1, 2}
    usual = extract(TEXTS[0], entities=ENTITIES)["relations"]
    assert 0 < len(usual) < len(result["relations"])
    assert close(usual, [relation for relation in result["relations"] if relation["score"] > 0.5])


def test_key_mention_pairs_are_those_above_the_threshold(extract: DocRelationExtractionPipeline) -> None:
    """With a cap of .5, who is more probable than not is key; who is less only where nobody is."""
    below = above = 0
    for relation in everything(extract)["relations"]:
        chances = [pair["key_score"] for pair in relation["mention_pairs"]]
        assert all(0 <= chance <= 1 for chance in chances)
        above += min(chances) > 0.5
        below += max(chances) < 0.5
    assert above and below


def test_probabilities_are_those_of_the_model(extract: DocRelationExtractionPipeline) -> None:
    document = place_entities(document_from_text(TEXTS[0], "text-0"), ENTITIES)
    output, _ = extract.predictor.run(extract.predictor.featurizer([document]))
    place = (output.mention_pair_owner, output.mention_pair_head, output.mention_pair_tail)
    rows = {each: number for number, each in enumerate(zip(*(values.tolist() for values in place), strict=True))}
    pairs = {tuple(pair): number for number, pair in enumerate(output.pairs.tolist())}
    for relation in everything(extract)["relations"]:
        kind, owner = RELATION_TYPES.index(relation["type"]), pairs[relation["head"], relation["tail"]]
        assert relation["score"] == pytest.approx(torch.sigmoid(output.relation_logits[owner, kind]).item(), abs=1e-6)
        for pair in relation["mention_pairs"]:
            row = rows[owner, pair["head_mention"], pair["tail_mention"]]
            expected = [output.mention_pair_key_logits[row].sigmoid(), output.mention_pair_logits[row, kind].sigmoid()]
            assert [pair["key_score"], pair["relation_score"]] == pytest.approx([v.item() for v in expected], abs=1e-6)
            assert pair["score"] == pytest.approx(output.mention_pair_weight[row, kind].item(), abs=1e-6)
        if len(relation["mention_pairs"]) == 1:
            assert relation["mention_pairs"][0]["relation_score"] == pytest.approx(relation["score"], abs=1e-5)


def assert_offsets(result: dict[str, Any], text: str) -> int:
    """Offsets are those of the mentions, and cut their names out of the text."""
    seen = 0
    for relation in result["relations"]:
        for pair in relation["mention_pairs"]:
            for side in ("head", "tail"):
                mention = result["entities"][relation[side]]["mentions"][pair[f"{side}_mention"]]
                start, end = pair[f"{side}_offsets"]
                assert (start, end) == (mention["char_start"], mention["char_end"])
                assert text[start:end] == mention["name"]
                seen += 1
    return seen


def test_offsets_are_character_ranges_of_the_text(extract: DocRelationExtractionPipeline) -> None:
    result = everything(extract)
    assert assert_offsets(result, TEXTS[0]) >= 2 * PAIRS * len(RELATION_TYPES)
    names = {
        (TEXTS[0][slice(*pair["head_offsets"])], TEXTS[0][slice(*pair["tail_offsets"])])
        for relation in result["relations"]
        for pair in relation["mention_pairs"]
    }
    assert {("Berlin", "Institute"), ("Institute", "Berlin")} <= names and len(names) > PAIRS
    in_words = [
        {"type": "PER", "mentions": [{"sentence": 0, "start": 0, "end": 2}]},
        {"type": "LOC", "mentions": [{"sentence": 0, "start": 5, "end": 6}]},
    ]
    assert assert_offsets(everything(extract, entities=in_words), TEXTS[0]) == 2 * 2 * len(RELATION_TYPES)


def test_words_without_a_text_have_no_offsets(extract: DocRelationExtractionPipeline) -> None:
    document = place_entities(document_from_text(TEXTS[0], "text-0"), ENTITIES).to_dict()
    from_text = everything(extract)
    words = {"id": "text-0", "sentences": document["sentences"], "entities": []}
    for entity in document["entities"]:
        mentions = [{key: mention[key] for key in ("sentence", "start", "end")} for mention in entity["mentions"]]
        words["entities"].append({"type": entity["type"], "mentions": mentions})
    from_words = everything(extract, words, None)
    assert from_words["relations"]
    for found, wanted in zip(from_words["relations"], from_text["relations"], strict=True):
        for pair in wanted["mention_pairs"]:
            del pair["head_offsets"], pair["tail_offsets"]
        assert close(found, wanted)


def test_evidence_are_the_sentences_of_the_mention_pairs(extract: DocRelationExtractionPipeline) -> None:
    result = everything(extract)
    for relation in result["relations"]:
        held: dict[int, float] = {}
        for pair in relation["mention_pairs"]:
            places = {
                result["entities"][relation[side]]["mentions"][pair[f"{side}_mention"]]["sentence"]
                for side in ("head", "tail")
            }
            for sentence in places:
                held[sentence] = held.get(sentence, 0.0) + pair["score"]
        assert relation["evidence"] == sorted(held)
        assert relation["evidence_scores"] == pytest.approx([held[sentence] for sentence in sorted(held)], abs=1e-5)


def test_an_answer_survives_json_and_is_taken_up_again(extract: DocRelationExtractionPipeline) -> None:
    result = everything(extract)
    document = Document.from_dict(json.loads(json.dumps(result)))
    assert document.to_dict() == result
    for again in (extract(result, threshold=0), extract(document, entities=True, threshold=0)):
        assert close(again, result)
    chosen = extract(TEXTS[0], entities=ENTITIES, threshold=0, relations=["seat"])["relations"]
    assert close(chosen, [relation for relation in result["relations"] if relation["type"] == "seat"])


@pytest.mark.parametrize(
    "options", [{"key_classifier": False}, {"fusion": "label_assignment"}, {"shared_encoder": True}]
)
def test_variants_explain_what_they_know(options: dict[str, Any]) -> None:
    result = everything(build(decisive_kmgre(**options)))
    absent = {"key_score"} if options == {"key_classifier": False} else set()
    for relation in result["relations"]:
        assert relation["mention_pairs"] and relation["evidence"]
        assert all(pair.keys() == KMGRE_KEYS - absent for pair in relation["mention_pairs"])
        if "fusion" in options:  # the best mention pair has decided alone
            [best] = relation["mention_pairs"]
            assert best["score"] == 1 and best["relation_score"] == pytest.approx(relation["score"], abs=1e-6)
    assert assert_offsets(result, TEXTS[0])


def test_the_mention_pairs_of_jerex_have_offsets_too() -> None:
    pipe = build(decisive_jerex(task="relation", relation_threshold=0.0))
    found = everything(pipe)
    assert assert_offsets(found, TEXTS[0]) > 0
    joint = build(decisive_jerex())(TEXTS[2], threshold=0)
    assert assert_offsets(joint, TEXTS[2]) > 0
    for result in (found, joint):
        for relation in result["relations"]:
            for pair in relation["mention_pairs"]:
                assert pair.keys() == KMGRE_KEYS - {"key_score", "relation_score"}


@pytest.mark.slow
def test_a_fresh_process_without_the_package_explains_alike(tmp_path: Path) -> None:
    """The code that travels with a checkpoint is complete."""
    pipe = build(decisive_kmgre())
    pipe.save_pretrained(tmp_path / "kmgre" / "best")
    expected = pipe(TEXTS[0], entities=ENTITIES)
    assert expected["relations"]
    found = run_without_package(tmp_path, {"kmgre": (TEXTS[0], ENTITIES)})
    assert found["configs"] == {"kmgre": ["docre-kmgre", None]} and found["loaded"] == []
    assert close(found["results"]["kmgre"], expected) and close(found["copies"]["kmgre"], expected)
