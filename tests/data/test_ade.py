"""ADE: the published folds, the rows of the first publication, and folds that are made of them."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets.exceptions import DatasetGenerationError

from dataset_scripts.ade import FOLDS, Ade, make_fold
from dataset_scripts.building.export import main
from dataset_scripts.building.loading import CorpusArguments, load_corpus
from dataset_scripts.readers.drug_ae import MOVED, REPEATED_ROWS, UNPLACED, read_rows, sentence_records, words_of
from modeling_docre.documents import Document, DocumentError, Entity, Mention


def row(
    sentence: str, effect: str, drug: str, effect_at: int | None = None, drug_at: int | None = None, name: str = "100"
) -> str:
    """A row of a document in which the sentence begins at character 1000; places are those of the first occurrence."""
    columns: list[str | int] = [name, sentence]
    for phrase, place in ((effect, effect_at), (drug, drug_at)):
        start = 1000 + (sentence.find(phrase) if place is None else place)
        columns += [phrase, start, start + len(phrase)]
    return "|".join(map(str, columns))


def records(*lines: str) -> tuple[list[dict[str, Any]], Counter[str]]:
    counts: Counter[str] = Counter()
    return list(sentence_records(read_rows(lines, "DRUG-AE.rel"), counts)), counts


def marked(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Effect and drug of each relation in words."""
    spans = [record["tokens"][slice(entity["start"], entity["end"])] for entity in record["entities"]]
    assert all(record["entities"][relation["head"]]["type"] == "Adverse-Effect" for relation in record["relations"])
    assert all(record["entities"][relation["tail"]]["type"] == "Drug" for relation in record["relations"])
    return [(" ".join(spans[r["head"]]), " ".join(spans[r["tail"]])) for r in record["relations"]]


# words


def test_words_of_a_sentence(subtests: pytest.Subtests) -> None:
    cases = [
        ("Lithium caused tremor.", "Lithium caused tremor ."),
        ("Lithium caused tremor", "Lithium caused tremor ."),
        ("Given vitamin K.", "Given vitamin K ."),
        ("A (5-FU)-induced rash.", "A ( 5 - FU ) - induced rash ."),
        ("Two. Sentences? Three", "Two . Sentences ? Three ."),
        ("A  B", "A B ."),
        (".", "."),
    ]
    for text, words in cases:
        with subtests.test(text=text, words=words):
            whole = text.removesuffix(".") + "."
            assert [whole[start:end] for start, end in words_of(text)] == words.split()


# placing


def test_a_row_becomes_two_entities_and_a_relation() -> None:
    [found], counts = records(
        row("Intravenous azithromycin-induced ototoxicity.", "ototoxicity", "azithromycin") + "\n"
    )
    assert found == {
        "orig_id": "100_0",
        "tokens": ["Intravenous", "azithromycin", "-", "induced", "ototoxicity", "."],
        "entities": [{"type": "Drug", "start": 1, "end": 2}, {"type": "Adverse-Effect", "start": 4, "end": 5}],
        "relations": [{"type": "Adverse-Effect", "head": 1, "tail": 0}],
    }
    assert not counts.total()


def test_rows_of_a_sentence_share_its_entities() -> None:
    text = "Aspirin and ibuprofen caused a severe rash and fever"
    lines = [row(text, "severe rash", "Aspirin"), row(text, "severe rash", "ibuprofen"), row(text, "fever", "Aspirin")]
    [found], counts = records(*lines)
    assert len(found["entities"]) == 4
    assert marked(found) == [("severe rash", "Aspirin"), ("severe rash", "ibuprofen"), ("fever", "Aspirin")]
    assert [entity["start"] for entity in found["entities"]] == [0, 2, 5, 8], "in the order of the text"
    assert not counts.total()


def test_sentences_are_numbered_within_their_document() -> None:
    lines = [row("Gold caused rash.", "rash", "Gold"), row("Iron caused rash.", "rash", "Iron")]
    lines += [row("Gold caused rash.", "rash", "Gold", name="7"), "\n", row("Gold caused rash.", "rash", "Gold")]
    found, counts = records(*lines)
    assert [record["orig_id"] for record in found] == ["100_0", "100_1", "7_0"]
    assert counts == {UNPLACED: 0, MOVED: 0, REPEATED_ROWS: 1}


