"""Encoders with code of their own: with trust they work and travel, without it nothing of them runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hub_processes import run
from hub_server import running_hub
from pipelines import TEXTS, build, close, run_without_package
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_encoder_config
from transformers import AutoModel, BertModel

from modeling_docre import AtlopModel, DocRelationExtractionPipeline, JerexConfig, JerexModel

CONFIGURATION = """
from transformers import BertConfig

open({sung!r}, "a").close()

class OwnConfig(BertConfig):
    model_type = "own-bert"
"""
MODELING = """
from transformers import BertModel

from .own_configuration import OwnConfig

class OwnModel(BertModel):
    config_class = OwnConfig

    def forward(self, *arguments, **options):
        output = super().forward(*arguments, **options)
        output.last_hidden_state = 2 * output.last_hidden_state
        return output
"""
AUTO_MAP = {"AutoConfig": "own_configuration.OwnConfig", "AutoModel": "own_modeling.OwnModel"}
LABELS = {"entity_types": ENTITY_TYPES, "relation_types": RELATION_TYPES, "window_overlap": 16}


@pytest.fixture
def sung(tmp_path: Path) -> Path:
    """A file that is there once the encoder's code was run."""
    return tmp_path / "sung"


@pytest.fixture
def encoder(tmp_path: Path, sung: Path) -> Path:
    """The folder of an encoder with code of its own."""
    folder = tmp_path / "own"
    torch.manual_seed(0)
    BertModel(tiny_encoder_config()).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "own-bert", "auto_map": AUTO_MAP}))
    (folder / "own_configuration.py").write_text(CONFIGURATION.format(sung=str(sung)))
    (folder / "own_modeling.py").write_text(MODELING)
    return folder


def saved(encoder: Path, kind: type, folder: Path, **options) -> DocRelationExtractionPipeline:
    torch.manual_seed(1)
    model = kind.from_encoder(str(encoder), trust_remote_code=True, **LABELS, **options)
    extract = build(model)
    extract.save_pretrained(folder)
    return extract


def test_without_trust_no_code_runs(encoder: Path, sung: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="trust_remote_code"):
        JerexModel.from_encoder(str(encoder), trust_remote_code=False, **LABELS)
    assert not sung.exists()
    saved(encoder, JerexModel, tmp_path / "model")
    sung.unlink()
    for load in (JerexModel.from_pretrained, JerexConfig.from_pretrained, AutoModel.from_pretrained):
        with pytest.raises(Exception, match=r"encoder_config has an `auto_map`.*from_pretrained of its own class"):
            load(tmp_path / "model")
    assert not sung.exists()


@pytest.mark.parametrize("kind", [JerexModel, AtlopModel])
def test_with_trust_the_code_travels_with_the_model(kind: type, encoder: Path, tmp_path: Path) -> None:
    options = {"mention_threshold": 0.0, "max_span_size": 1} if kind is JerexModel else {}
    extract = saved(encoder, kind, tmp_path / "model", **options)
    assert "OwnModel" in {type(module).__name__ for module in extract.model.modules()}
    assert {"own_configuration.py", "own_modeling.py"} <= {path.name for path in (tmp_path / "model").iterdir()}
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["encoder_config"]["auto_map"] == AUTO_MAP
    assert str(tmp_path) not in (tmp_path / "model" / "config.json").read_text()
    entities = [{"type": "PER", "mentions": [{"char_start": start, "char_end": start + 3}]} for start in (0, 8)]
    call = {"threshold": 0.0} | ({"entities": entities} if kind is AtlopModel else {})
    expected = extract(TEXTS[0], **call)
    assert expected["relations"], "the test needs relations"
    again = kind.from_pretrained(tmp_path / "model", trust_remote_code=True)
    assert close(build(again)(TEXTS[0], **call), expected)
    assert again.config.encoder_config.to_dict()["auto_map"] == AUTO_MAP
    build(again).save_pretrained(tmp_path / "again")
    third = kind.from_pretrained(tmp_path / "again", trust_remote_code=True)
    assert close(build(third)(TEXTS[0], **call), expected)


