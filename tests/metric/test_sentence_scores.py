"""Scores of sentence-level systems: hand-computed cases, and SpERT's evaluation restated on the tuples it compares."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import evaluate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_documents import candidate, document, entity, given_scores, mention, relation, row_of_entities

from dataset_scripts.ade import Ade
from dataset_scripts.conll04 import Conll04
from dataset_scripts.scierc import Scierc
from metrics.docre_f1.conventions import CONVENTIONS
from metrics.docre_f1.scores import compute_scores

METRIC = Path(__file__).resolve().parents[2] / "metrics" / "docre_f1"
PARTS = ("precision", "recall", "f1")


def marked(*spans: tuple[int, int, str]) -> list[dict[str, Any]]:
    """Entities of one mention each."""
    return [entity(kind, mention(start, end)) for start, end, kind in spans]


def scores_of(result: dict[str, Any], level: str) -> tuple[float, ...]:
    return tuple(result[f"{level}_{part}"] for part in PARTS)


GOLD = document(
    marked((0, 1, "Peop"), (2, 4, "Org"), (5, 6, "Loc")),
    [relation(0, 1, "Work_For"), relation(1, 2, "OrgBased_In"), relation(0, 2, "Live_In")],
)
# The second entity has the wrong type, the fourth is wrong, and so is the last relation.
PREDICTED = document(
    marked((0, 1, "Peop"), (2, 4, "Loc"), (5, 6, "Loc"), (6, 7, "Loc")), [*GOLD["relations"], relation(0, 3, "Live_In")]
)
EXPECTED = {
    "entity": (2 / 4, 2 / 3, 4 / 7),
    "macro_entity": ((1 + 0 + 1 / 3) / 3, (1 + 0 + 1) / 3, (1 + 0 + 1 / 2) / 3),
    "relation": (1 / 4, 1 / 3, 2 / 7),
    "macro_relation": (1 / 6, 1 / 3, 2 / 9),
    "relation_untyped": (3 / 4, 1, 6 / 7),
    "macro_relation_untyped": (5 / 6, 1, 8 / 9),
}


def test_hand_computed_example() -> None:
    result = compute_scores([PREDICTED], [GOLD], per_type=True)
    for level, scores in EXPECTED.items():
        assert scores_of(result, level) == pytest.approx(scores), level
    types = result["per_type"]
    assert types["relation"]["Live_In"] == {"precision": 0.5, "recall": 1, "f1": pytest.approx(2 / 3), "support": 1}
    assert types["relation_untyped"]["Work_For"]["f1"] == 1 and types["relation"]["Work_For"]["f1"] == 0
    assert types["entity"]["Org"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}


def test_macro_f1_is_no_mean_of_macro_precision_and_recall() -> None:
    precision, recall, f1 = EXPECTED["macro_entity"]
    assert f1 != pytest.approx(2 * precision * recall / (precision + recall))


REPORTED = {
    "conll04": ["entity", "macro_entity", "relation", "macro_relation"],
    "scierc": ["entity", "relation_untyped"],
    "ade": ["macro_entity", "macro_relation"],
}


def test_conventions_name_what_is_reported() -> None:
    for name in CONVENTIONS:
        reported = compute_scores([PREDICTED], [GOLD], convention=name)["reported"]
        assert list(reported) == REPORTED[name]
        for level, scores in reported.items():
            assert scores == pytest.approx(dict(zip(PARTS, EXPECTED[level], strict=True))), level


def test_conventions_are_those_of_the_corpora() -> None:
    builders = {builder.NAME: builder for builder in (Conll04, Scierc, Ade)}
    assert set(CONVENTIONS) == set(builders)
    for name, convention in CONVENTIONS.items():
        assert convention.symmetric_relations == set(builders[name].SYMMETRIC_RELATIONS)


def test_without_a_convention_nothing_is_reported() -> None:
    assert "reported" not in compute_scores([PREDICTED], [GOLD])


def test_options_that_do_not_fit_are_refused() -> None:
    for options, message in (
        ({"convention": "conll"}, "convention is 'conll'; give one of 'conll04', 'scierc', 'ade', or None"),
        ({"convention": "ade", "entities_given": True}, "convention='ade' scores predicted entities; leave it out"),
        ({"no_overlap": True, "entities_given": True}, "no_overlap=True scores predicted entities; leave it out"),
    ):
        with pytest.raises(ValueError, match=message):
            compute_scores([GOLD], [GOLD], **options)


def test_a_span_predicted_with_two_types_is_two_entities() -> None:
    gold = document(marked((0, 1, "X"), (2, 3, "Y")), [relation(0, 1)])
    predicted = document(marked((0, 1, "X"), (0, 1, "Y"), (2, 3, "Y")), [relation(0, 2), relation(1, 2)])
    result = compute_scores([predicted], [gold], per_document=True)
    counts = result["per_document"]["d"]
    assert (counts["entity"]["predicted"], counts["entity"]["gold_hits"]) == (3, 2)
    assert (counts["relation"]["predicted"], counts["relation"]["gold_hits"]) == (2, 1)
    assert (counts["relation_untyped"]["predicted"], counts["relation_untyped"]["gold_hits"]) == (1, 1)
    assert counts["mention"]["predicted"] == 2


# --- types without direction


def count(predicted: list[dict], gold: list[dict], symmetric: Iterable[str] | None, level: str = "relation") -> tuple:
    """Hits, predicted and gold relations between four words of one type."""
    entities = row_of_entities(4)
    found = compute_scores(
        [document(entities, predicted)],
        [document(entities, gold)],
        symmetric_relations=symmetric,
        per_document=True,
    )["per_document"]["d"][level]
    assert found["predicted_hits"] == found["gold_hits"]
    return found["gold_hits"], found["predicted"], found["gold"]


def test_symmetric_types() -> None:
    for level in ("relation", "relation_untyped"):
        there, back = [relation(0, 1, "s")], [relation(1, 0, "s")]
        assert count(back, there, ["s"], level) == count(there, back, ["s"], level) == (1, 1, 1)
        assert count(back, there, [], level) == count(back, there, None, level) == (0, 1, 1)
        assert count(there + back, there, ["s"], level) == count(there, there + back, ["s"], level) == (1, 1, 1)
        assert count(there + back, there, ["r"], level) == (1, 2, 1)
        mixed = [relation(1, 0, "s"), relation(1, 0, "r"), relation(3, 2, "s"), relation(2, 1, "s")]
        gold = [relation(0, 1, "s"), relation(0, 1, "r"), relation(2, 3, "s")]
        assert count(mixed, gold, ["s"], level) == (2, 4, 3)
        assert count(mixed, gold, ["s", "r"], level) == (3, 4, 3)


def test_a_symmetric_relation_needs_the_types_of_its_entities() -> None:
    gold = document(marked((0, 1, "X"), (2, 3, "Y")), [relation(0, 1, "s")])
    swapped = document(marked((0, 1, "Y"), (2, 3, "X")), [relation(1, 0, "s")])
    result = compute_scores([swapped], [gold], symmetric_relations=["s"])
    assert (result["relation_f1"], result["relation_untyped_f1"]) == (0, 1)


def test_spans_that_begin_at_one_word_have_no_order_either() -> None:
    gold = document(marked((0, 1, "X"), (0, 3, "X")), [relation(0, 1, "s")])
    result = compute_scores([gold | {"relations": [relation(1, 0, "s")]}], [gold], symmetric_relations=["s"])
    assert result["relation_f1"] == 1


def test_the_convention_has_the_symmetric_types_unless_others_are_given() -> None:
    gold = document(row_of_entities(3), [relation(0, 1, "Compare"), relation(1, 2, "Conjunction"), relation(0, 2, "x")])
    back = [relation(r["tail"], r["head"], r["type"]) for r in gold["relations"]]
    predicted = gold | {"relations": back}

    def recall(**options: Any) -> float:
        return compute_scores([predicted], [gold], **options)["relation_untyped_recall"]

    assert recall(convention="scierc") == pytest.approx(2 / 3)
    assert recall(convention="conll04") == recall(convention="ade") == recall() == 0
    assert recall(convention="scierc", symmetric_relations=[]) == 0
    assert recall(convention="scierc", symmetric_relations=["x"]) == pytest.approx(1 / 3)


def test_symmetric_types_between_given_entities() -> None:
    gold = document(row_of_entities(4), [relation(0, 1, "s"), relation(1, 2, "r")])
    back = [relation(1, 0, "s"), relation(0, 1, "s"), relation(2, 1, "r")]
    result = given_scores(back, gold, symmetric_relations=["s"], subsets=True)
    assert scores_of(result, "relation") == (1 / 2, 1 / 2, 1 / 2)
    assert result["single_support"] == 2
    both_orders = gold | {"candidates": [candidate(0, 1), candidate(1, 0), candidate(1, 2)]}
    assert given_scores(back[:1], both_orders)["relation_precision"] == 0
    assert given_scores(back[:1], both_orders, symmetric_relations=["s"])["relation_precision"] == 1


def test_symmetric_relations_are_training_facts_in_either_order() -> None:
    gold = document(row_of_entities(4), [relation(0, 1, "s"), relation(2, 3, "s")])
    facts = [("lives", "Ada", "s")]  # words 1 and 0
    counts = [
        given_scores(gold["relations"], gold, train_facts=facts, per_document=True, symmetric_relations=types)
        for types in ([], ["s"])
    ]
    assert [found["per_document"]["d"]["relation"]["in_train"] for found in counts] == [0, 1]


# --- without overlap

NESTED = document(
    marked((0, 3, "X"), (1, 2, "Y"), (4, 5, "X"), (6, 7, "Y")), [relation(0, 1), relation(0, 2), relation(2, 3)]
)
TWICE = document(
    marked((0, 3, "X"), (4, 5, "X"), (4, 5, "Y"), (6, 7, "Y")), [relation(0, 1), relation(1, 2), relation(2, 3)]
)


def test_hand_computed_example_without_overlap() -> None:
    plain = compute_scores([TWICE], [NESTED])
    assert scores_of(plain, "entity") == (3 / 4, 3 / 4, 3 / 4)
    assert scores_of(plain, "relation") == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert scores_of(plain, "relation_untyped") == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    apart = compute_scores([TWICE], [NESTED], no_overlap=True, per_document=True)
    counts = {name: tuple(row.values())[:4] for name, row in apart["per_document"]["d"].items()}
    # Of the gold the last two entities stay, of the prediction the first and the last.
    assert counts["entity"] == counts["mention"] == counts["cluster"] == (1, 2, 1, 2)
    # A relation goes if its own arguments overlap: one on each side.
    assert counts["relation"] == (1, 2, 1, 2)
    assert counts["relation_untyped"] == (2, 2, 2, 2)


def test_neighbours_and_repetitions_do_not_overlap() -> None:
    gold = document(marked((0, 2, "X"), (2, 3, "Y")), [relation(0, 1)])
    twin = document([*gold["entities"], *marked((0, 2, "X"))], [relation(0, 1), relation(2, 1)])
    result = compute_scores([twin], [gold], no_overlap=True)
    assert (result["entity_f1"], result["relation_f1"]) == (1, 1)
    far = [["a", "b"], ["a", "b"]]
    across = document([entity("X", mention(0, 2)), entity("Y", mention(0, 2, 1))], [relation(0, 1)], sentences=far)
    assert compute_scores([across], [across], no_overlap=True)["relation_f1"] == 1


def test_entities_overlap_by_any_of_their_mentions() -> None:
    gold = document([entity("X", mention(0), mention(4, 6)), entity("Y", mention(5)), entity("Y", mention(7))], [])
    result = compute_scores([gold], [gold], no_overlap=True, per_document=True)
    assert result["per_document"]["d"]["entity"]["gold"] == 1


# --- groups by length


def of_length(name: str, words: int) -> dict[str, Any]:
    return document(row_of_entities(3), [relation(0, 1, "r"), relation(1, 2, "s")], name, [["w"] * words])


def test_groups_by_number_of_words() -> None:
    lengths = {"a": 3, "b": 19, "c": 20, "d": 34, "e": 35, "f": 50, "g": 51}
    gold = [of_length(name, words) for name, words in lengths.items()]
    gold.append(document(row_of_entities(3), [], "h", [["w"] * 30, ["w"] * 21]))
    predictions = [gold[0], gold[1] | {"relations": [relation(0, 1, "s")]}, gold[2], gold[7]]
    groups = compute_scores(predictions, gold, by_word_count=True)["by_word_count"]
    assert list(groups) == ["<20", "20-34", "35-50", ">50"]
    assert [group["documents"] for group in groups.values()] == [2, 2, 2, 2]
    assert groups["<20"] == {
        "precision": 2 / 3,
        "recall": 2 / 4,
        "f1": pytest.approx(4 / 7),
        "support": 4,
        "macro_precision": 3 / 4,
        "macro_recall": 1 / 2,
        "macro_f1": pytest.approx((2 / 3 + 1 / 2) / 2),
        "documents": 2,
    }
    assert groups["20-34"]["f1"] == groups["20-34"]["macro_f1"] == pytest.approx(2 / 3)
    assert (groups["35-50"]["support"], groups["35-50"]["macro_f1"]) == (4, 0)
    assert groups[">50"]["support"] == 2


def test_groups_compare_relations_with_the_types_of_their_entities() -> None:
    [group] = compute_scores([PREDICTED], [GOLD], by_word_count=True)["by_word_count"].values()
    assert tuple(group[part] for part in PARTS) == pytest.approx(EXPECTED["relation"])
    assert tuple(group[f"macro_{part}"] for part in PARTS) == pytest.approx(EXPECTED["macro_relation"])


def test_documents_without_a_reference_are_in_no_group() -> None:
    gold = of_length("a", 20)
    with pytest.warns(UserWarning, match="no reference"):
        groups = compute_scores([gold, of_length("x", 20)], [gold], by_word_count=True)["by_word_count"]
    assert groups["20-34"]["documents"] == 1 and groups["20-34"]["precision"] == 1


# --- SpERT's evaluation, restated


Tuples = list[tuple[Any, ...]]


def literal_scores(gold: list[Tuples], predicted: list[Tuples]) -> dict[str, tuple[float, ...]]:
    """Micro and macro precision, recall and F1 over the union of both sides, one verdict per tuple and sentence."""
    verdicts: list[tuple[Any, Any]] = []
    for wanted, found in zip(gold, predicted, strict=True):
        union: Tuples = []
        for item in wanted + found:
            if item not in union:
                union.append(item)
        verdicts += [(item[-1] if item in wanted else None, item[-1] if item in found else None) for item in union]
    kinds = sorted({kind for pair in verdicts for kind in pair if kind is not None})
    rows = []
    for kind in [*kinds, None]:
        of_kind = verdicts if kind is None else [pair for pair in verdicts if kind in pair]
        hits = sum(wanted is not None and wanted == found for wanted, found in of_kind)
        gold_count = sum(wanted is not None for wanted, _ in of_kind)
        found_count = sum(found is not None for _, found in of_kind)
        precision, recall = hits / (found_count or 1), hits / (gold_count or 1)
        rows.append((precision, recall, 2 * precision * recall / (precision + recall) if hits else 0.0))
    *by_kind, micro = rows
    macro = tuple(sum(row[n] for row in by_kind) / len(by_kind) if by_kind else 0.0 for n in range(3))
    return {"micro": micro, "macro": macro}


def check_overlap(first: tuple, second: tuple) -> bool:
    return not (first == second or first[1] <= second[0] or second[1] <= first[0])


def tuples_of(item: dict[str, Any], symmetric: Iterable[str], no_overlap: bool) -> tuple[Tuples, Tuples]:
    entities = [(m["start"], m["end"], e["type"]) for e in item["entities"] for m in e["mentions"]]
    relations = [(entities[r["head"]], entities[r["tail"]], r["type"]) for r in item["relations"]]
    ordered = []
    for head, tail, kind in relations:
        swap = kind in symmetric and tail[0] < head[0]
        ordered.append((tail, head, kind) if swap else (head, tail, kind))
    if no_overlap:
        entities = [one for one in entities if not any(check_overlap(one, other) for other in entities)]
        ordered = [row for row in ordered if not check_overlap(row[0], row[1])]
    return entities, ordered


def literal_evaluation(
    predicted: list[dict], gold: list[dict], symmetric: Iterable[str], no_overlap: bool
) -> dict[str, tuple[float, ...]]:
    sides = [[tuples_of(item, symmetric, no_overlap) for item in side] for side in (gold, predicted)]
    entities = [[found for found, _ in side] for side in sides]
    relations = [[found for _, found in side] for side in sides]
    untyped = [[[(h[:2], t[:2], kind) for h, t, kind in found] for found in side] for side in relations]
    levels = {"entity": entities, "relation": relations, "relation_untyped": untyped}
    result = {}
    for level, (wanted, found) in levels.items():
        scores = literal_scores(wanted, found)
        result |= {level: scores["micro"], f"macro_{level}": scores["macro"]}
    return result


@st.composite
def sentences(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A sentence of eight words; spans overlap, repeat, and have several types, so that every rule is met."""
    spans = st.tuples(st.integers(0, 5), st.integers(1, 3), st.sampled_from("XY"))
    entities = [(start, start + size, kind) for start, size, kind in draw(st.lists(spans, max_size=5))]
    pairs = [(head, tail) for head in range(len(entities)) for tail in range(len(entities)) if head != tail]
    triples = draw(st.lists(st.tuples(st.sampled_from(pairs), st.sampled_from("rst")), max_size=5)) if pairs else []
    # The release has no rule for symmetric relations between spans that begin at one word.
    relations = [relation(h, t, kind) for (h, t), kind in triples if kind != "s" or entities[h][0] != entities[t][0]]
    return document(marked(*entities), relations, name)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from([(), ("s",)]), st.booleans())