def test_the_distance_tells_occurrences_apart(subtests: pytest.Subtests) -> None:
    for occurrence, start in [(0, 0), (1, 6)]:
        with subtests.test(occurrence=occurrence, start=start):
            text = "Gold is old, but never Gold gave a rash like that."
            [found], counts = records(
                row(text, "rash", "Gold", drug_at=[text.find("Gold"), text.rfind("Gold")][occurrence])
            )
            [drug] = [entity for entity in found["entities"] if entity["type"] == "Drug"]
            assert drug["start"] == start and not counts.total()


def test_effects_before_and_behind_their_drug() -> None:
    text = "Rash after gold and gold after rash, then rash after gold"
    first = row(text, "rash", "gold", text.find("rash"), text.find("gold"))
    second = row(text, "rash", "gold", text.rfind("rash"), text.rfind("gold"))
    [found], counts = records(first, second)
    spans = [(entity["type"], entity["start"]) for entity in found["entities"]]
    assert spans == [("Drug", 2), ("Adverse-Effect", 6), ("Adverse-Effect", 9), ("Drug", 11)]
    assert [(r["head"], r["tail"]) for r in found["relations"]] == [(1, 0), (2, 3)]
    assert not counts.total()


def test_rows_of_one_distance_take_one_place_after_the_other() -> None:
    text = "gold gave rash ; gold gave rash"
    line = row(text, "rash", "gold")
    [found], counts = records(line, line, line)
    assert [(entity["start"]) for entity in found["entities"]] == [0, 2, 4, 6]
    assert [(r["head"], r["tail"]) for r in found["relations"]] == [(1, 0), (3, 2)]
    assert counts == {UNPLACED: 0, MOVED: 0, REPEATED_ROWS: 1}


def test_changed_white_space_is_placed_by_the_nearest_distance() -> None:
    text = "gold, as is known, gave a rash ; gold did it"
    line = row(text, "rash", "gold")
    columns = line.split("|")
    columns[-2:] = [str(int(column) + 2) for column in columns[-2:]]
    [found], counts = records("|".join(columns))
    assert [entity["start"] for entity in found["entities"]] == [0, 8]
    assert counts == {UNPLACED: 0, MOVED: 1, REPEATED_ROWS: 0}
    [found], counts = records(row("gold gave acute  renal failure", "acute renal failure", "gold", effect_at=10))
    assert marked(found) == [("acute renal failure", "gold")] and counts[MOVED] == 1


def test_overlapping_arguments_stay() -> None:
    text = "Signs of insulin hypersensitivity appeared."
    [found], _ = records(row(text, "insulin hypersensitivity", "insulin"))
    assert marked(found) == [("insulin hypersensitivity", "insulin")]
    assert [(entity["start"], entity["end"]) for entity in found["entities"]] == [(2, 3), (2, 4)]


def test_a_span_may_be_effect_and_drug() -> None:
    text = "Withdrawal of alcohol caused alcohol dependence."
    [found], _ = records(row(text, "alcohol", "alcohol"), row(text, "dependence", "alcohol"))
    types = [(entity["type"], entity["start"], entity["end"]) for entity in found["entities"]]
    assert types == [("Adverse-Effect", 2, 3), ("Drug", 2, 3), ("Adverse-Effect", 5, 6)]


def test_rows_without_a_place_are_counted() -> None:
    text = "Antibiotics caused nephrotoxicity."
    [found], counts = records(row(text, "toxicity", "Antibiotics"), row(text, "nephrotoxicity", "antibiotics"))
    assert found["tokens"] == ["Antibiotics", "caused", "nephrotoxicity", "."]
    assert found["entities"] == found["relations"] == []
    assert counts == {UNPLACED: 2}


def test_a_sentence_may_have_the_separator_in_it() -> None:
    [found], _ = records(row("Gold | iron caused rash.", "rash", "Gold"))
    assert found["tokens"] == ["Gold", "|", "iron", "caused", "rash", "."]


