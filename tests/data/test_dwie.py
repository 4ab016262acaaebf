"""DWIE: which documents and relations stay, their splits, types and words, and a training."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest
from news_articles import CORPUS, CUP, MERKEL, RAIN, SILENT, article, dwie_splits, ids_of, write_articles
from tiny import tiny_encoder, tiny_tokenizer

from dataset_scripts.building.export import main
from dataset_scripts.building.loading import CorpusArguments, load_corpus
from dataset_scripts.building.statistics import corpus_statistics
from dataset_scripts.dwie import Dwie, divide, read_articles
from modeling_docre.documents import Document
from modeling_docre.training import run


def _counts(caplog: pytest.LogCaptureFixture) -> Counter[str]:
    """What the reports say, summed over the splits."""
    counts: Counter[str] = Counter()
    for entry in caplog.records:
        if entry.getMessage().startswith("dwie, read from"):
            rows = (line.rsplit(maxsplit=1) for line in entry.getMessage().splitlines()[1:])
            counts.update({text.strip(): int(number.replace(",", "")) for text, number in rows})
    return counts


# which documents, concepts and relations stay


def test_what_stays_and_what_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_articles(tmp_path / "dwie", CORPUS)
    (folder / "validation_ids.txt").write_text("DW_2\n")
    caplog.set_level("INFO", logger="dataset_scripts.building.builder")
    builder = Dwie(str(tmp_path / "cache"), data_dir=folder)
    prepared = {name: list(map(Document.from_dict, split)) for name, split in builder.as_streaming_dataset().items()}
    assert ids_of(prepared) == {"train": ["DW_1"], "validation": ["DW_2"], "test": ["DW_4"]}
    [merkel], [rain], [cup] = prepared.values()
    # in the order of their first mentions, not of their numbers
    assert [(e.id, e.type, len(e.mentions)) for e in merkel.entities] == [
        ("0", "person", 2),
        ("2", "organization", 3),
        ("1", "location", 1),
    ]
    assert [(r.head, r.type, r.tail, r.label, r.evidence) for r in merkel.relations] == [
        (0, "head_of_gov", 2, None, None),
        (0, "citizen_of", 2, None, None),
        (0, "member_of", 1, None, None),
        (1, "based_in0", 2, None, None),
    ]
    assert [(e.id, e.type) for e in rain.entities] == [("1", "location"), ("0", "value")] and rain.relations == ()
    assert [(r.head, r.type, r.tail) for r in cup.relations] == [(0, "event_in0", 1), (0, "event_in0-x", 1)]
    assert _counts(caplog) == {
        "documents": 4,
        "concepts": 10,
        "mentions": 13,
        "relation rows": 11,
        "documents without a mention (dropped)": 1,
        "documents without relations (kept)": 1,
        "concepts without a mention (dropped)": 3,
        "relation rows of a concept without a mention (dropped)": 3,
        "relation rows from a concept to itself (dropped)": 1,
        "relation rows that repeat another (dropped)": 1,
    }
    levels = [entry.levelname for entry in caplog.records if entry.getMessage().startswith("dwie, read from")]
    assert levels == ["WARNING", "INFO", "INFO"], "from the files of the training documents something is left out"


def test_statistics(tmp_path: Path) -> None:
    prepared = dwie_splits(tmp_path, write_articles(tmp_path / "dwie", CORPUS), validation_size=1)
    figures = corpus_statistics(document for split in prepared.values() for document in split)
    # entities by number of mentions: DW_1 has 2, 3, 1; DW_2 has 1, 1; DW_4 has 4, 1
    expected = {
        "documents": 3,
        "entities": 3 + 2 + 2,
        "entity types": 6,  # person, organization, location, value, event, other
        "mentions": 6 + 2 + 5,
        "relations": 4 + 0 + 2,
        "relation types": 6,
        "related entity pairs": 3 + 0 + 1,
        "related entity pairs of several relation types": 1 + 0 + 1,
        "entity pairs": 6 + 2 + 2,
        "entity pairs with several mentions of head or tail": 6 + 0 + 2,
        "entity pairs with several mentions of head and tail": 2 + 0 + 0,
        "mention pairs": 2 * (2 * 3 + 2 * 1 + 3 * 1) + 2 * 1 + 2 * 4,
        "entities of type location": 2,
        "mentions of type organization": 3,
    }
    assert {name: figures[name] for name in expected} == expected
    assert figures["mention pairs"] / figures["entity pairs"] == 3.2
    assert figures["related entity pairs of several relation types"] / figures["related entity pairs"] == 0.5


def test_nothing_left_out_gives_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dwie_splits(tmp_path, write_articles(tmp_path / "dwie", [RAIN, RAIN | {"id": "DW_9"}]), validation_size=1)
    assert not [entry for entry in caplog.records if entry.levelname == "WARNING" and "dwie" in entry.getMessage()]


# a corpus of the published size


def _mentioned(number: int) -> int:
    """Mentioned concepts of a generated document; three documents have none."""
    return 0 if number in (5, 6, 800) else 1 + number % 4


def _generated(number: int) -> dict[str, Any]:
    mentioned, more = _mentioned(number), number % 3
    marked = " ".join(f"[{n}:Name{n}] came." for n in range(mentioned))
    rows = [(0, "in0", n) for n in range(mentioned + more)]  # the first one leads from a concept to itself
    types = ["entity person"] * (mentioned + more)
    return article(f"DW_{number:03}", marked, types, rows if types else [], "train" if number < 702 else "test")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with as many documents as DWIE has: 702 and 100, of which 2 and 1 have no mention."""
    return write_articles(tmp_path_factory.mktemp("dwie"), map(_generated, range(802)))