@pytest.mark.slow
def test_without_the_package_trust_in_the_model_is_trust_in_its_encoder(encoder: Path, tmp_path: Path) -> None:
    extract = saved(encoder, JerexModel, tmp_path / "own" / "best", mention_threshold=0.0, relation_threshold=0.0)
    found = run_without_package(tmp_path, {"own": (TEXTS[0], None)})
    expected = extract(TEXTS[0])
    assert expected["relations"], "the test needs relations"
    assert not found["loaded"]
    assert close(found["results"]["own"], expected) and close(found["copies"]["own"], expected)


def test_code_of_elsewhere_is_refused_with_trust_too(encoder: Path, tmp_path: Path) -> None:
    saved(encoder, JerexModel, tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    config = json.loads(file.read_text())
    for auto_map, message in (
        ({"AutoConfig": "evil/repo--own_configuration.OwnConfig"}, "not a class of the model's own folder"),
        ({"AutoModel": "own_modeling.OwnModel"}, "names no AutoConfig"),
    ):
        config["encoder_config"]["auto_map"] = auto_map
        file.write_text(json.dumps(config))
        with pytest.raises(ValueError, match=message):
            JerexModel.from_pretrained(tmp_path / "model", trust_remote_code=True)


def test_a_file_of_the_same_name_is_refused(encoder: Path, tmp_path: Path) -> None:
    (encoder / "own_modeling.py").rename(encoder / "encoder.py")
    config = json.loads((encoder / "config.json").read_text())
    config["auto_map"]["AutoModel"] = "encoder.OwnModel"
    (encoder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"OwnModel has a file encoder\.py of its own, and so has the model"):
        saved(encoder, JerexModel, tmp_path / "model")


PUSH = """
from huggingface_hub import HfApi
import tiny
from pipelines import TEXTS, build
from modeling_docre import JerexModel

folder, labels = json.loads(sys.argv[1]), json.loads(sys.argv[2])
HfApi().create_repo("org/own")
HfApi().upload_folder(repo_id="org/own", folder_path=folder)
model = JerexModel.from_encoder("org/own", trust_remote_code=True, **labels)
pipe = build(model)
commit = pipe.push_to_hub("org/model").oid
# Whoever moves the branch does not move what was pinned.
HfApi().upload_file(repo_id="org/model", path_in_repo="own_modeling.py", path_or_fileobj=b"raise SystemExit(7)")
print(json.dumps([pipe(TEXTS[0]), commit]))
"""
LOAD = """
from transformers import pipeline
commit, text = json.loads(sys.argv[1]), json.loads(sys.argv[2])
pipe = pipeline("doc-relation-extraction", model="org/model", revision=commit, trust_remote_code=True, device="cpu")
print(json.dumps(pipe(text)))
"""
REFUSED = """
from transformers import AutoModel
import modeling_docre
try:
    AutoModel.from_pretrained("org/model", trust_remote_code=False)
except Exception as error:
    print(json.dumps(str(error)))
"""


@pytest.mark.slow
def test_from_the_hub_the_code_is_that_of_the_pinned_commit(encoder: Path, sung: Path, tmp_path: Path) -> None:
    options = {**LABELS, "mention_threshold": 0.0, "relation_threshold": 0.0, "max_span_size": 2}
    with running_hub() as hub:
        expected, commit = run(PUSH, tmp_path / "here", hub, str(encoder), options)
        assert expected["relations"], "the test needs relations"
        sung.unlink()
        assert "encoder_config has an `auto_map`" in run(REFUSED, tmp_path / "wary", hub)
        assert not sung.exists()
        assert close(run(LOAD, tmp_path / "there", hub, commit, TEXTS[0], package=False), expected)
        assert sung.exists()