def test_a_broken_row_is_named(subtests: pytest.Subtests) -> None:
    cases = [
        "10030778|Gold caused rash.|rash|12|16|Gold|0\n",
        "10030778|rash|12|16|Gold|0|4\n",
        "10030778|Gold caused rash.|rash|12|x|Gold|0|4\n",
        "10030778|Gold caused rash.||12|16|Gold|0|4\n",
        "10030778|Gold caused rash.|rash|12|16| |0|4\n",
        "|Gold caused rash.|rash|12|16|Gold|0|4\n",
        "Gold caused rash.\n",
    ]
    for line in cases:
        with (
            subtests.test(line=line),
            pytest.raises(DocumentError, match=r"line 2 of DRUG-AE\.rel is .*; give document, sentence, effect, start"),
        ):
            records(row("Gold caused rash.", "rash", "Gold"), line)


# the builder


def sentence(number: int, words: str = "Gold caused rash .") -> dict[str, Any]:
    return {
        "orig_id": number,
        "tokens": words.split(),
        "entities": [{"type": "Adverse-Effect", "start": 2, "end": 3}, {"type": "Drug", "start": 0, "end": 1}],
        "relations": [{"type": "Adverse-Effect", "head": 0, "tail": 1}],
    }


def published(folder: Path, folds: int = FOLDS) -> Path:
    """The files of folds over twenty sentences."""
    folder.mkdir(exist_ok=True)
    for fold in range(folds):
        for split in ("train", "test"):
            chosen = [number for number in range(20) if (number % FOLDS == fold) == (split == "test")]
            text = json.dumps([sentence(number) for number in chosen])
            (folder / f"ade_split_{fold}_{split}.json").write_text(text)
    return folder