def test_the_published_sizes(published: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    builder = Dwie(str(tmp_path / "cache"), data_dir=published)
    builder.download_and_prepare()
    splits = builder.as_dataset()
    assert {name: len(split) for name, split in splits.items()} == {"train": 602, "validation": 98, "test": 99}
    ids = {name: set(split["id"]) for name, split in splits.items()}
    everything = {f"DW_{number:03}" for number in range(802)} - {"DW_005", "DW_006", "DW_800"}
    assert set.union(*ids.values()) == everything, "the sizes above add up to 799, so no document is in two splits"
    assert ids["test"] == {name for name in everything if name >= "DW_702"}
    found, counts = {row["id"]: Document.from_dict(row) for split in splits.values() for row in split}, _counts(caplog)
    relations = 0
    for number in range(802):
        if mentioned := _mentioned(number):
            document = found[f"DW_{number:03}"]
            assert [e.id for e in document.entities] == [str(n) for n in range(mentioned)]
            assert [(r.head, r.tail) for r in document.relations] == [(0, n) for n in range(1, mentioned)]
            relations += mentioned - 1
    dropped = sum(number % 3 for number in range(802))
    selves = sum(_mentioned(number) + number % 3 > 0 for number in range(802))
    assert counts["documents"] == 802 and counts["documents without a mention (dropped)"] == 3
    assert counts["concepts without a mention (dropped)"] == dropped
    # a row of a concept without a mention to itself counts as a self relation: that of 5 and 800, 6 has no concept
    assert counts["relation rows from a concept to itself (dropped)"] == selves == 801
    assert counts["relation rows of a concept without a mention (dropped)"] == dropped - 2
    assert counts["relation rows"] == relations + selves + dropped - 2


def test_the_draw_depends_on_ids_and_seed_alone(published: Path) -> None:
    articles = read_articles(str(published))
    first = divide(articles, 98, 0)
    turned = divide(articles[::-1], 98, 0)
    assert {name: set(ids) for name, ids in turned.items()} == {name: set(ids) for name, ids in first.items()}
    digest = hashlib.sha256("\n".join(first["validation"]).encode()).hexdigest()
    assert digest[:8] == "9013d131", "another draw: scores on validation documents do not compare with older ones"
    other = divide(articles, 98, 1)
    assert other["test"] == first["test"]
    shared = set(other["validation"]) & set(first["validation"])
    assert 2 <= len(shared) <= 30, "98 * 98 / 700 = 14 are expected"
    for ids in (first, other):
        assert not set(ids["train"]) & set(ids["validation"]) and len(ids["validation"]) == 98
        assert {"DW_005", "DW_006"} <= set(ids["train"]), "documents without a mention are never drawn"
    smaller = divide(articles, 50, 0)
    assert set(smaller["validation"]) < set(first["validation"])


def test_names_of_the_files_do_not_matter(tmp_path: Path) -> None:
    records = [_generated(number) for number in range(690, 712)]
    first = write_articles(tmp_path / "a", records)
    second = tmp_path / "b"
    second.mkdir()
    for number, record in enumerate(reversed(records)):
        (second / f"{number:02}.json").write_text(json.dumps(record))
    prepared = dwie_splits(tmp_path / "1", first, validation_size=4)
    assert prepared == dwie_splits(tmp_path / "2", second, validation_size=4)
    assert {name: len(split) for name, split in prepared.items()} == {"train": 8, "validation": 4, "test": 10}


def test_options_of_the_draw(tmp_path: Path) -> None:
    folder = write_articles(tmp_path / "dwie", map(_generated, range(10, 40)))
    drawn = [
        ids_of(dwie_splits(tmp_path, folder, validation_size=size, seed=seed))["validation"]
        for size, seed in ((10, 0), (10, 1), (10, 0), (3, 0))
    ]
    assert drawn[0] == drawn[2] != drawn[1] and set(drawn[3]) < set(drawn[0])
    for size in (0, -1, 30, 98):
        with pytest.raises(ValueError, match=f"dwie: validation_size is {size}, and 30 documents .* leave at least"):
            Dwie(str(tmp_path / "cache"), data_dir=folder, validation_size=size).download_and_prepare()
    for option in ("validation_size", "seed"):
        with pytest.raises(ValueError, match=f"dwie: {option} is '3'; give a whole number"):
            Dwie(str(tmp_path / "cache"), data_dir=folder, **{option: "3"})


@pytest.mark.parametrize("text", ["DW_12\nDW_15\n", "\ufeffDW_15\r\n\r\n DW_12 \r\n", "DW_12\nDW_15\nDW_12"])
def test_a_list_of_validation_documents(text: str, tmp_path: Path) -> None:
    folder = write_articles(tmp_path / "dwie", [_generated(n) | {"id": f"DW_{n}"} for n in range(10, 20)])
    (folder / "validation_ids.txt").write_bytes(text.encode())
    found = ids_of(dwie_splits(tmp_path, folder, seed=3))
    assert found == {"train": [f"DW_{n}" for n in (10, 11, 13, 14, 16, 17, 18, 19)], "validation": ["DW_12", "DW_15"]}


def test_a_changed_list_is_read_again(tmp_path: Path) -> None:
    folder = write_articles(tmp_path / "dwie", [MERKEL, RAIN, CUP])
    for name in ("DW_1", "DW_2"):
        (folder / "validation_ids.txt").write_text(f"{name}\n")
        assert ids_of(dwie_splits(tmp_path, folder))["validation"] == [name]


def test_a_wrong_list_is_refused(tmp_path: Path, subtests: pytest.Subtests) -> None:
    cases = [
        ("DW_1\nDW_99\n", "validation_ids.txt has 'DW_99', which is not a document tagged 'train' with a mention"),
        ("DW_4\n", "validation_ids.txt has 'DW_4', which is not a document tagged 'train' with a mention"),
        ("DW_3\n", "validation_ids.txt has 'DW_3', which is not a document tagged 'train' with a mention"),
        ("DW_1\nDW_2\n", "validation_ids.txt has 2 documents, and 2 documents tagged 'train' have mentions"),
        ("\n", "validation_ids.txt has 0 documents, and 2 documents tagged 'train' have mentions"),
    ]
    for number, (text, found) in enumerate(cases):
        with subtests.test(text=text, found=found):
            case_path = tmp_path / str(number)
            case_path.mkdir()
            folder = write_articles(case_path / "dwie", CORPUS)
            (folder / "validation_ids.txt").write_text(text)
            with pytest.raises(ValueError, match=found):
                Dwie(str(case_path / "cache"), data_dir=folder).download_and_prepare()


def test_one_part_alone(tmp_path: Path) -> None:
    assert ids_of(dwie_splits(tmp_path / "a", write_articles(tmp_path / "x", [CUP]))) == {"test": ["DW_4"]}
    found = dwie_splits(tmp_path / "b", write_articles(tmp_path / "y", [MERKEL, RAIN, SILENT]), validation_size=1)
    assert {name: len(split) for name, split in found.items()} == {"train": 1, "validation": 1}
    folder = write_articles(tmp_path / "z", [MERKEL, RAIN, SILENT | {"tags": ["all", "test"]}])
    with pytest.raises(ValueError, match="dwie: no document tagged 'test' has a mention"):
        Dwie(str(tmp_path / "cache"), data_dir=folder, validation_size=1).download_and_prepare()


# entity types and relation types


def test_one_type_per_entity(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    types = ["politician person entity", "entity", "other gpe0-x", "footer skip", "", "event organization"]
    record = article("DW_1", "".join(f"[{n}:A{n}] and " for n in range(6)), types, split="test")
    record["concepts"][4]["tags"] = ["ner::person", "topic::politics"]
    folder = write_articles(tmp_path / "dwie", [record])
    [document] = dwie_splits(tmp_path, folder)["test"]
    assert [e.type for e in document.entities] == ["person", "entity", "other", "untyped", "untyped", "organization"]
    builder = Dwie(str(tmp_path / "cache"), data_dir=folder)
    names = ["person", "organization", "location", "event", "misc", "value", "other", "entity", "untyped"]
    assert builder.entity_types() == builder.ENTITY_TYPES == names
    counts = _counts(caplog)
    assert counts["entities without a tag `type::...` (type untyped)"] == 2, "once prepared and once streamed"
    assert counts["entities whose tags `type::...` are not in type_priority (type untyped)"] == 2


def test_another_priority(tmp_path: Path) -> None:
    folder = write_articles(tmp_path / "dwie", CORPUS)
    builder = Dwie(str(tmp_path / "cache"), data_dir=folder, type_priority="gpe0, entity", validation_size=1)
    found = {d["id"]: d for split in builder.as_streaming_dataset().values() for d in split}
    assert [e["type"] for e in found["DW_1"]["entities"]] == ["entity", "entity", "gpe0"]
    assert [e["type"] for e in found["DW_2"]["entities"]] == ["entity", "untyped"]
    assert builder.entity_types() == ["gpe0", "entity", "untyped"]
    for wrong in ("", "person,", "person,person", "untyped,person"):
        with pytest.raises(ValueError, match=f"dwie: type_priority is '{wrong}'; give names of `type::` tags"):
            Dwie(str(tmp_path / "cache"), data_dir=folder, type_priority=wrong)


def test_relation_types_are_those_of_all_splits(tmp_path: Path) -> None:
    folder = write_articles(tmp_path / "dwie", CORPUS)
    types = ["based_in0", "citizen_of", "event_in0", "event_in0-x", "head_of_gov", "member_of"]
    # in0, part_of and vs stand in rows that are left out only
    for seed in range(3):
        builder = Dwie(str(tmp_path / "cache"), data_dir=folder, validation_size=1, seed=seed)
        assert builder.relation_types() == types


def test_labels_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = write_articles(tmp_path / "dwie", [MERKEL, RAIN, CUP])
    (folder / "rel_info.json").write_text(json.dumps({"event_in0-x": "takes place in (adjective)", "unused": "unused"}))
    (folder / "validation_ids.txt").write_text("DW_2\n")
    corpus = load_corpus(CorpusArguments(corpus="dwie", data_dir=str(folder), test_split="test"))
    assert {name: [d.id for d in split] for name, split in corpus.splits.items()} == {
        "train": ["DW_1"],
        "validation": ["DW_2"],
        "test": ["DW_4"],
    }
    assert corpus.labels == {
        "entity_types": Dwie.ENTITY_TYPES,
        "relation_types": ["based_in0", "citizen_of", "event_in0", "event_in0-x", "head_of_gov", "member_of"],
        "relation_labels": {"event_in0-x": "takes place in (adjective)"},
        "symmetric_relations": [],
    }
    assert [r.label for r in corpus.splits["test"][0].relations] == [None, "takes place in (adjective)"]


# the command line and a training


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out, cache = write_articles(tmp_path / "dwie", CORPUS), tmp_path / "out", str(tmp_path / "cache")
    flags = [
        "--out",
        str(out),
        "--data_dir",
        str(folder),
        "--cache_dir",
        cache,
        "--validation_size",
        "1",
        "--seed",
        "3",
    ]
    main(Dwie, flags)
    printed = capsys.readouterr().out.strip()
    assert "| documents | 1 | 1 | 1 |" in printed and "| mention pairs |" in printed
    card = (out / "README.md").read_text()
    assert "(config `default`, `validation_size=1`, `seed=3`)" in card and str(tmp_path) not in card
    assert "license: other" in card and "must not be redistributed" in card and printed in card
    assert "| event_in0-x |  |" in card and "person, organization, location" in card
    reopened = datasets.load_dataset(str(out), cache_dir=cache)
    expected = dwie_splits(tmp_path, folder, validation_size=1, seed=3)
    assert {name: list(map(Document.from_dict, split)) for name, split in reopened.items()} == expected


def test_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    encoder, output = tmp_path / "encoder", tmp_path / "output"
    tiny_encoder().save_pretrained(encoder)
    tiny_tokenizer().save_pretrained(encoder)
    folder = write_articles(tmp_path / "dwie", CORPUS)
    (folder / "validation_ids.txt").write_text("DW_1\n")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"system: atlop\ncorpus: dwie\ntest_split: test\nencoder: {encoder}\noutput_dir: {output}\n")
    flags = "--use_cpu --disable_tqdm true --num_train_epochs 1 --per_device_train_batch_size 1 --window_overlap 16"
    run.main([str(recipe), "--data_dir", str(folder), "--pair_size=24", "--bilinear_groups=3", *flags.split()])
    config = json.loads((output / "config.json").read_text())
    types = ["based_in0", "citizen_of", "event_in0", "event_in0-x", "head_of_gov", "member_of"]
    assert config["relation_types"] == types
    scores = {split: json.loads((output / split / "scores.json").read_text()) for split in ("validation", "test")}
    assert [scores[split]["documents"] for split in scores] == [1, 1]
    assert all("ign_f1" in scores[split] for split in scores)
