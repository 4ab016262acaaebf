"""SpERT in use: the pipeline on long text, the corpora's conventions in training, and cross-validation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from samples import ANNA, OTTO, build
from tiny import tiny_spert, tiny_tokenizer
from training import trainer
from transformers import pipeline

from dataset_scripts.building.loading import CorpusArguments, load_corpus
from modeling_docre import Predictor
from modeling_docre.pipeline_docre import DocRelationExtractionPipeline
from modeling_docre.training import run
from modeling_docre.training.arguments import DocRETrainingArguments
from modeling_docre.training.evaluation import single_stage_scores
from modeling_docre.training.thresholds import GRID, tune_thresholds

TEXT = "Anna B was born in Berlin. She works in Ulm. " * 30


def extract(**options: Any) -> DocRelationExtractionPipeline:
    model = tiny_spert(relation_threshold=0.5, **options)
    with torch.no_grad():
        model.span_classifier.weight *= 4
    return pipeline("doc-relation-extraction", model=model, tokenizer=tiny_tokenizer())


# --- pipeline -----------------------------------------------------------------------------------------------------


def test_long_text_is_read_sentence_by_sentence():
    graph = extract()(TEXT)
    assert len(graph["sentences"]) == 60
    assert graph["entities"] and graph["relations"]
    for entity in graph["entities"]:
        [mention] = entity["mentions"]
        assert TEXT[mention["char_start"] : mention["char_end"]] == mention["name"]
        assert 0 < entity["score"] < mention["score"] < 1, "a mention may have any type"
    for relation in graph["relations"]:
        head, tail = (graph["entities"][relation[end]]["mentions"][0] for end in ("head", "tail"))
        assert relation["evidence"] == [head["sentence"]] == [tail["sentence"]] and relation["score"] >= 0.5
        [pair], [share] = relation["mention_pairs"], relation["evidence_scores"]
        assert (pair["head_mention"], pair["tail_mention"], pair["score"], share) == (0, 0, 1.0, 1.0)
        assert pair["relation_score"] == pytest.approx(relation["score"])
        assert pair["head_offsets"] == [head["char_start"], head["char_end"]]


def test_each_sentence_says_what_it_says_alone():
    call = extract()
    whole, alone = call(TEXT), call("Anna B was born in Berlin.")
    first = [e for e in whole["entities"] if e["mentions"][0]["sentence"] == 0]
    for found, wanted in zip(first, alone["entities"], strict=True):
        assert (found["type"], found["mentions"][0]["name"]) == (wanted["type"], wanted["mentions"][0]["name"])
        assert found["score"] == pytest.approx(wanted["score"], abs=1e-5)


def test_several_texts_and_the_options_of_a_call():
    call = extract()
    texts = ["Anna B was born in Berlin.", "", "Ulm.", TEXT]
    together = call(texts, batch_size=3)
    assert [len(graph["entities"]) for graph in together] == [len(call(text)["entities"]) for text in texts]
    only = call(texts[0], threshold=0.0, relations=["seat"])
    assert {relation["type"] for relation in only["relations"]} == {"seat"}
    assert len(only["relations"]) == len(only["entities"]) * (len(only["entities"]) - 1)


def test_entities_may_be_given():
    entities = [
        {"type": "PER", "mentions": [{"char_start": 0, "char_end": 6}, {"char_start": 27, "char_end": 30}]},
        {"type": "LOC", "mentions": [{"char_start": 19, "char_end": 25}]},
        {"type": "LOC", "mentions": [{"char_start": 40, "char_end": 43}]},
    ]
    graph = extract()(TEXT[:44], entities=entities, threshold=0.0)
    assert [[m["name"] for m in e["mentions"]] for e in graph["entities"]] == [["Anna B", "She"], ["Berlin"], ["Ulm"]]
    carried = {(r["head"], r["tail"]): {p["head_mention"] for p in r["mention_pairs"]} for r in graph["relations"]}
    assert carried[0, 1] == {0} and carried[0, 2] == {1}, "only mentions of one sentence are related"
    related = {(relation["head"], relation["tail"]) for relation in graph["relations"]}
    assert related == {(0, 1), (1, 0), (0, 2), (2, 0)}, "Berlin and Ulm share no sentence"


# --- training -----------------------------------------------------------------------------------------------------


def test_the_report_before_training_counts_sentence_by_sentence(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    crossing = build(
        "x",
        ["anna b was born", "she works in ulm"],
        [("PER", [(0, 0, 2), (1, 0, 1)]), ("LOC", [(1, 3, 4)]), ("ORG", [(0, 3, 4)])],
        [(0, 1, "works"), (2, 1, "seat")],
    )
    with caplog.at_level("INFO"):
        settings = DocRETrainingArguments(str(tmp_path), use_cpu=True)
        run.training_examples(tiny_spert(), tiny_tokenizer(), [crossing], settings)
    assert "entities: 4 of 4 can be reached" in caplog.text, "each mention is one"
    assert "relations: 1 of 1 can be reached" in caplog.text
    assert "1 relations hold across sentences, which SpertModel does not see" in caplog.text


# --- evaluation ---------------------------------------------------------------------------------------------------


def test_references_are_split_like_predictions(tmp_path: Path):
    running = trainer(tiny_spert(), tmp_path, [ANNA, OTTO])
    perfect = running.score([ANNA, OTTO], [ANNA, OTTO])
    assert all(perfect[f"{level}_f1"] == 1.0 for level in ("mention", "cluster", "entity", "relation"))
    given = Predictor(tiny_spert(relation_threshold=1.0), tiny_tokenizer()).predict([ANNA], given="entities")
    assert running.score(given, [ANNA])["entity_f1"] == 1.0


def test_symmetric_relations_are_scored_in_either_order(tmp_path: Path):
    def document(head: int, tail: int) -> Any:
        return build("one", ["a b"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])], [(head, tail, "works")])

    for symmetric, score in (([], 0.0), (["works"], 1.0)):
        running = trainer(tiny_spert(symmetric_relations=symmetric), tmp_path, [ANNA])
        assert running.score([document(0, 1)], [document(1, 0)])["relation_f1"] == score


@pytest.mark.parametrize("given", [None, "entities"])
def test_the_threshold_is_searched_by_what_is_scored(tmp_path: Path, given: str | None):
    running = trainer(tiny_spert(symmetric_relations=["works"]), tmp_path, [ANNA, OTTO])
    with torch.no_grad():
        running.model.relation_classifier.weight *= 20
    predictor = Predictor(running.model, tiny_tokenizer(), given)
    chosen = tune_thresholds(predictor, [ANNA, OTTO], running.scorer([ANNA, OTTO]))
    found = {
        value: running.score(predictor.predict([ANNA, OTTO], relation_threshold=value), [ANNA, OTTO])["relation_f1"]
        for value in GRID
    }
    assert chosen == {"relation_threshold": max(found, key=found.__getitem__)}
    assert running.model.config.relation_threshold == chosen["relation_threshold"]
    assert given is None or found[chosen["relation_threshold"]] > 0


def test_the_last_epoch_is_the_result_and_the_best_one_on_request(tmp_path: Path):
    defaults = run.parse_arguments(["--system", "spert"])[2]
    assert not defaults.load_best_model_at_end and defaults.eval_strategy == "epoch"
    chosen = run.parse_arguments(["--system", "spert", "--load_best_model_at_end", "true"])[2]
    assert chosen.load_best_model_at_end and chosen.metric_for_best_model == "eval_relation_f1"


# --- train.py -----------------------------------------------------------------------------------------------------

SENTENCES = [
    build(
        f"s{number}",
        ["anna was born in ulm ." + " and" * 15 * number],
        [("PER", [(0, 0, 1)]), ("LOC", [(0, 4, 5)])],
        [(0, 1, "born")],
    )
    for number in range(4)
]


def files(folder: Path) -> list[str]:
    lines = "".join(json.dumps(document.to_dict()) + "\n" for document in SENTENCES)
    (folder / "a.jsonl").write_text(lines)
    tiny_spert().encoder.model.save_pretrained(folder / "encoder")
    tiny_tokenizer().save_pretrained(folder / "encoder")
    file, options = str(folder / "a.jsonl"), ["--window_overlap", "16", "--use_cpu", "true", "--max_steps", "2"]
    return [
        "--system",
        "spert",
        "--encoder",
        str(folder / "encoder"),
        "--train_file",
        file,
        "--validation_file",
        file,
        *options,
    ]


def test_the_scores_of_a_convention_are_shown_and_saved(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", logger="modeling_docre.training")
    options = [
        "--convention",
        "conll04",
        "--no_overlap",
        "true",
        "--by_word_count",
        "true",
        "--symmetric_relations",
        "born",
    ]
    output = tmp_path / "out"
    run.main([*files(tmp_path), *options, "--eval_strategy", "steps", "--eval_steps", "1", "--output_dir", str(output)])
    scores = json.loads((output / "validation" / "scores.json").read_text())
    assert list(scores["reported"]) == ["entity", "macro_entity", "relation", "macro_relation"]
    assert list(scores["by_word_count"]) == ["<20", "20-34", "35-50", ">50"]
    assert "macro relation" in caplog.text and "| macro_relation |" in (output / "README.md").read_text()
    assert json.loads((output / "config.json").read_text())["symmetric_relations"] == ["born"]


def test_a_convention_needs_entities_that_are_found(tmp_path: Path):
    given = [text.replace("spert", "atlop") if text == "spert" else text for text in files(tmp_path)]
    for option in (["--convention", "ade"], ["--no_overlap", "true"]):
        with pytest.raises(ValueError, match=rf"{option[0]} scores entities that are found"):
            run.main([*given, *option, "--entity_markers", "none", "--output_dir", str(tmp_path / "out")])


def test_a_corpus_names_its_symmetric_relations(shared_data: Any):
    folder = str(shared_data("scierc"))
    corpus = load_corpus(CorpusArguments("scierc", data_dir=folder))
    assert corpus.labels["symmetric_relations"] == ["Compare", "Conjunction"]
    assert set(load_corpus(CorpusArguments("scierc", data_dir=folder, validation_split="none")).splits) == {"train"}
    with pytest.raises(ValueError, match="--symmetric_relations belongs to files"):
        load_corpus(CorpusArguments("scierc", data_dir=folder, symmetric_relations=["Compare"]))


def test_single_stages_are_those_that_the_system_has(tmp_path: Path):
    running = trainer(tiny_spert(), tmp_path, [ANNA, OTTO])
    assert list(single_stage_scores(running, [ANNA, OTTO])) == ["relation_f1"]
