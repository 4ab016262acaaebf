"""Tests of modeling_docre/hub/cards.py."""

from __future__ import annotations

import ast
import errno
import json
import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard, parse_eval_result_entries
from markdown_it import MarkdownIt
from pipelines import build
from tiny import TINY, tiny_atlop, tiny_jerex, tiny_joint, tiny_memory_jerex

from modeling_docre import SYSTEMS, DocREPreTrainedModel
from modeling_docre.graphs.printable import printable
from modeling_docre.hub.cards import RESULTS, CardFacts, folder_facts, render_card, write_card, write_folder_card
from modeling_docre.hub.files import write_whole

REPOSITORY = Path(__file__).resolve().parents[2]
SCORES = {f"{level}_{part}": 0.125 for level in ("mention", "relation") for part in ("precision", "recall", "f1")}
SCORES |= {"documents": 12}
MEASURED = {
    "train_runtime": 267.57,
    "train_samples_per_second": 3.887,
    "epoch": 20.0,
    "train_device": "a processor, 2 threads",
    "train_peak_memory_mib": 1234,
}
PREDICTED = {"predict_runtime": 2.0, "predict_samples_per_second": 6.0}


def front_matter(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_every_system_has_a_whole_card():
    for system in SYSTEMS:
        check_whole_card(TINY[system]())


def check_whole_card(model):
    text = render_card(model, corpus="Corpus", split="test", scores=SCORES, command="run it", repository="org/name")
    assert text.startswith("---\nlanguage: en\n") and f"# {model.title} on Corpus\n" in text
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert sections == ["Use", "Scores", "Training, speed and memory", "Limits and biases", "Licence", "Citation"]
    assert "12 held-out documents (Corpus, test)" in text and "Command: `run it`" in text
    assert re.search(r"```bibtex\n@\w+\{[\w-]+,\n  title = \{", text) and "author = {" in text
    assert 'model="org/name", trust_remote_code=True' in text
    assert not re.search(r"\{\{|\{%|None|Undefined|\n\n\n", text), text
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    compile(code, "card", "exec")
    assert ("entities=[" in code) == model.config.traits.entities_given
    assert ("across sentences" in text) == model.config.traits.reads_sentences


def test_the_systems_cite_different_papers():
    assert (
        len({model.citation for model in SYSTEMS.values()}) == len({m.title for m in SYSTEMS.values()}) == len(SYSTEMS)
    )
    assert not DocREPreTrainedModel.citation


def test_the_card_says_what_the_model_is_and_how_it_scored(tmp_path):
    model = tiny_jerex(relation_threshold=0.35)
    write_card(tmp_path, model, corpus="sample", split="validation", scores=SCORES | PREDICTED, train_results=MEASURED)
    text = (tmp_path / "README.md").read_text()
    assert "Eberts and Ulges, EACL 2021" in text
    assert "| mention | 12.5 | 12.5 | 12.5 |" in text and "| relation | 12.5" in text and "| entity |" not in text
    assert "relation_threshold 0.35" in text
    assert "| training, 20 epochs | 268 | 3.9 | 1234 | a processor, 2 threads |" in text
    assert "| prediction | 2.0 | 6.0 |  |  |" in text
    for name in model.config.entity_types:
        assert name in text
    assert (tmp_path / "LICENSE").read_text() == (REPOSITORY / "LICENSE").read_text()


def test_the_card_of_a_model_for_given_entities_shows_their_scores():
    scores = SCORES | {f"{level}_f1": 0.25 for level in ("ign", "intra")} | {"ign_precision": 0.5}
    text = render_card(tiny_atlop(), scores=scores | {"intra_precision": 0.5, "intra_recall": 0.5})
    assert "candidate span" not in text and "takes the given entities as they are" in text
    assert "| ign | 50.0 | 12.5 | 25.0 |" in text and "| mention |" not in text


def test_a_single_stage_says_what_it_reads():
    for task in ("mention", "coreference", "entity", "relation"):
        model = tiny_jerex(task=task)
        text = render_card(model)
        assert "returns a graph" not in text
        assert f"does the stage {task}" in text or f"with its {model.config.traits.given}" in text, task


def test_signatures_are_a_table_of_readable_types():
    signatures = [["born", "PER", "LOC"], ["born", "PER", "PER"], ["works", "PER", "LOC"]]
    text = render_card(tiny_joint(signatures=signatures, relation_labels={"born": "place of birth"}))
    assert "\n| born, place of birth | PER → LOC, PER → PER |\n| works | PER → LOC |\n" in text
    assert "head → tail" not in render_card(tiny_joint(signatures=[])) + render_card(tiny_joint())


def test_the_metadata_is_what_the_hub_reads(tmp_path):
    write_card(
        tmp_path,
        tiny_jerex(),
        base_model="user/encoder",
        corpus="Sample",
        dataset="org/sample",
        split="test",
        scores=SCORES,
        command="python train.py: a 'run' #1",
        license="mit",
    )
    data = ModelCard.load(tmp_path / "README.md").data
    assert (data.library_name, data.pipeline_tag, data.license) == ("transformers", "token-classification", "mit")
    assert (data.base_model, data.datasets, data.metrics) == ("user/encoder", ["org/sample"], ["docre_f1"])
    assert data.language == "en"
    assert data.tags == ["relation-extraction", "document-level-relation-extraction", "jerex"]
    assert data.model_name == "JEREX on Sample"
    first = data.eval_results[0]
    assert isinstance(first, EvalResult)
    assert (first.dataset_type, first.dataset_name, first.dataset_split) == ("org/sample", "Sample", "test")
    assert {result.metric_name: result.metric_value for result in data.eval_results} == {
        "mention_f1": 0.125,
        "relation_f1": 0.125,
    }
    assert not (tmp_path / "LICENSE").exists(), "the package's licence is not that of these weights"


def test_memories_that_are_not_read_are_said_to_be_so():
    for options, told in (({}, False), ({"memory_reading": False}, True), ({"memory_read": False}, False)):
        assert ("Its memories are not read" in render_card(tiny_memory_jerex(**options))) is told, options
    assert "memories are not read" not in render_card(tiny_jerex())


def test_scores_for_leaderboards(tmp_path):
    facts = {"scores": SCORES, "split": "test", "command": "run it: 'now' # then"}
    write_card(tmp_path, tiny_jerex(), dataset="org/sample", **facts)
    entries = parse_eval_result_entries(yaml.safe_load((tmp_path / RESULTS).read_text()))
    assert {entry.task_id: entry.value for entry in entries} == {"mention_f1": 0.125, "relation_f1": 0.125}
    assert {entry.dataset_id for entry in entries} == {"org/sample"}
    assert entries[0].notes == "docre_f1; split test; run it: 'now' # then"
    write_card(tmp_path, tiny_jerex(), corpus="sample", **facts)
    assert not (tmp_path / RESULTS).exists(), "the name of a corpus could be that of another dataset on the Hub"


def test_a_model_without_scores_is_said_to_have_none(tmp_path):
    write_card(tmp_path, tiny_jerex())
    text = (tmp_path / "README.md").read_text()
    assert "Not scored." in text and 'model="REPOSITORY"' in text and "| training" not in text
    data = ModelCard.load(tmp_path / "README.md").data
    assert data.eval_results is None and data.datasets is None and data.base_model is None


def test_only_an_encoder_of_the_hub_is_the_base_model(tmp_path):
    model = tiny_jerex()
    for name, expected in (("org/encoder", "org/encoder"), ("bert-base-cased", "bert-base-cased"), ("a b/c", None)):
        model.config.encoder_config.name_or_path = name
        assert front_matter(render_card(model)).get("base_model") == expected
    model.config.encoder_config.name_or_path = str(tmp_path)
    assert str(tmp_path) not in render_card(model)


def test_facts_that_cannot_be_are_refused(tmp_path):
    for facts, message in (
        ({"dataset": "docred"}, "dataset is 'docred'; give its repository"),
        ({"dataset": "org/name/more"}, "organisation/name"),
        ({"scores": {"relation_f1": 0.5}}, "'documents'"),
    ):
        with pytest.raises(ValueError, match=message):
            write_card(tmp_path, tiny_jerex(), **facts)
    assert not list(tmp_path.iterdir())
    with pytest.raises(TypeError, match="colour"):
        CardFacts(colour="blue")


def test_names_that_yaml_or_markdown_could_misread():
    model = tiny_jerex(entity_types=["a: b", "{{ c }}", "# d"], relation_types=["{% raw %}"])
    text = render_card(model, corpus="x: {y} # {{ z }}", scores=SCORES)
    assert "(a: b, {{ c }}, # d)" in text
    assert front_matter(text)["model-index"][0]["results"][0]["dataset"]["name"] == "x: {y} # {{ z }}"


HOSTILE = (
    'PER"], "mentions": [{}]}]); __import__("os").system("x") #',
    "it's \\",
    "a\n```\n# taken over\n---\nlicense: mit\n",
    "| a | b |\r\n| --- | --- |",
    "`` ` code `",
    "<img src=x onerror=alert(1)> &lt;",
    "[text](javascript:x) ![p](x.png) *a* _b_ ~c~ $d$",
    "{{ 7 * 7 }}{% raw %}{# x #}",
    "\x1b[31m\x07\u202eabc\u2028d\x85e",
)


def as_types(label: str) -> list[str]:
    """A configuration takes printable labels only."""
    return [label if label.isprintable() else "PER", "LOC"]


def test_nothing_breaks_out_of_the_cards_python_example():
    for label in HOSTILE:
        text = render_card(tiny_atlop(entity_types=as_types(label)), repository=label)
        code = re.search(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE).group(1)
        nodes = list(ast.walk(ast.parse(code)))
        strings = {node.value for node in nodes if isinstance(node, ast.Constant)}
        assert {printable(label), as_types(label)[0]} <= strings, code
        assert sum(isinstance(node, ast.Call) for node in nodes) == 2, code


def test_nothing_breaks_out_of_the_cards_markdown_and_metadata(tmp_path):
    facts = ("corpus", "split", "command", "base_model", "license")
    scores = SCORES | {"predict_runtime": 1.0, "predict_samples_per_second": 1.0, "documents": 12}
    plain = skeleton(tmp_path, "word", **dict.fromkeys(facts, "word"), scores=scores | {"predict_device": "word"})
    for label in HOSTILE:
        told = dict.fromkeys(facts, label)
        assert skeleton(tmp_path, label, **told, scores=scores | {"predict_device": label}) == plain, label


def skeleton(folder: Path, label: str, **facts):
    """What a card consists of beside its plain text, after its metadata were read as the Hub does."""
    write_card(folder, tiny_jerex(entity_types=as_types(label)), dataset="org/d", **facts)
    text = (folder / "README.md").read_text()
    data, shown = ModelCard(text).data, printable(label)
    assert (data.license, data.base_model, data.eval_results[0].dataset_name) == (shown, shown, shown)
    assert yaml.safe_load((folder / RESULTS).read_text())[0]["notes"].endswith(shown)
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(ModelCard(text).text)
    assert "html_block" not in {token.type for token in tokens}
    found = [token for outer in tokens for token in (outer, *(outer.children or ()))]
    found = [(token.type, token.tag) for token in found if token.type not in ("text", "text_special")]
    texts = [child.content for token in tokens for child in token.children or ()]
    assert f"Command: {shown}" in "".join(texts), texts
    return found


def run_folder(folder: Path) -> Path:
    """What a training run leaves: a model, and what was measured."""
    tiny_jerex().save_pretrained(folder)
    (folder / "train_results.json").write_text(json.dumps(MEASURED))
    for split, value in (("validation", 0.25), ("test", 0.5)):
        (folder / split).mkdir()
        told = {"relation_f1": value, "corpus": "sample", "command": f"run {split}"}
        (folder / split / "scores.json").write_text(json.dumps(SCORES | told))
    return folder


def test_the_folder_tells_the_facts(tmp_path):
    run_folder(tmp_path)
    facts = folder_facts(tmp_path)
    assert (facts["split"], facts["corpus"], facts["command"]) == ("test", "sample", "run test")
    (tmp_path / "test" / "scores.json").write_text(json.dumps(PREDICTED))  # hidden labels: predicted, not scored
    assert folder_facts(tmp_path)["split"] == "validation"
    file = tmp_path / "validation" / "scores.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"split": "dev[50:]"}))
    assert folder_facts(tmp_path)["split"] == "dev[50:]", "what the corpus calls it"
    write_card(tmp_path, tiny_jerex(), scores=SCORES)
    text = (tmp_path / "README.md").read_text()
    assert "on 12 held-out documents (sample);" in text, "scores that are given are not those of the folder's split"
    assert "| training, 20 epochs | 268 |" in text
    assert folder_facts(tmp_path / "nowhere") == {}


def test_the_card_of_a_folder_is_rendered_without_its_model(tmp_path, monkeypatch):
    run_folder(tmp_path)
    monkeypatch.setattr(DocREPreTrainedModel, "from_pretrained", None)
    facts = {"repository": "org/model", "dataset": "org/sample", "base_model": "org/encoder", "license": None}
    assert write_folder_card(tmp_path, **facts) == tmp_path / "README.md"
    text = (tmp_path / "README.md").read_text()
    assert "# JEREX on sample" in text and "| relation | 12.5 | 12.5 | 50.0 |" in text and 'model="org/model"' in text
    assert "Command: `run test`" in text and (tmp_path / RESULTS).is_file()


def test_a_folder_that_holds_no_model_of_ours_is_refused(tmp_path):
    for content, message in (
        (None, "holds no config.json; name the folder of a saved model"),
        ('{"model_type": "bert"}', "holds a model of type 'bert'; name the folder of a model of this package"),
        ('{"model_type": "docre-jerex", "colour": 1}', "'colour'"),
    ):
        if content:
            (tmp_path / "config.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            write_folder_card(tmp_path)
    assert not (tmp_path / "README.md").exists()


def test_a_card_replaces_links_and_stays_in_its_folder(tmp_path):
    folder, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    run_folder(folder)
    elsewhere.mkdir()
    (folder / RESULTS).parent.mkdir()
    for name in ("README.md", "LICENSE", str(RESULTS)):
        target = elsewhere / Path(name).name
        target.write_text("mine")
        (folder / name).symlink_to(target)
    write_folder_card(folder, dataset="org/sample")
    for name in ("README.md", "LICENSE", str(RESULTS)):
        assert (elsewhere / Path(name).name).read_text() == "mine" and not (folder / name).is_symlink()
    for file in (folder / RESULTS).parent.iterdir():
        file.unlink()
    (folder / RESULTS).parent.rmdir()
    (folder / RESULTS).parent.symlink_to(elsewhere)
    for dataset in ("org/sample", None):
        with pytest.raises(ValueError, match=r"\.eval_results is a link to .*elsewhere; replace it by a folder"):
            write_folder_card(folder, dataset=dataset)
    assert (elsewhere / RESULTS.name).read_text() == "mine"
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(ValueError, match=r"link is a link to .*model; name that folder itself"):
        write_folder_card(tmp_path / "link")


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "README.md"
    write_whole(file, "Łódź")
    assert file.read_bytes() == "Łódź".encode()

    def fail(path, content):
        with path.open("wb") as half:
            half.write(content[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match=r"No space left on device: '.*README\.md'"):
        write_whole(file, "another card")
    assert file.read_bytes() == "Łódź".encode() and list(tmp_path.iterdir()) == [file]


def test_the_cards_code_runs():
    """The usage of a card, with the pipeline replaced by one on a model in memory."""
    for model in (tiny_jerex(), tiny_atlop()):
        code = re.search(r"```python\n(.*?)```", render_card(model), re.DOTALL).group(1)
        extract = build(model)
        names = {"pipeline": lambda *_, extract=extract, **__: extract}
        exec(code.replace("from transformers import pipeline", ""), names)
        assert {"entities", "relations"} <= names["graph"].keys()


def test_calibration_and_notes_are_shown(tmp_path):
    calibration = {
        "temperature": 1.5,
        "shift": -0.75,
        "error": 0.125,
        "error_temperature": 0.1875,
        "error_unscaled": 0.25,
        "relations": 40,
        "thresholds": [
            {"aim": 0.5, "threshold": 0.375, "precision": 0.625, "recall": 0.25},
            {"aim": 0.7, "threshold": None},
        ],
    }
    model = tiny_jerex(named_thresholds=[["precise", 0.71], ["balanced", 0.4]])
    write_card(tmp_path, model, scores=SCORES | {"calibration": calibration}, notes="## What it cannot do\n\nMuch.")
    text = (tmp_path / "README.md").read_text()
    assert '`threshold="NAME"` in a call: precise 0.71, balanced 0.4.' in text and "entity scores" not in text
    assert "divided by 1.50, and -0.75 is added" in text
    assert (
        "40 highest-scored relations is 0.125; with a fitted\ntemperature alone it is 0.188, without scaling 0.250."
        in text
    )
    assert "| 0.5 | 0.38 | 62.5 | 25.0 |" in text and "| 0.7 | out of reach | | |" in text
    assert "\n## What it cannot do\n\nMuch.\n" in text
    assert not re.search(r"!\[|\n\n\n", text) and not list(tmp_path.glob("*.svg"))
    errors = {"error": 0.0625, "error_temperature": 0.125, "error_unscaled": 0.25}
    calibration["entity"] = {"temperature": 2.0, "shift": 0.5, **errors, "entities": 30}
    write_card(tmp_path, tiny_jerex(), scores=SCORES | {"calibration": calibration})
    text = (tmp_path / "README.md").read_text()
    assert "entity scores are divided by 2.00, and 0.50 is added. The calibration error of 30 entities is 0.062" in text
    assert "fitted temperature alone it is 0.125, without scaling 0.250.\n" in text
    assert not re.search(r"\n\n\n", text)
    write_card(tmp_path, tiny_jerex(), scores=SCORES)
    text = (tmp_path / "README.md").read_text()
    assert "divided by" not in text and "with a name" not in text
