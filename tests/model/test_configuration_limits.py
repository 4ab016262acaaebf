"""Hostile configurations and checkpoints: one clear error, nothing run, nothing large built."""

from __future__ import annotations

import json
import pickle
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import StrictDataclassError
from tiny import save_tiny
from transformers import AutoModel

from modeling_docre import JerexConfig, JerexModel
from modeling_docre.configuration_limits import LABEL_LENGTH, SIZE, __version__, closest

PLAIN = {"AutoConfig": "configuration_jerex.JerexConfig", "AutoModel": "modeling_jerex.JerexModel"}


def test_the_most_similar_of_the_known_names_come_first_and_the_others_are_counted() -> None:
    labels = {"P17": "country", "P19": "place of birth", "P20": "place of death", "P27": "country of citizenship"}
    labels |= {"P140": "religion or worldview", "P571": "inception", "P150": "contains"}
    kinds = [*labels, "P361"]
    for name in ("place of brith", "Place_of_Birth", "P19"):
        named = closest(name, kinds, labels)
        assert named.startswith("P19 (place of birth), ") and named.endswith(" and 3 more") and named.count(",") == 4
    assert closest("p361", kinds, labels).startswith("P361, ")
    assert closest("PERSON", ["LOC", "PER", "ORG"]) == "PER, LOC, ORG" and closest(1, ["a"]) == "a"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def changed(checkpoint: Path, folder: Path, **options: Any) -> Path:
    """The checkpoint with other options; those of the encoder by their dict."""
    config = json.loads((checkpoint / "config.json").read_text())
    if isinstance(encoder := options.get("encoder_config"), dict) and "model_type" not in encoder:
        options["encoder_config"] = {**config["encoder_config"], **encoder}
    (folder / "config.json").write_text(json.dumps({**config, **options}))
    (folder / "model.safetensors").symlink_to(checkpoint / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"encoder_config": {"num_hidden_layers": 10**9}},
            ("encoder_config.num_hidden_layers is 1000000000", f"at most {SIZE}"),
        ),
        ({"encoder_config": {"vocab_size": 10**12}}, ("encoder_config.vocab_size is 1000000000000", str(SIZE))),
        (
            {"encoder_config": {"max_position_embeddings": 10**10}},
            ("max_position_embeddings is 10000000000",),
        ),
        ({"encoder_config": {"hidden_size": -(10**9)}}, ("encoder_config.hidden_size is -1000000000", str(SIZE))),
        ({"encoder_config": {"hidden_size": "32"}}, ("hidden_size", "int", "'32'")),
        (
            {"encoder_config": {"deep": {"deeper": {"hidden_size": 10**9}}}},
            ("config.deep.deeper.hidden_size is 1000000000",),
        ),
        ({"encoder_config": {"auto_map": {"AutoModel": "evil/repo--model.Evil"}}}, ("encoder_config", "auto_map")),
        ({"encoder_config": {"text": {"auto_map": {"AutoModel": "model.Evil"}}}}, ("encoder_config", "auto_map")),
        ({"encoder_config": {"model_type": "evil"}}, ("evil",)),
        ({"encoder_config": [1]}, ("encoder_config is a list",)),
        ({"meta_size": 10**19}, ("meta_size is 10000000000000000000", str(SIZE))),
        ({"max_span_size": 10**9}, ("max_span_size is 1000000000", str(SIZE))),
        ({"negatives_mention": 10}, ("no option 'negatives_mention'",)),
        ({"__class__": "os.system"}, ("no option '__class__'",)),
        ({"relation_types": ["../../x", "b", "c"], "relation_labels": {}}, ("relation_types", "'../../x'", "path")),
        ({"entity_types": ["a\\..\\..\\b", "b", "c"]}, ("entity_types", "path")),
        ({"entity_types": ["a\0", "b", "c"]}, ("entity_types", "'a\\x00'", "printable")),
        ({"entity_types": ["a\n---\n", "b", "c"]}, ("entity_types", "printable")),
        ({"entity_types": [" ", "b", "c"]}, ("entity_types", "' '")),
        ({"entity_types": ["a" * 10**6, "b", "c"]}, ("entity_types", str(LABEL_LENGTH))),
        ({"entity_types": [1, 2, 3]}, ("entity_types",)),
        ({"entity_types": [["a"], "b", "c"]}, ("entity_types",)),
        ({"entity_types": {"a": 1}}, ("entity_types", "list")),
        ({"entity_types": None}, ("entity_types",)),
        ({"language": "../../evil"}, ("language is '../../evil'", "language code")),
        ({"language": "en.lex_attrs"}, ("language is 'en.lex_attrs'",)),
        ({"auto_map": {**PLAIN, "AutoModel": "evil/repo--model.Evil"}}, ("'evil/repo--model.Evil'", "AutoModel")),
        ({"auto_map": {**PLAIN, "AutoConfig": "../../evil.Evil"}}, ("'../../evil.Evil'", "AutoConfig")),
        ({"auto_map": {**PLAIN, "AutoTokenizer": [None, "/tmp/x--m.Evil"]}}, ("AutoTokenizer", "config.json")),
        ({"auto_map": "x"}, ("auto_map", "config.json")),
        ({"model_type": "docre-atlop"}, ("docre-atlop",)),
        ({"docre_version": "99.0.1", "dropout": "new"}, ("modeling-docre 99.0.1", __version__, "install 99.0.1 or")),
        ({"docre_version": "latest"}, ("docre_version is 'latest'", "give a version")),
        ({"docre_version": [1, 0]}, ("docre_version is [1, 0]",)),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_hostile_configuration_is_one_clear_error(
    options: dict[str, Any], words: tuple[str, ...], checkpoint: Path, tmp_path: Path
) -> None:
    folder = changed(checkpoint, tmp_path, **options)
    started = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(Exception) as caught:
            JerexModel.from_pretrained(folder)
        assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 10
    assert isinstance(caught.value, ValueError | TypeError | StrictDataclassError), type(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_configuration_says_which_version_wrote_it(checkpoint: Path, tmp_path: Path) -> None:
    assert json.loads((checkpoint / "config.json").read_text())["docre_version"] == __version__
    major, minor = map(int, __version__.split(".")[:2])
    for number, version in enumerate((None, f"{major}.{minor}.99", f"{major}.{minor}.0.dev1", "0.0.1")):
        folder = tmp_path / str(number)
        folder.mkdir()
        config = AutoModel.from_pretrained(changed(checkpoint, folder, docre_version=version)).config
        assert not hasattr(config, "docre_version") and config.to_dict()["docre_version"] == __version__
    for newer in (f"{major + 1}.0.0", f"{major}.{minor + 1}.0"):
        with pytest.raises(ValueError, match=f"modeling-docre {newer} wrote"):
            JerexConfig(docre_version=newer)


def test_what_corpora_call_their_labels_is_allowed() -> None:
    labels = ["/people/person/nationality", "per:title", "Used-for", "gpe0", "in0-x", "Ünïcode", "住所", "a..b", "N/A"]
    assert JerexConfig(relation_types=labels).relation_types == labels
    assert JerexConfig(entity_types=["e" * LABEL_LENGTH], language="xx").language == "xx"


def test_trust_in_an_encoder_is_not_for_the_file_to_give(checkpoint: Path, tmp_path: Path) -> None:
    folder = changed(checkpoint, tmp_path, encoder_config={"trust_remote_code": True})
    model = AutoModel.from_pretrained(folder)
    assert "trust_remote_code" not in model.config.encoder_config.to_dict()


def test_a_pickle_among_the_weights_is_not_run(checkpoint: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Sing:
        def __reduce__(self) -> Any:
            return Path.touch, (canary,)

    content = pickle.dumps({"weight": Sing()})
    (tmp_path / "config.json").write_bytes((checkpoint / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(Exception, match=r"."):
        AutoModel.from_pretrained(tmp_path)
    assert not canary.exists()
    pickle.loads(content)
    assert canary.exists()  # it would have been heard