def test_scores_are_those_of_the_literal_evaluation(data: st.DataObject, symmetric: tuple, no_overlap: bool) -> None:
    names = [f"d{number}" for number in range(data.draw(st.integers(1, 3)))]
    gold = [data.draw(sentences(name)) for name in names]
    # Predictions that repeat the gold in part, since independent ones rarely agree.
    predicted = [data.draw(st.one_of(sentences(item["id"]), st.just(item))) for item in gold]
    result = compute_scores(predicted, gold, symmetric_relations=symmetric, no_overlap=no_overlap)
    for level, scores in literal_evaluation(predicted, gold, symmetric, no_overlap).items():
        assert scores_of(result, level) == pytest.approx(scores), level


# --- through `evaluate`


def test_options_reach_the_scores(tmp_path: Path) -> None:
    metric = evaluate.load(str(METRIC), cache_dir=str(tmp_path))
    options: dict[str, Any] = {"convention": "conll04", "symmetric_relations": ["r"], "no_overlap": True}
    for predicted, gold in ((PREDICTED, GOLD), (TWICE, NESTED)):
        result = metric.compute(predictions=[predicted], references=[gold], by_word_count=True, **options)
        assert result == compute_scores([predicted], [gold], by_word_count=True, **options)
    assert list(result["reported"]) == REPORTED["conll04"] and list(result["by_word_count"]) == ["<20"]
    with pytest.raises(ValueError, match="give one of 'conll04'"):
        metric.compute(predictions=[GOLD], references=[GOLD], convention="docred")
