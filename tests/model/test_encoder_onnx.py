"""Encoders in ONNX Runtime against torch's: numbers, results of all systems, what is read, and what is refused."""

from __future__ import annotations

import copy
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
import torch
from encoder_configs import ENCODERS
from pipelines import ENTITIES, TEXTS, build, close, finding
from tiny import TINY, tiny_encoder, tiny_jerex
from transformers import AutoModel, pipeline
from transformers.dynamic_module_utils import get_imports

from modeling_docre import encoder_onnx
from modeling_docre.encoder import DocumentEncoder
from modeling_docre.encoder_attention import AttendedEncoder
from modeling_docre.encoder_onnx import OnnxEncoder
from modeling_docre.hub import onnx_export
from modeling_docre.hub.onnx_export import export_encoders
from modeling_docre.hub.push import model_files

# Beyond the encoder's 64 positions, so that it is read in windows.
LONG = f"{TEXTS[0]} {TEXTS[2]}"


def load(folder: Path, backend: str, **options: Any) -> Any:
    return pipeline(
        "doc-relation-extraction", model=str(folder), device="cpu", model_kwargs={"backend": backend} | options
    )


def results(pipe: Any) -> list[dict[str, Any]]:
    """What a pipeline says of given entities and, if it finds any, of short texts alone."""
    texts, entities = [TEXTS[0], LONG], [ENTITIES, ENTITIES[:2]]
    found = pipe(texts, entities=entities, threshold=0.0, batch_size=2)
    return found if pipe.model.config.traits.entities_given else found + pipe([TEXTS[1], "", TEXTS[4]], batch_size=3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders of tiny models with exported encoders, of JEREX and ATLOP also with 8-bit integers."""
    root, made = tmp_path_factory.mktemp("models"), {}

    def folder(system: str) -> Path:
        if system not in made:
            made[system] = root / system
            build(finding(TINY[system](relation_threshold=0.45))).save_pretrained(made[system])
            export_encoders(made[system])
            if system in ("jerex", "atlop"):
                export_encoders(made[system], int8=True)
        return made[system]

    return folder


@pytest.mark.parametrize("system", TINY)
def test_every_system_gives_the_results_of_torch(folders: Callable[[str], Path], system: str) -> None:
    wanted, found = results(load(folders(system), "torch")), results(load(folders(system), "onnx"))
    assert sum(len(result["relations"]) for result in wanted) > 6 and close(found, wanted)


def test_torch_weights_are_not_read_beside_it(folders: Callable[[str], Path], caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("transformers")
    logger.addHandler(caplog.handler)
    try:
        model, info = AutoModel.from_pretrained(folders("kmgre"), backend="onnx", output_loading_info=True)
    finally:
        logger.removeHandler(caplog.handler)
    assert not caplog.records, "the encoders' weights are neither missing nor unexpected"
    assert not info["missing_keys"] and not info["unexpected_keys"]
    names = [name for name, _ in model.named_parameters()]
    assert names and all("classifier." in name for name in names)
    first, second = (module for module in model.modules() if isinstance(module, OnnxEncoder))
    assert second.session.get_outputs()[1].name == "query"
    assert first.session.get_session_options().intra_op_num_threads == torch.get_num_threads()


def test_each_encoder_of_a_model_has_its_own_file(tmp_path: Path) -> None:
    model = tiny_jerex(task="pipeline")
    with torch.no_grad():
        for number, encoder in enumerate(model.encoders):
            encoder.model.embeddings.word_embeddings.weight *= 1 + number
    build(model).save_pretrained(tmp_path)
    assert [file.name for file in export_encoders(tmp_path)] == [
        "encoder.onnx",
        *[f"encoder_{n}.onnx" for n in (2, 3, 4)],
    ]
    loaded, ids = AutoModel.from_pretrained(tmp_path, backend="onnx"), torch.tensor([[2, 5, 6, 3]])
    for wanted, found in zip(model.encoders, loaded.encoders, strict=True):
        assert torch.allclose(wanted.model(ids).last_hidden_state, found.model(ids).last_hidden_state, atol=1e-5)


def encoder_of(name: str, kind: type[DocumentEncoder]) -> DocumentEncoder:
    """A random encoder of one of many architectures behind the flat interface."""
    torch.manual_seed(0)
    options = {"encoder_positions": 40, "window_overlap": 8, "letter_case": False}
    config = SimpleNamespace(encoder_config=copy.deepcopy(ENCODERS[name]), **options)
    encoder = kind(config).eval()
    for key, value in encoder.named_parameters():
        if value.dim() == 2 and "embedding" not in key:
            value.data *= 10  # attention that is nearly uniform compares nothing
    return encoder


@torch.inference_mode()
@pytest.mark.parametrize("name", ["bert", "roberta", "mpnet", "electra", "distilbert"])
def test_hidden_states_and_attention_are_those_of_torch(name: str, tmp_path: Path) -> None:
    torch_encoder = encoder_of(name, AttendedEncoder)
    onnx_export._export(torch_encoder, tmp_path / "encoder.onnx")
    exported = copy.copy(torch_encoder)
    exported._modules = {}
    exported.adopt(OnnxEncoder(torch_encoder.model.config, str(tmp_path / "encoder.onnx")).eval())
    for lengths in ([30], [33, 70, 5], []):
        ids = torch.randint(3, 50, (sum(lengths),))
        hidden, attention = torch_encoder(ids, torch.tensor(lengths, dtype=torch.int64))
        found_hidden, found_attention = exported(ids, torch.tensor(lengths, dtype=torch.int64))
        queries = torch.arange(0, len(ids), 7)
        assert torch.allclose(found_hidden, hidden, atol=1e-5) and found_hidden.shape == hidden.shape
        assert torch.allclose(found_attention(queries), attention(queries), atol=1e-5)
        if lengths:
            assert attention(queries).amax(2).mean() > 1.5 / max(lengths)


def test_integers_are_close(folders: Callable[[str], Path]) -> None:
    for system in ("jerex", "atlop"):
        folder = folders(system)
        nodes = onnx.load(folder / "onnx" / "encoder_int8.onnx").graph.node
        layers = [node.op_type for node in nodes].count("MatMulInteger")
        assert layers == 2 * 6 - 2, "linear layers of the two layers, but for two that stay in float32"
        wanted, found = (
            load(folder, backend)([TEXTS[0]], entities=[ENTITIES], threshold=0.0) for backend in ("onnx", "onnx-int8")
        )
        scores = [
            {(r["head"], r["tail"], r["type"]): r["score"] for r in result["relations"]} for result in (*wanted, *found)
        ]
        assert scores[0] == pytest.approx(scores[1], abs=0.02) and scores[0] != scores[1]


def test_saving_removes_and_pushing_carries_exported_encoders(folders: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders("jerex"), tmp_path / "model"))
    names = {file.relative_to(folder).as_posix() for file in model_files(folder)}
    assert {"onnx/encoder.onnx", "onnx/encoder_int8.onnx"} <= names
    (folder / "onnx" / "mine.txt").write_text("kept", encoding="utf-8")
    build(tiny_jerex()).save_pretrained(folder)
    assert [file.name for file in (folder / "onnx").iterdir()] == ["mine.txt"]


def test_what_it_cannot_do_is_refused(
    folders: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, read = folders("jerex"), AutoModel.from_pretrained
    with pytest.raises(ValueError, match="backend is 'tensorrt'; give one of 'torch', 'onnx', 'onnx-int8'"):
        read(folder, backend="tensorrt")
    build(tiny_jerex()).save_pretrained(tmp_path / "bare")
    for backend, message in {
        "onnx": r"bare holds no onnx/encoder.onnx; .* by `docre export FOLDER`",
        "onnx-int8": r"bare holds no onnx/encoder_int8.onnx; .* by `docre export FOLDER --int8`",
    }.items():
        with pytest.raises(FileNotFoundError, match=message):
            read(tmp_path / "bare", backend=backend)
    (tmp_path / "bare" / "onnx").mkdir()
    (tmp_path / "bare" / "onnx" / "encoder.onnx").write_text("version https://git-lfs.github.com/spec/v1", "utf-8")
    with pytest.raises(ValueError, match=r"encoder.onnx cannot be loaded; write it anew by `docre export`"):
        read(tmp_path / "bare", backend="onnx")
    with pytest.raises(
        ValueError, match=r"in float32 on the CPU, not in bfloat16 on cpu; give device=\"cpu\" and no dtype"
    ):
        read(folder, backend="onnx", dtype="bfloat16")
    model = read(folder, backend="onnx")
    with pytest.raises(ValueError, match="not in float32 on meta"):
        model.to("meta")
    with pytest.raises(ValueError, match="not in float16 on cpu"):
        model.half()
    ids, lengths = torch.tensor([2, 3]), torch.tensor([2])
    with pytest.raises(ValueError, match="not in float32 on meta"):
        model.encoders[0].model(ids.to("meta"))
    with pytest.raises(ValueError, match="cannot be trained"):
        model.train().encoders[0](ids, lengths)
    with pytest.raises(ValueError, match="load without `backend` to save"):
        model.save_pretrained(tmp_path / "copy")
    monkeypatch.setattr(encoder_onnx, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"needs onnxruntime; pip install 'modeling-docre\[onnx\]'"):
        read(folder, backend="onnx")


def test_what_cannot_be_exported_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tiny_jerex()).save_pretrained(tmp_path)

    def fail(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("no such operator\nat length")

    with monkeypatch.context() as patch:
        patch.setattr(torch.onnx, "export", fail)
        with pytest.raises(ValueError, match=r"BertModel cannot be exported to ONNX: no such operator$"):
            export_encoders(tmp_path)
    encoder = encoder_of("bert", AttendedEncoder)
    onnx_export._export(encoder, tmp_path / "encoder.onnx")
    with torch.no_grad():
        encoder.model.encoder.layer[-1].attention.self.query.weight *= 2
    with pytest.raises(ValueError, match="BertModel cannot be exported to ONNX: the export computes something else"):
        onnx_export._compare(encoder, tmp_path / "encoder.onnx")
    tiny_encoder().save_pretrained(tmp_path / "bert")
    with pytest.raises(ValueError, match="bert holds a BertModel, which is none of the systems"):
        export_encoders(tmp_path / "bert")
    with pytest.raises(FileNotFoundError, match=r"organisation/name is no folder; download the model"):
        export_encoders("organisation/name")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"the export needs onnx; install it by pip install 'modeling-docre\[onnx\]'"):
        export_encoders(tmp_path)
    assert not (tmp_path / "onnx").exists() or not list((tmp_path / "onnx").iterdir())


def test_a_checkpoint_loads_without_the_library() -> None:
    """What travels with a checkpoint is refused if it imports what is not installed."""
    assert "onnxruntime" not in get_imports(encoder_onnx.__file__)
