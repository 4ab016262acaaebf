"""The evaluation of CDR and GDA restated: as a loop over pairs and types, and as the arrays of the release."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_documents import WORDS, candidate, document, entity, given_scores, mention, relation

from metrics.docre_f1.scores import compute_scores

COUNTED = ("relation", "intra", "inter")
ENTITY_COUNT = 4


class Case(NamedTuple):
    """One document, by entity numbers: its candidates, gold and predicted relations, and each entity's sentences."""

    candidates: list[dict[str, Any]]
    gold: set[tuple[int, int, str]]
    predicted: set[tuple[int, int, str]]
    places: list[set[int]]

    @property
    def reference(self) -> dict[str, Any]:
        entities = [
            entity("T", *(mention(number, sentence=place) for place in places))
            for number, places in enumerate(self.places)
        ]
        relations = [relation(*triple) for triple in self.gold]
        return document(entities, relations, sentences=[WORDS] * 4) | {"candidates": self.candidates}


def literal_counts(case: Case) -> dict[str, list[int]]:
    """True positives, false positives and false negatives, each pair of entities and each type looked at in turn."""
    rows = {(row["head"], row["tail"]): row for row in case.candidates}
    counts = {name: [0, 0, 0] for name in COUNTED}
    for low in range(ENTITY_COUNT):
        for high in range(low + 1, ENTITY_COUNT):
            both = [(low, high), (high, low)]
            asked = [order for order in both if order in rows]
            units = [([order], rows[order]) for order in both] if len(asked) == 2 else []
            units = units or [(both, rows[asked[0]] if asked else {"scored": True, "cross": None})]
            for orders, row in units:
                if row["scored"] is False:
                    continue
                apart = not case.places[low] & case.places[high]
                subset = "inter" if (apart if row["cross"] is None else row["cross"]) else "intra"
                for kind in "rs":
                    is_gold = any((*order, kind) in case.gold for order in orders)
                    is_predicted = any((*order, kind) in case.predicted for order in orders)
                    cell = [is_gold and is_predicted, is_predicted and not is_gold, is_gold and not is_predicted]
                    for name in ("relation", subset):
                        counts[name] = [total + one for total, one in zip(counts[name], cell, strict=True)]
    return counts


NUMBERS = range(ENTITY_COUNT)
PAIRS = st.sampled_from([(head, tail) for head in NUMBERS for tail in NUMBERS if head != tail])
FLAGS = st.tuples(st.sampled_from([True, True, False, None]), st.sampled_from([True, False, None]))
TRIPLES = st.sets(st.tuples(PAIRS, st.sampled_from("rs")).map(lambda item: (*item[0], item[1])), max_size=10)
CANDIDATES = st.dictionaries(PAIRS, FLAGS, max_size=12).map(
    lambda rows: [candidate(*pair, *flags) for pair, flags in rows.items()]
)
PLACES = st.lists(st.sets(st.integers(0, 3), min_size=1, max_size=2), min_size=ENTITY_COUNT, max_size=ENTITY_COUNT)


@settings(max_examples=150, deadline=None)
@given(case=st.builds(Case, CANDIDATES, TRIPLES, TRIPLES, PLACES))
def test_counts_equal_the_evaluation_restated(case: Case):
    predicted = [relation(*triple) for triple in case.predicted]
    result = given_scores(predicted, case.reference, per_document=True)
    for name, (hits, wrong, missed) in literal_counts(case).items():
        found = result["per_document"]["d"].get(name, {"predicted_hits": 0, "predicted": 0, "gold_hits": 0, "gold": 0})
        assert found["predicted_hits"] == found["gold_hits"] == hits, name
        assert (found["predicted"], found["gold"]) == (hits + wrong, hits + missed), name
        precision = hits / (hits + wrong) if hits + wrong else 0
        recall = hits / (hits + missed) if hits + missed else 0
        f1 = 2 * precision * recall / (precision + recall) if hits else 0
        values = tuple(result[f"{name}_{score}"] for score in ("precision", "recall", "f1"))
        assert values == pytest.approx((precision, recall, f1)), name


