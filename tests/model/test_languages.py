"""German, Arabic and Chinese from end to end: texts are cut, learned, and read with right offsets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from languages import CORPORA, documents, trained_tokenizer, untrained_model
from training import trainer
from transformers import pipeline

from modeling_docre.graphs.picture import draw_graph

FIRST = {
    "de": [
        ["Jürgen", "Weiß", "wurde", "in", "Köln", "geboren", "."],
        ["Seit", "2011", "arbeitet", "Weiß", "an", "der", "Universität", "Würzburg", "."],
    ],
    "ar": [
        ["ولد", "أحمد", "منصور", "عام", "١٩٨٠", "في", "القاهرة", "."],
        ["يعمل", "منصور", "اليوم", "في", "جامعة", "دمشق", "."],
    ],
    "zh": [list("李明出生于上海。"), list("小李现在在北京大学工作。")],
}


def test_each_language_is_learned_and_extracted_with_right_offsets(tmp_path: Path) -> None:
    for language in CORPORA:
        corpus = documents(language)
        assert [list(words) for words in corpus[0].sentences] == FIRST[language]
        assert len(corpus) == 20 and all(len(document.sentences) == 2 for document in corpus[::4])
        tokenizer = trained_tokenizer([document.text for document in corpus])
        model = untrained_model(language, tokenizer)
        options = {"max_steps": 30, "learning_rate": 5e-3, "per_device_train_batch_size": 5, "logging_steps": 10}
        running = trainer(model, tmp_path / language, corpus, tokenizer=tokenizer, negatives_mention=20, **options)
        running.train()
        losses = [logs["loss"] for logs in running.state.log_history if "loss" in logs]
        assert losses[-1] < losses[0] / 2, (language, losses)
        extract = pipeline("doc-relation-extraction", model=model, tokenizer=tokenizer, device="cpu")
        texts = [document.text for document in corpus]
        given = extract(texts, entities=[document.to_dict()["entities"] for document in corpus], batch_size=10)
        assert all(names(found) == names(document.to_dict()) for found, document in zip(given, corpus, strict=True))
        right = sum(stated(found) == stated(document.to_dict()) for found, document in zip(given, corpus, strict=True))
        assert right > 15, (language, right)
        model.config.mention_threshold = 0.0  # every span of words is a mention, and has to be in its place
        spans = [name for found in extract(texts[:3]) for name in names(found)]
        assert {name for document in corpus[:3] for name in names(document.to_dict())} < set(spans)
        assert ('direction="rtl"' in draw_graph(given[0])) == (language == "ar")


def stated(document: dict[str, Any]) -> set[tuple[int, int, str]]:
    """The relations of a document."""
    return {(item["head"], item["tail"], item["type"]) for item in document["relations"]}


def names(document: dict[str, Any]) -> list[str]:
    """The text of each mention, after a check that its offsets in words and in characters are the same place."""
    found = []
    for mention in (mention for entity in document["entities"] for mention in entity["mentions"]):
        offsets = document["token_offsets"][mention["sentence"]][mention["start"] : mention["end"]]
        assert (mention["char_start"], mention["char_end"]) == (offsets[0][0], offsets[-1][1])
        found.append(document["text"][mention["char_start"] : mention["char_end"]])
        assert mention.get("name") in (None, found[-1])
    return found
