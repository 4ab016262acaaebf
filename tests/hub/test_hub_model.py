"""Models on the Hub (modeling_docre/hub/upload.py): what a push writes, and what a user elsewhere loads from it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hub_processes import REPOSITORY, run
from hub_server import Hub, Repository, running_hub
from huggingface_hub import ModelCard
from pipelines import ENTITIES, TEXTS, close
from safetensors.torch import load
from tiny import save_tiny, tiny_jerex

from modeling_docre import SYSTEMS, JerexModel
from modeling_docre.hub.upload import bring_companions

PACKAGE = REPOSITORY / "modeling_docre"
ENTITIES_OF = {
    name: ENTITIES if model.config_class().traits.entities_given else None for name, model in SYSTEMS.items()
}
TOKENIZER_FILES = {"tokenizer.json", "tokenizer_config.json"}
MODEL_FILES = {".gitattributes", "README.md", "LICENSE", "config.json", "model.safetensors"}

# Every system is pushed twice: model and tokenizer to `org/<system>`, the pipeline to `lab/<system>`. Two systems also
# share the name `best` in two organisations.
PUSH = """
import tiny
from pathlib import Path
from pipelines import TEXTS
from transformers import pipeline
from modeling_docre import SYSTEMS

entities, results, shas = json.loads(sys.argv[1]), {}, {}
for name in SYSTEMS:
    # Every span of up to two words is an entity, every pair related: nothing hides behind a threshold.
    finds = {} if entities[name] else {"max_span_size": 2, "mention_threshold": 0.0, "coreference_threshold": 1.0}
    if name == "spert":
        finds = {"max_span_size": 2, "relation_negatives": "weak"}
    model = getattr(tiny, f"tiny_{name}")(seed=3, relation_threshold=0.0, **finds)
    pipe = pipeline("doc-relation-extraction", model=model, tokenizer=tiny.tiny_tokenizer(), device="cpu")
    results[name] = pipe(TEXTS[0], entities=entities[name])
    commits = [model.push_to_hub(f"org/{name}"), pipe.tokenizer.push_to_hub(f"org/{name}")]
    commits.append(pipe.push_to_hub(f"lab/{name}", commit_message="as a pipeline", tags=["tiny"]))
    shas[name] = [commit.oid for commit in commits]
    if name in ("jerex", "atlop"):
        pipe.push_to_hub(f"{name}-lab/best", private=True)
    if name == "atlop":
        model.config.relation_types = [f"new {kind}" for kind in model.config.relation_types]
        pipe.push_to_hub(f"lab/{name}")
        pipe.push_to_hub(f"lab/{name}", revision="aside")
