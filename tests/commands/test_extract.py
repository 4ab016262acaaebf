"""`docre extract`: texts in, tables, JSON and pictures out."""

from __future__ import annotations

import io
import json
import shutil

import pytest
from commands import docre, fails, works
from pipelines import close
from tiny import save_tiny, tiny_atlop, tiny_tokenizer
from transformers import pipeline

from modeling_docre import Document, JerexModel
from modeling_docre.annotations.growing_file import GrowingFile
from modeling_docre.annotations.sources import Source, read_sources
from modeling_docre.commands.process import without_progress_bars
from modeling_docre.graphs.picture import draw_graph
from modeling_docre.hub import resources
from modeling_docre.hub.loading import weights_digest

TEXT = "Ada lives in London. She works."


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    named = [["precise", 1.0], ["everything", 0.4]]
    folder = tmp_path_factory.mktemp("model")
    return str(save_tiny(folder, mention_threshold=0.0, max_span_size=1, named_thresholds=named))


@pytest.fixture(scope="module")
def relating(tmp_path_factory):
    """A model that relates given entities."""
    folder = tmp_path_factory.mktemp("relating")
    tiny_atlop().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture
def texts(tmp_path):
    """A folder of a text and two records."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text(TEXT, encoding="utf-8")
    rows = [{"id": "one", "text": "Ada works."}, {"id": "two", "sentences": [["London"]]}]
    (tmp_path / "texts" / "b.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return tmp_path / "texts"


def entities() -> list[dict]:
    offsets = (("PER", 0, 3), ("LOC", 13, 19))
    return [{"type": kind, "mentions": [{"char_start": start, "char_end": end}]} for kind, start, end in offsets]


def test_json_is_the_document_of_the_text(model, capsys):
    out = works(capsys, "extract", TEXT, "--model", model, "--format", "json", "--threshold", "0.4")
    document = Document.from_dict(json.loads(out))
    assert document.text == TEXT and document.relations
    assert all(relation.score >= 0.4 for relation in document.relations)
    for name, expected in (("everything", document.relations), ("precise", ())):
        out = works(capsys, "extract", TEXT, "--model", model, "--format", "json", "--threshold", name)
        assert Document.from_dict(json.loads(out)).relations == expected, name
    fails(capsys, "this model's: 'precise', 'everything'", "extract", TEXT, "--model", model, "--threshold", "balanced")
    kept = works(
        capsys, "extract", TEXT, "--model", model, "--format", "jsonl", "--relations", "born", "--relations", "seat"
    )
    types = {relation["type"] for relation in json.loads(kept)["relations"]}
    assert kept.count("\n") == 1 and types <= {"born", "seat"}


def test_the_graph_goes_to_files(model, capsys, tmp_path):
    folder = tmp_path / "new" / "graphs"
    files = ["--json", folder / "graph.json", "--picture", folder / "graph.svg"]
    table = works(capsys, "extract", TEXT, "--model", model, *files)
    assert "{" not in table and "London" in table
    graph = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
    assert Document.from_dict(graph).text == TEXT
    assert (folder / "graph.svg").read_text(encoding="utf-8") == f"{draw_graph(graph)}\n"


def test_files_folders_and_standard_input(model, capsys, monkeypatch, texts, tmp_path):
    lines = tmp_path / "graphs.jsonl"
    (tmp_path / "more.txt").write_text(TEXT, encoding="utf-8")
    names = [tmp_path / "more.txt", "--file", texts, "--json", lines]
    graphs = json.loads(works(capsys, "extract", "--model", model, "--format", "json", "--file", *names))
    assert [graph["id"] for graph in graphs] == [str(tmp_path / "more.txt"), str(texts / "a.txt"), "one", "two"]
    assert list(map(json.loads, lines.read_text(encoding="utf-8").splitlines())) == graphs
    table = works(capsys, "extract", "--model", model, "--file", texts / "a.txt", texts / "b.jsonl")
    assert [line for line in table.splitlines() if line in ("one", "two")] == ["one", "two"]
    single = works(capsys, "extract", "--model", model, "--file", texts / "a.txt")
    for arguments in ([], ["-"], ["--file", "-"]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
        assert works(capsys, "extract", "--model", model, *arguments) == single
    for text in ("[1]\nAda lives in London.", "{Ada}", "[" * 100_000):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert list(read_sources("-")) == [Source(text)], "a text that only looks like JSON"
    assert works(capsys, "extract", "", "--model", model) == "The document has no entities.\n", "an empty text is one"


def test_entities_come_from_a_file_or_with_the_record(relating, capsys, tmp_path):
    (tmp_path / "entities.json").write_text(json.dumps(entities()), encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": TEXT, "entities": entities()}), encoding="utf-8")
    for source in ([TEXT, "--entities", tmp_path / "entities.json"], ["--file", tmp_path / "b.jsonl"]):
        out = works(capsys, "extract", *source, "--model", relating, "--format", "jsonl", "--threshold", "0")
        document = Document.from_dict(json.loads(out))
        assert [document.mention_text(entity.mentions[0]) for entity in document.entities] == ["Ada", "London"]
        assert document.relations and all(relation.evidence == (0,) for relation in document.relations)


def test_what_goes_wrong_is_one_line(model, relating, capsys, monkeypatch, texts, tmp_path):
    (tmp_path / "latin.txt").write_bytes("Zo\xe9".encode("latin-1"))
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    monkeypatch.setattr(resources, "default_model", lambda: None)
    absent = tmp_path / "none"
    for arguments, message in (
        (["--model", model, "--file", tmp_path / "absent.txt"], "absent.txt does not exist"),
        (["--file", tmp_path / "latin.txt"], "latin.txt is not in UTF-8"),
        (["--model", model, TEXT, "--entities", tmp_path / "bad.json"], "bad.json is not JSON"),
        (["--model", absent, TEXT], f"the model {absent} does not exist"),
        (["--model", texts, TEXT], f"{texts} holds no config.json"),
        (["--model", "no/model", TEXT], "the model no/model cannot be loaded"),
        (["--model", absent, TEXT, "--json", tmp_path], f"{tmp_path}: Is a directory"),
        (["--model", absent, TEXT, "--picture", texts / "a.txt" / "x.svg"], "x.svg: Not a directory"),
        (["--model", relating, "--file", texts / "a.txt"], f"document '{texts / 'a.txt'}': entities is None"),
    ):
        fails(capsys, message, "extract", *arguments)
    record = json.dumps({"text": TEXT})
    for records in (record, f"{record}\n{record}\n", f"[{record}]", '\ufeff{\n"text": "a"}\n'):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(records.encode())))
        fails(capsys, "save records as a .jsonl file", "extract", "--model", model, "-")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for arguments, message in (
        ([TEXT], "no bundled model; name one by --model"),
        (["Ada", "lives", "in", "London."], "put it in quotes"),
        ([TEXT, "--threshold", "2"], "--threshold is 2.0; give a number from 0 to 1"),
        (["letter.txt"], "there is no file letter.txt; to extract from these characters"),
        ([TEXT, "--file", texts / "a.txt"], f"give a text or --file, not both; there is no file {TEXT!r}"),
        ([TEXT, "--picture", "graph.png"], "--picture graph.png would hold SVG; end its name in .svg"),
        (["--file", texts, "--picture", "x.svg"], "--picture needs a single text"),
        (["--file", texts, "--entities", "x.json"], "--entities needs a single text; records have their own"),
        ([], "no text; give one"),
    ):
        fails(capsys, message, "extract", *arguments, code=2)


def test_no_document_is_built_from_a_result(model, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(Document, "from_dict", None)
    assert "London" in works(capsys, "extract", TEXT, "--model", model, "--picture", tmp_path / "graph.svg")


def test_what_is_read_is_not_written_over(texts, model, capsys):
    file = texts / "a.txt"
    for option, name in (("--json", file), ("--picture", shutil.copy(file, texts / "a.svg"))):
        fails(capsys, "is what is read", "extract", "--model", model, "--file", name, option, name, code=2)
    fails(capsys, "name of a file", "extract", "--model", model, "--file", file, "--json", "-", code=2)
    assert file.read_text(encoding="utf-8") == TEXT


def test_files_may_stand_in_the_place_of_the_text(model, capsys, texts):
    of_file = works(capsys, "extract", "--file", texts / "a.txt", "--model", model)
    assert works(capsys, "extract", texts / "a.txt", "--model", model) == of_file
    both = works(capsys, "extract", texts / "a.txt", texts / "b.jsonl", "--model", model, "--format", "jsonl")
    assert [json.loads(line)["id"] for line in both.splitlines()] == [str(texts / "a.txt"), "one", "two"]


def test_what_is_not_read_of_a_folder_is_said(model, capsys, texts):
    for name in ("notes.md", "more.md", "b.json", "C.TXT", ".hidden", "x.jsonl.settings.json"):
        (texts / name).write_text(TEXT, encoding="utf-8")
    done = docre(capsys, "extract", texts, "--model", model, "--format", "jsonl")
    assert f"{texts}: not read: 2 .md, 1 .json; of a folder only .txt, .jsonl, .jsonl.gz are" in done.err
    assert json.loads(done.out.splitlines()[0])["id"] == str(texts / "C.TXT")


def test_a_misspelled_folder_is_not_taken_for_a_text(model, capsys, tmp_path):
    out = tmp_path / "out.jsonl"
    fails(capsys, "there is no folder 'lettres'", "extract", "lettres", "--model", model, "--out", out, code=2)
    assert not out.exists()


# --- runs over many documents ---------------------------------------------------------------------------------------


def lines(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def many(folder, count: int):
    """A folder of texts of different lengths."""
    folder.mkdir()
    for number in range(count):
        text = " ".join([TEXT] * (1 + number * 7 % 5))
        (folder / f"{number:02}.txt").write_text(text, encoding="utf-8")
    return folder


def test_results_of_a_folder_go_to_a_file_as_the_pipeline_gives_them(model, capsys, tmp_path):
    folder, out = many(tmp_path / "texts", 5), tmp_path / "graphs.jsonl"
    assert works(capsys, "extract", folder, "--model", model, "--out", out) == ""
    with without_progress_bars():
        extract = pipeline("doc-relation-extraction", model=model)
    expected = [extract(file.read_text(encoding="utf-8")) | {"id": str(file)} for file in sorted(folder.iterdir())]
    assert close(lines(out), expected)
    fails(capsys, "was begun by an earlier run; go on with --resume", "extract", folder, "--out", out, code=2)
    other = ["extract", folder, "--model", model, "--threshold", "0.3", "--resume", "--out", out]
    fails(capsys, "was begun with no threshold, and would go on with threshold 0.3", *other)
    fails(capsys, "name it by --out", "extract", folder, "--resume", code=2)
    fails(capsys, "leave out --format", "extract", folder, "--out", out, "--format", "json", code=2)
    (folder / "new.txt").write_text(TEXT, encoding="utf-8")
    works(capsys, "extract", folder, "--model", model, "--resume", "--out", out)
    assert [line["id"] for line in lines(out)] == [line["id"] for line in expected] + [str(folder / "new.txt")]


def test_results_in_the_folder_that_is_read_are_no_inputs(model, capsys, texts):
    command = ("extract", texts, "--model", model, "--out", texts / "results.jsonl")
    works(capsys, *command)
    (texts / "c.txt").write_text(TEXT, encoding="utf-8")
    works(capsys, *command, "--resume")
    assert len((texts / "results.jsonl").read_text(encoding="utf-8").splitlines()) == 4


def test_a_wrong_model_begins_no_file(capsys, texts, tmp_path):
    fails(capsys, "does not exist", "extract", texts, "--model", tmp_path / "none", "--out", tmp_path / "x.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["texts"]


def test_documents_that_fail_are_reported_and_tried_again(model, capsys, tmp_path):
    records, out = tmp_path / "b.jsonl", tmp_path / "graphs.jsonl"
    rows = [
        {"id": "a", "text": TEXT},
        {"id": "b", "text": 3},
        {"id": "c", "sentences": [[7]]},
        {"id": "a", "text": "x"},
    ]
    records.write_text("\n".join(map(json.dumps, [*rows, {"id": "e", "text": "Ada."}])), encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes("Zo\xe9".encode("latin-1"))
    for options in (["--out", out], ["--format", "jsonl"]):
        ended = docre(capsys, "extract", "--model", model, "--file", tmp_path / "latin.txt", records, *options)
        for message in (
            "not in UTF-8",
            "document 'b': text is 3",
            "document 'c'",
            f"number 4 of {records}': id is 'a'; duplicate id, which {records} has already",
        ):
            assert message in ended.err, message
        assert ended.code == 1 and "docre: 4 documents failed" in ended.err and ended.err.count("\n") == 5
        found = lines(out) if "--out" in options else list(map(json.loads, ended.out.splitlines()))
        assert [graph["id"] for graph in found] == ["a", "e"]
    rows[1]["text"], rows[3]["id"] = "Berlin.", "d"
    records.write_text("\n".join(map(json.dumps, [*rows, {"id": "e", "text": "Ada."}])), encoding="utf-8")
    ended = docre(capsys, "extract", "--model", model, "--file", records, "--out", out, "--resume")
    assert ended.code == 1 and "docre: 1 document failed" in ended.err
    assert [graph["id"] for graph in lines(out)] == ["a", "e", "b", "d"]


def test_a_file_without_documents_is_noticed(capsys, tmp_path):
    for name, content in (("a.json", "[]"), ("b.jsonl", "")):
        (tmp_path / name).write_text(content, encoding="utf-8")
    ended = docre(capsys, "extract", "--file", tmp_path / "a.json", tmp_path / "b.jsonl")
    assert ended.code == 0 and ended.out == ""
    assert ended.err == "".join(f"docre: {tmp_path / name} holds no documents\n" for name in ("a.json", "b.jsonl"))


def test_a_killed_run_goes_on(model, capsys, tmp_path, monkeypatch):
    folder, out = many(tmp_path / "texts", 9), tmp_path / "graphs.jsonl"
    works(capsys, "extract", folder, "--model", model, "--out", tmp_path / "whole.jsonl")
    monkeypatch.setattr("modeling_docre.commands.extract.DOCUMENTS_AT_ONCE", 2)
    append = GrowingFile.append

    def killed(file, graphs):
        append(file, graphs)
        if file.partial.read_bytes().count(b"\n") == 4:
            with file.partial.open("ab") as handle:
                handle.write(b'{"id": "half')  # what a process leaves that is killed while it writes
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(GrowingFile, "append", killed)
        ended = docre(capsys, "extract", folder, "--model", model, "--out", out)
    assert (ended.code, ended.err) == (130, "docre: interrupted\n") and not out.exists()
    works(capsys, "extract", folder, "--model", model, "--out", out, "--resume")
    assert close(lines(out), lines(tmp_path / "whole.jsonl"))


def test_damaged_files_of_an_earlier_run_are_named(model, capsys, tmp_path):
    folder, out = many(tmp_path / "texts", 2), tmp_path / "graphs.jsonl"
    command = ("extract", folder, "--model", model, "--out", out, "--resume")
    settings, partial = tmp_path / "graphs.jsonl.settings.json", tmp_path / "graphs.jsonl.partial"
    for content in ("", "[]", "\0"):
        settings.write_text(content, encoding="utf-8")
        fails(capsys, f"{settings} is damaged, so nothing says how {out} was begun; delete both", *command)
    settings.unlink()
    works(capsys, *command[:-1])
    out.replace(partial)
    for line in ("{}", "\0", "", "[]"):
        partial.write_text(f'{{"id": "a"}}\n{line}\n', encoding="utf-8")
        fails(capsys, f"line 2 of {partial} holds no document; delete the line", *command)


def test_an_id_with_half_a_surrogate_pair_fails_alone(model, capsys, tmp_path):
    file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_text('{"id": "\\ud800x", "text": "a"}\n{"id": "b", "text": "b"}\n', encoding="utf-8")
    ended = docre(capsys, "extract", "--file", file, "--model", model, "--out", out)
    assert ended.code == 1 and f"document '{file}:1': id is" in ended.err and "half of a surrogate pair" in ended.err
    assert [graph["id"] for graph in lines(out)] == ["b"]


def test_one_file_has_one_run_at_a_time(model, capsys, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    out = tmp_path / "results.jsonl"
    command = ("extract", tmp_path, "--model", model, "--out", out)
    other = GrowingFile(out)
    computed = {"weights": weights_digest(str(model)), "dtype": "float32", "backend": "torch"}
    other.begin({"model": str(model), "threshold": None, "relations": None, **computed})
    fails(capsys, f"another run is writing {out}; wait until it ends", *command, "--resume")
    other.finish()
    works(capsys, *command, "--resume")
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", out.name, f"{out.name}.settings.json"}


def test_a_run_does_not_go_on_with_other_weights_of_the_same_name(model, capsys, texts, tmp_path):
    folder = shutil.copytree(model, tmp_path / "model")
    command = ("extract", texts, "--model", folder, "--out", tmp_path / "results.jsonl")
    works(capsys, *command)
    works(capsys, *command, "--resume")
    with without_progress_bars():
        trained = JerexModel.from_pretrained(folder)
        trained.relation_classifier.requires_grad_(False)
        next(trained.relation_classifier.parameters()).add_(0.1)
        trained.save_pretrained(folder)
    fails(capsys, "was begun with weights '", *command, "--resume")


def test_a_run_goes_on_with_the_same_model_by_another_name(model, capsys, texts, tmp_path):
    command = ("extract", texts, "--out", tmp_path / "results.jsonl", "--model")
    works(capsys, *command, model)
    works(capsys, *command, shutil.copytree(model, tmp_path / "moved"), "--resume")


def test_a_run_computes_in_what_it_is_told_and_keeps_to_it(model, capsys, texts, tmp_path):
    out, missing = tmp_path / "results.jsonl", "holds no onnx/encoder_int8.onnx; write it into the model's folder by"
    command = ("extract", texts, "--model", model, "--out", out)
    fails(capsys, f"docre: the model {model} cannot be loaded: {model} {missing}", *command, "--backend", "onnx-int8")
    folder = shutil.copytree(model, tmp_path / "exported")
    assert not docre(capsys, "export", folder).err
    float32 = ("extract", texts, "--model", folder, "--backend", "onnx", "--dtype", "bfloat16")
    fails(capsys, "computes in float32 on the CPU, not in bfloat16", *float32)
    works(capsys, *command, "--dtype", "bfloat16")
    works(capsys, "extract", texts, "--model", model, "--out", tmp_path / "float32.jsonl")
    halved, whole = lines(out), lines(tmp_path / "float32.jsonl")
    assert [graph["id"] for graph in halved] == [graph["id"] for graph in whole] and not close(halved, whole)
    for given in ((), ("--dtype", "float32")):
        fails(
            capsys,
            "was begun with dtype 'bfloat16', and would go on with dtype 'float32';",
            *command,
            "--resume",
            *given,
        )