def rows_file(folder: Path, sentences: int = 23) -> Path:
    folder.mkdir(exist_ok=True)
    lines = [row(f"Gold caused rash {n}.", "rash", "Gold", name=str(n // 2)) for n in range(sentences)]
    (folder / "DRUG-AE.rel").write_text("\n".join(lines) + "\n")
    return folder


def prepared(tmp_path: Path, folder: Path, **options: Any) -> dict[str, list[Document]]:
    builder = Ade(str(tmp_path / "cache"), data_dir=folder, **options)
    builder.download_and_prepare()
    return {name: list(map(Document.from_dict, split)) for name, split in builder.as_dataset().items()}


def test_published_folds(tmp_path: Path) -> None:
    local = rows_file(published(tmp_path / "local"))
    tests = []
    for fold in (0, 3, 9):
        found = prepared(tmp_path, local, config_name=f"fold_{fold}")
        tests.append([document.id for document in found["test"]])
        assert len(found["train"]) == 18
    assert tests == [["0", "10"], ["3", "13"], ["9", "19"]]
    assert found["test"][0].entities == (
        Entity("Adverse-Effect", (Mention(0, 2, 3),)),
        Entity("Drug", (Mention(0, 0, 1),)),
    )
    assert found["test"][0].relations[0].label == "adverse effect of"
    assert prepared(tmp_path, local) == prepared(tmp_path, local, config_name="fold_0"), "fold_0 is the default"


def test_folds_made_of_rows(tmp_path: Path) -> None:
    local = rows_file(tmp_path / "local")
    everything = {f"{number // 2}_{number % 2}" for number in range(23)}
    tests = []
    for fold in range(FOLDS):
        found = prepared(tmp_path, local, config_name=f"fold_{fold}")
        train, test = ({document.id for document in found[split]} for split in ("train", "test"))
        assert train | test == everything and not train & test
        tests.append(test)
    assert sorted(map(len, tests)) == [2] * 7 + [3] * 3
    assert set().union(*tests) == everything
    other = prepared(tmp_path, local, seed=1)["test"]
    assert {document.id for document in other} != tests[0]
    assert prepared(tmp_path, local, seed=1)["test"] == other
    builder = Ade(str(tmp_path / "cache"), data_dir=local, seed=1)
    assert list(map(Document.from_dict, builder.as_streaming_dataset()["test"])) == other


def test_folds_do_not_depend_on_the_order_of_sentences() -> None:
    documents = [Document(f"{number}", (("word",),)) for number in range(101)]
    for fold in range(FOLDS):
        first, second = (make_fold(found, fold, seed=0) for found in (documents, documents[::-1]))
        assert {split: set(part) for split, part in first.items()} == {s: set(p) for s, p in second.items()}
        assert first["train"] == [document for document in documents if document in first["train"]], "in their order"
        assert len(first["test"]) == (11 if fold == 0 else 10)


def test_rows_in_gzip_and_changed_rows(tmp_path: Path) -> None:
    local = rows_file(tmp_path / "local")
    expected = prepared(tmp_path, local)
    path = local / "DRUG-AE.rel"
    (local / "DRUG-AE.rel.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert prepared(tmp_path, local) == expected
    (local / "DRUG-AE.rel.gz").unlink()
    assert sum(map(len, prepared(tmp_path, rows_file(local, 12)).values())) == 12


def test_folds_are_published_or_made_but_not_mixed(tmp_path: Path) -> None:
    local = rows_file(published(tmp_path / "local", folds=1))
    assert [document.id for document in prepared(tmp_path, local)["test"]] == ["0", "10"]
    with pytest.raises(FileNotFoundError) as caught:
        Ade(str(tmp_path / "cache"), data_dir=local, config_name="fold_1").download_and_prepare()
    parts = ["ade: no file", "ade_split_1_train.json", "ade_split_1_test.json", "DRUG-AE.rel", "without any fold"]
    assert all(part in str(caught.value) for part in parts), caught.value


def test_broken_rows_and_options_are_named(tmp_path: Path) -> None:
    local = rows_file(tmp_path / "local")
    (local / "DRUG-AE.rel").write_text("7|Gold caused rash.|rash|12|16\n")
    with pytest.raises(DatasetGenerationError) as caught:
        Ade(str(tmp_path / "cache"), data_dir=local).download_and_prepare()
    assert "document '7': line 1 of DRUG-AE.rel" in str(caught.value.__cause__)
    with pytest.raises(ValueError, match="fold_10"):
        Ade(str(tmp_path / "cache"), data_dir=local, config_name="fold_10")


def test_what_is_left_out_gives_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "DRUG-AE.rel").write_text(row("Gold caused rash.", "Rash", "Gold") + "\n")
    list(Ade(str(tmp_path / "cache"), data_dir=tmp_path).as_streaming_dataset()["test"])
    [warning] = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    assert UNPLACED in warning and "DRUG-AE.rel" in warning


def test_training_reads_a_fold(tmp_path: Path) -> None:
    arguments = CorpusArguments(
        "ade", corpus_config="fold_2", data_dir=str(published(tmp_path / "local")), validation_split="test"
    )
    corpus = load_corpus(arguments)
    assert {split: len(documents) for split, documents in corpus.splits.items()} == {"train": 18, "validation": 2}
    assert (corpus.labels["entity_types"], corpus.labels["relation_types"]) == (
        ["Adverse-Effect", "Drug"],
        ["Adverse-Effect"],
    )


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    local, cache = rows_file(tmp_path / "local"), str(tmp_path / "cache")
    flags = ["--config", "fold_4", "--seed", "3", "--data_dir", str(local), "--cache_dir", cache]
    main(Ade, ["--out", str(tmp_path / "out"), *flags])
    assert "| entities of type Drug | 21 | 2 |" in capsys.readouterr().out
    assert "(config `fold_4`, `seed=3`)" in (tmp_path / "out/README.md").read_text()


def test_sources() -> None:
    assert list(Ade.SOURCES) == [config.name for config in Ade.BUILDER_CONFIGS] == [f"fold_{n}" for n in range(10)]
    urls = [source.url for table in Ade.SOURCES.values() for source in table.values()]
    assert len(set(urls)) == 20
    assert urls[-1].endswith("/storage/spert/public/datasets/ade/ade_split_9_test.json")