print(json.dumps([results, shas]))
"""


@dataclass(frozen=True)
class Pushed:
    """The Hub after the pushes, what the pipelines answered before, and the commits: model, tokenizer, pipeline."""

    hub: Hub
    results: dict[str, Any]
    shas: dict[str, list[str]]
    folder: Path


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pushed]:
    folder = tmp_path_factory.mktemp("hub")
    with running_hub() as hub:
        results, shas = run(PUSH, folder / "writer", hub, ENTITIES_OF)
        assert all(result["relations"] for result in results.values())
        yield Pushed(hub, results, shas, folder)


def closure(*modules: str) -> set[str]:
    """The files of the package that these modules need, found by their syntax trees."""
    found, new = set(), set(modules)
    while new:
        found |= new
        trees = [ast.parse((PACKAGE / f"{name}.py").read_text()) for name in new]
        imported = (
            node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level
        )
        new = {node.module or "" for node in imported} - found
    return {f"{name}.py" for name in found}


def expected_code(system: str) -> set[str]:
    model = SYSTEMS[system]
    return closure(*(item.__module__.split(".")[-1] for item in (model, model.config_class)), "pipeline_docre")


# --- what is pushed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_push_holds_what_a_user_needs_and_nothing_else(pushed: Pushed, system: str) -> None:
    for organisation, commits in (("org", 3), ("lab", 2)):
        repository = pushed.hub.model(f"{organisation}/{system}")
        sha = pushed.shas[system][1 if organisation == "org" else 2]
        files = repository.files(sha)
        assert set(files) == MODEL_FILES | TOKENIZER_FILES | expected_code(system)
        assert len(repository.history(sha)) == commits
        for name in expected_code(system):
            assert files[name] == (PACKAGE / name).read_bytes()
        assert files["LICENSE"] == (REPOSITORY / "LICENSE").read_bytes()
        assert load(files["model.safetensors"])
        check_configuration(system, json.loads(files["config.json"]))
        check_card(files["README.md"].decode(), f"{organisation}/{system}", system)
    history = pushed.hub.model(f"lab/{system}").history(pushed.shas[system][2])
    assert [commit.title for commit in history] == ["as a pipeline", "initial commit"]
    assert set(pushed.hub.model(f"org/{system}").files(pushed.shas[system][0])) & TOKENIZER_FILES == set()


def check_configuration(system: str, config: dict[str, Any]) -> None:
    model = SYSTEMS[system]
    places = {"AutoModel": model, "AutoConfig": model.config_class}
    assert config["auto_map"] == {
        auto: f"{item.__module__.split('.')[-1]}.{item.__name__}" for auto, item in places.items()
    }
    wanted = {"impl": "pipeline_docre.DocRelationExtractionPipeline", "pt": ["AutoModel"], "type": "text"}
    assert config["custom_pipelines"] == {"doc-relation-extraction": wanted}
    assert config["architectures"] == [model.__name__]
    assert not re.search(r'": "/', json.dumps(config))


def check_card(text: str, repository: str, system: str) -> None:
    data = ModelCard(text).data
    assert data.library_name == "transformers" and data.pipeline_tag == "token-classification"
    assert "document-level-relation-extraction" in data.tags
    assert ("tiny" in data.tags) == repository.startswith("lab/")
    assert f'model="{repository}"' in text
    assert '"REPOSITORY"' not in text and "{{" not in text


def test_nothing_that_is_pushed_is_a_pickle(pushed: Pushed) -> None:
    for repository in pushed.hub.repositories.values():
        for commit in repository.commits.values():
            for path, blob in commit.files.items():
                assert Path(path).suffix not in {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}, path
                assert not blob.content.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03")), (
                    path
                )


def test_pushes_know_their_repository(pushed: Pushed) -> None:
    assert pushed.hub.model("jerex-lab/best").private and not pushed.hub.model("lab/jerex").private
    changed = pushed.hub.model("lab/atlop")
    first, second = (json.loads(changed.files(sha)["config.json"]) for sha in (pushed.shas["atlop"][2], "main"))
    assert second["relation_types"] == [f"new {kind}" for kind in first["relation_types"]]
    # The repository has a card, and this model none that is its own: the one on the Hub stays.
    assert changed.files(pushed.shas["atlop"][2])["README.md"] == changed.files()["README.md"]
    assert set(changed.branches) == {"main", "aside"}
    assert changed.files("aside")["config.json"] == changed.files()["config.json"]


# --- loading it elsewhere -----------------------------------------------------------------------------------------

LOAD = """
from transformers import AutoConfig, AutoModel, pipeline
text, entities, shas = json.loads(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
found = {}
for name in entities:
    pins = {"revision": shas[name][1], "code_revision": shas[name][1]}
    config = AutoConfig.from_pretrained(f"org/{name}", trust_remote_code=True, **pins)
    model = AutoModel.from_pretrained(f"org/{name}", trust_remote_code=True, **pins)
    found[name] = {"types": [config.model_type, model.config.model_type, type(model).__module__.split(".")[0]]}
    by_task = pipeline(
        "doc-relation-extraction", model=f"org/{name}", revision=shas[name][1], trust_remote_code=True, device="cpu"
    )
    found[name]["model"] = by_task(text, entities=entities[name])
    alone = pipeline(model=f"lab/{name}", revision=shas[name][2], trust_remote_code=True, device="cpu")
    found[name]["pipeline"] = alone(text, entities=entities[name])
    if name in ("jerex", "atlop"):
        alone.push_to_hub(f"copy/{name}")
        copied = pipeline("doc-relation-extraction", model=f"copy/{name}", trust_remote_code=True, device="cpu")
        found[name]["copy"] = copied(text, entities=entities[name])
best = {name: pipeline(model=f"{name}-lab/best", trust_remote_code=True, device="cpu") for name in ("jerex", "atlop")}
found["best"] = {name: pipe(text, entities=entities[name]) for name, pipe in best.items()}
found["loaded"] = sorted(name for name, module in sys.modules.items() if module and name.startswith("modeling_docre"))
print(json.dumps(found))
"""


def test_a_model_works_the_same_where_the_package_is_not(pushed: Pushed) -> None:
    """Every system in one process, two of them from repositories of the same name; and a copy is pushed from there."""
    found = run(LOAD, pushed.folder / "reader", pushed.hub, TEXTS[0], ENTITIES_OF, pushed.shas, package=False)
    assert found["loaded"] == []
    for name, model in SYSTEMS.items():
        kind = model.config_class.model_type
        assert found[name]["types"] == [kind, kind, "transformers_modules"]
        assert close(found[name]["model"], pushed.results[name]), name
        assert close(found[name]["pipeline"], pushed.results[name]), name
    for name in ("jerex", "atlop"):
        assert close(found["best"][name], pushed.results[name])
        assert close(found[name]["copy"], pushed.results[name])
        original, copy = (repository(pushed, organisation, name) for organisation in ("lab", "copy"))
        wanted = original.files(pushed.shas[name][2])
        assert set(copy.files()) == set(wanted)
        changed = {path for path in wanted if copy.files()[path] != wanted[path]}
        assert changed <= {"README.md", "config.json", "tokenizer_config.json"}
        text = wanted["README.md"].decode()
        moved = text.replace(f'"lab/{name}"', f'"copy/{name}"')
        # The main branch of `lab/atlop` holds another model by now, whose card this is not.
        assert (copy.files()["README.md"].decode() == moved != text) == (name == "jerex")


def repository(pushed: Pushed, organisation: str, name: str) -> Repository:
    return pushed.hub.model(f"{organisation}/{name}")


WITH_PACKAGE = """
from pathlib import Path
import modeling_docre
from transformers import AutoModel, pipeline
text, entities, home = map(json.loads, sys.argv[1:])
found = {}
for name in ("jerex", "atlop"):
    for trust in (None, True):
        model = AutoModel.from_pretrained(f"trap/{name}", trust_remote_code=trust)
        pipe = pipeline("doc-relation-extraction", model=f"trap/{name}", trust_remote_code=trust, device="cpu")
        found[f"{name} {trust}"] = [type(model).__module__, pipe(text, entities=entities[name])]
found["downloaded"] = sorted(path.name for path in Path(home).rglob("*.py"))
print(json.dumps(found))
"""
WITHOUT_TRUST = """
from transformers import AutoConfig, AutoModel, pipeline
messages = []
for call in (
    lambda: AutoConfig.from_pretrained("trap/jerex", trust_remote_code=False),
    lambda: AutoModel.from_pretrained("trap/jerex"),
    lambda: pipeline("doc-relation-extraction", model="trap/jerex"),
    lambda: pipeline(model="trap/atlop", trust_remote_code=False),
):
    try:
        call()
        messages.append("loaded")
    except Exception as error:
        messages.append(str(error))
print()  # ends the question that was asked
print(json.dumps(messages))
"""


@pytest.fixture(scope="module")
def canary(pushed: Pushed) -> Path:
    """A file that the code of the repositories `trap/...` writes as soon as any of it runs."""
    sung = pushed.folder / "canary"
    song = f"\nopen({str(sung)!r}, 'a').write(__name__)\n".encode()
    for name in ("jerex", "atlop"):
        files = repository(pushed, "lab", name).files(pushed.shas[name][2])
        code = {path: content + song if path.endswith(".py") else content for path, content in files.items()}
        pushed.hub.put(f"trap/{name}", code)
    return sung


def test_with_the_package_no_code_of_a_repository_runs(pushed: Pushed, canary: Path) -> None:
    folder = pushed.folder / "with package"
    found = run(WITH_PACKAGE, folder, pushed.hub, TEXTS[0], ENTITIES_OF, str(folder / "home" / "hub"))
    for name in ("jerex", "atlop"):
        for trust in (None, True):
            module, result = found[f"{name} {trust}"]
            assert module == SYSTEMS[name].__module__
            assert close(result, pushed.results[name])
    assert found["downloaded"] == [] and not canary.exists()


def test_without_package_and_trust_nothing_runs(pushed: Pushed, canary: Path) -> None:
    messages = run(WITHOUT_TRUST, pushed.folder / "careful", pushed.hub, package=False)
    assert len(messages) == 4 and all("trust_remote_code=True" in message for message in messages), messages
    assert not canary.exists()
    # The canary can sing.
    trusting = "from transformers import AutoModel\n"
    trusting += "AutoModel.from_pretrained('trap/jerex', trust_remote_code=True)\nprint(json.dumps('sung'))"
    assert run(trusting, pushed.folder / "trusting", pushed.hub, package=False) == "sung"
    assert "modeling_jerex" in canary.read_text()


# --- cards and scores that belong to a checkpoint -----------------------------------------------------------------

CARRY = """
import tiny, os
from pathlib import Path
from transformers import pipeline
from modeling_docre import JerexModel
from modeling_docre.hub.cards import write_card

folder = Path("trained")
pipe = pipeline("doc-relation-extraction", model=tiny.tiny_jerex(), tokenizer=tiny.tiny_tokenizer(), device="cpu")
pipe.save_pretrained(folder)
scores = {f"relation_{part}": 0.125 for part in ("precision", "recall", "f1")} | {"documents": 12}
write_card(folder, pipe.model, corpus="sample", dataset="org/sample", split="test", scores=scores, command="run it")
(folder / "training_args.bin").write_bytes(b"secret")
(folder / "validation").mkdir()
(folder / "validation" / "predictions.json").write_text("[]")

same = pipeline("doc-relation-extraction", model=str(folder), device="cpu")
same.push_to_hub("org/carried")
changed = JerexModel.from_pretrained(folder)
changed.mention_classifier.load_state_dict(tiny.tiny_jerex(seed=9).mention_classifier.state_dict())
changed.push_to_hub("org/changed")
other = JerexModel.from_pretrained(folder, mention_threshold=0.25)
other.push_to_hub("org/threshold")
pipeline("doc-relation-extraction", model="org/carried", device="cpu").push_to_hub("org/again")
changed.push_to_hub("org/carried")
print(json.dumps((folder / "README.md").read_text()))
"""


def test_the_card_and_scores_of_a_checkpoint_go_along_while_it_is_the_same(tmp_path: Path) -> None:
    with running_hub() as hub:
        card = run(CARRY, tmp_path, hub)
        carried = hub.model("org/carried")
        first = carried.history()[1].files
        assert set(first) == MODEL_FILES | TOKENIZER_FILES | expected_code("jerex") | {".eval_results/docre_f1.yaml"}
        assert first["README.md"].content.decode() == card.replace('"REPOSITORY"', '"org/carried"') != card
        [entry] = yaml.safe_load(first[".eval_results/docre_f1.yaml"].content)
        assert entry["dataset"] == {"id": "org/sample", "task_id": "relation_f1"} and "run it" in entry["notes"]
        assert (
            hub.model("org/again").files()[".eval_results/docre_f1.yaml"]
            == first[".eval_results/docre_f1.yaml"].content
        )
        for name in ("org/changed", "org/threshold"):
            assert ".eval_results/docre_f1.yaml" not in hub.model(name).files()
            assert "12.5" not in hub.model(name).files()["README.md"].decode()
        # Scores of other weights do not stay behind.
        assert ".eval_results/docre_f1.yaml" not in carried.files()


def test_the_licence_goes_along_in_any_case(tmp_path: Path) -> None:
    origin, same, other = (tmp_path / name for name in ("origin", "same", "other"))
    save_tiny(origin)
    (origin / "README.md").write_text("a card")
    (origin / "LICENSE").write_text("a licence")
    (origin / "precision_recall.svg").write_text("a picture of the card")
    for folder, options, companions in (
        (same, {}, {"README.md", "LICENSE", "precision_recall.svg"}),
        (other, {"mention_threshold": 0.25}, {"LICENSE"}),
    ):
        model = JerexModel.from_pretrained(origin, **options)
        model.save_pretrained(folder)
        assert bring_companions(model, folder) == (folder == same)
        beside = {"README.md", "LICENSE", "precision_recall.svg"}
        assert {path.name for path in folder.iterdir()} & beside == companions
    assert not bring_companions(tiny_jerex(), other)  # made here