@settings(max_examples=50, deadline=None)
@given(case=st.builds(Case, CANDIDATES, TRIPLES, TRIPLES, PLACES))
def test_gold_relations_turned_around_score_one(case: Case):
    directed = {(row["head"], row["tail"]) for row in case.candidates}
    turned = [
        relation(head, tail, kind) if {(head, tail), (tail, head)} <= directed else relation(tail, head, kind)
        for head, tail, kind in case.gold
    ]
    result = given_scores(turned, case.reference)
    assert result["relation_f1"] == float(sum(literal_counts(case)["relation"][::2]) > 0)
    assert result["relation_precision"] == result["relation_recall"]


# --- real pairs


def read_pairs(path: Path) -> dict[str, dict[tuple[str, str], bool]]:
    """Per document of a PubTator file, each chemical with each disease and whether the file relates them."""
    concepts: dict[str, dict[str, set[str]]] = {}
    induced = set()
    for row in path.read_text(encoding="utf-8").splitlines():
        cells = row.split("\t")
        if len(cells) == 4:
            induced.add((cells[0], cells[2], cells[3]))
        elif len(cells) >= 6:
            found = concepts.setdefault(cells[0], {"Chemical": set(), "Disease": set()})
            found[cells[4]].update(name for name in cells[5].split("|") if name != "-1")
    return {
        name: {
            (chemical, disease): (name, chemical, disease) in induced
            for chemical in sorted(found["Chemical"])
            for disease in sorted(found["Disease"])
        }
        for name, found in concepts.items()
    }


def as_reference(name: str, pairs: dict[tuple[str, str], bool], scored: list[bool], rng: random.Random) -> dict:
    """A document of one word per concept; candidates and gold relations stand in random order."""
    concepts = list(dict.fromkeys(concept for pair in pairs for concept in pair))
    relations, rows = [], []
    for (pair, gold), keep in zip(pairs.items(), scored, strict=True):
        head, tail = (concepts.index(concept) for concept in rng.sample(pair, 2))
        rows.append(candidate(head, tail, keep))
        relations += [relation(*rng.sample((head, tail), 2), "CID")] * gold
    entities = [entity("Concept", mention(number)) for number in range(len(concepts))]
    return document(entities, relations, name, [concepts]) | {"candidates": rows}


def test_real_pairs_score_as_the_release(shared_data: Any):
    """ATLOP's script for CDR and GDA counts in arrays over all pairs and adds 1e-5 to each denominator."""
    corpus = read_pairs(shared_data("cdr/CDR_TrainingSet.PubTator.txt"))
    rng = random.Random(5)
    references, predictions, rows = [], [], []
    for name, pairs in corpus.items():
        scored = [gold or rng.random() < 0.95 for gold in pairs.values()]
        guessed = [rng.random() < (0.7 if gold else 0.1) for gold in pairs.values()]
        reference = as_reference(name, pairs, scored, rng)
        asked = [(row["head"], row["tail"]) for row in reference["candidates"]]
        found = [relation(*pair, "CID") for pair, guess in zip(asked, guessed, strict=True) if guess]
        references.append(reference)
        predictions.append({"id": name, "relations": found})
        rows += zip(pairs.values(), guessed, scored, strict=True)
    gold, guess, keep = np.array(rows).T
    assert (len(corpus), len(gold), gold.sum(), (guess & ~keep).any()) == (500, 5434, 1038, True)
    gold, guess = gold[keep], guess[keep]
    precision, recall = ((gold & guess).sum() / (side.sum() + 1e-5) for side in (guess, gold))
    expected = (precision, recall, 2 * precision * recall / (precision + recall + 1e-5))
    assert 0.5 < expected[2] < 0.8
    result = compute_scores(predictions, references, entities_given=True, denominator_epsilon=1e-5)
    values = tuple(result[f"relation_{score}"] for score in ("precision", "recall", "f1"))
    assert values == pytest.approx(expected, abs=1e-12)
