"""Models on the Hub: what a push of a model or pipeline writes, and what a user elsewhere loads from it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tiny
from hub_processes import REPOSITORY, run, writing_to
from hub_server import Hub, Repository, running_hub
from huggingface_hub import ModelCard
from pipelines import ENTITIES, TEXTS, build, close
from safetensors.torch import load
from transformers import pipeline

from modeling_docre import SYSTEMS

PACKAGE = REPOSITORY / "modeling_docre"
ENTITIES_OF = {
    name: ENTITIES if model.config_class().traits.entities_given else None for name, model in SYSTEMS.items()
}
PLAIN_TEXT = (REPOSITORY / "recipes" / "unseen_text.txt").read_text(encoding="utf-8")
TOKENIZER_FILES = {"tokenizer.json", "tokenizer_config.json"}
OF_THE_PACKAGE = {"LICENSE", "handler.py", "requirements.txt"}
MODEL_FILES = {".gitattributes", "README.md", "config.json", "model.safetensors", *OF_THE_PACKAGE}


@dataclass(frozen=True)
class Pushed:
    """The Hub after the pushes, what the pipelines answered before, and the commits: model, tokenizer, pipeline."""

    hub: Hub
    results: dict[str, Any]
    shas: dict[str, list[str]]
    folder: Path


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pushed]:
    """Every system is pushed twice: model and tokenizer to `org/<system>`, the pipeline to `lab/<system>`.

    Two systems also share the name `best` in two organisations, and the bundled model is `org/default`.
    """
    with running_hub() as hub:
        results, shas = {}, {}
        with writing_to(hub):
            for name in SYSTEMS:
                results[name], shas[name] = push(name)
            default = pipeline("doc-relation-extraction")
            results["default"], shas["default"] = default(PLAIN_TEXT), [default.push_to_hub("org/default").oid]
        assert all(result["relations"] for result in results.values())
        yield Pushed(hub, results, shas, tmp_path_factory.mktemp("hub"))


def push(name: str) -> tuple[Any, list[str]]:
    """Push a system; return what its pipeline answers and the commits of model, tokenizer and pipeline."""
    # Every span of up to two words is an entity, every pair related: nothing hides behind a threshold.
    finds = {} if ENTITIES_OF[name] else {"max_span_size": 2, "mention_threshold": 0.0, "coreference_threshold": 1.0}
    if name == "spert":
        finds = {"max_span_size": 2, "relation_negatives": "weak"}
    model = getattr(tiny, f"tiny_{name}")(seed=3, relation_threshold=0.0, **finds)
    pipe = build(model)
    commits = [model.push_to_hub(f"org/{name}"), pipe.tokenizer.push_to_hub(f"org/{name}")]
    commits.append(pipe.push_to_hub(f"lab/{name}", commit_message="as a pipeline", tags=["tiny"]))
    result = pipe(TEXTS[0], entities=ENTITIES_OF[name])
    if name in ("jerex", "atlop"):
        pipe.push_to_hub(f"{name}-lab/best", private=True)
    if name == "atlop":
        model.config.relation_types = [f"new {kind}" for kind in model.config.relation_types]
        pipe.push_to_hub(f"lab/{name}")
        pipe.push_to_hub(f"lab/{name}", revision="aside")
    return result, [commit.oid for commit in commits]


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


@cache
def expected_code(system: str) -> set[str]:
    model = SYSTEMS[system]
    return closure(*(item.__module__.split(".")[-1] for item in (model, model.config_class)), "pipeline_docre")


# --- what is pushed -----------------------------------------------------------------------------------------------


def test_a_push_holds_what_a_user_needs_and_nothing_else(pushed: Pushed) -> None:
    for system in SYSTEMS:
        check_push(pushed, system)


def check_push(pushed: Pushed, system: str) -> None:
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
    first, second = (changed.files(sha)["README.md"].decode() for sha in (pushed.shas["atlop"][2], "main"))
    assert "- tiny\n" in first and "- tiny\n" not in second, "each push brings a fresh card"
    assert set(changed.branches) == {"main", "aside"}
    assert changed.files("aside")["config.json"] == changed.files()["config.json"]


# --- loading it elsewhere -----------------------------------------------------------------------------------------

WITHOUT_PACKAGE = """
from transformers import AutoConfig, AutoModel, pipeline
from pathlib import Path
text, plain_text, entities, shas, canary = map(json.loads, sys.argv[1:])
found = {"messages": []}
for call in (
    lambda: AutoConfig.from_pretrained("trap/jerex", trust_remote_code=False),
    lambda: AutoModel.from_pretrained("trap/jerex"),
    lambda: pipeline("doc-relation-extraction", model="trap/jerex"),
    lambda: pipeline(model="trap/atlop", trust_remote_code=False),
):
    try:
        call()
        found["messages"].append("loaded")
    except Exception as error:
        found["messages"].append(str(error))
found["sung untrusted"] = Path(canary).exists()
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
default = {"model": "org/default", "revision": shas["default"][0], "trust_remote_code": True}
found["default"] = pipeline("doc-relation-extraction", **default)(plain_text)
found["loaded"] = sorted(name for name, module in sys.modules.items() if module and name.startswith("modeling_docre"))
AutoModel.from_pretrained("trap/jerex", trust_remote_code=True)
print()  # ends the questions that were asked
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def elsewhere(pushed: Pushed) -> dict[str, Any]:
    """What one process without the package found, first without trust and then with it."""
    folder, sung = pushed.folder / "reader", pushed.folder / "canary of the reader"
    set_trap(pushed, sung)
    arguments = TEXTS[0], PLAIN_TEXT, ENTITIES_OF, pushed.shas, str(sung)
    found = run(WITHOUT_PACKAGE, folder, pushed.hub, *arguments, package=False)
    assert "modeling_jerex" in sung.read_text(), "the canary can sing"
    return found


def set_trap(pushed: Pushed, canary: Path) -> None:
    """Repositories `trap/...` whose code writes to a file as soon as any of it runs."""
    song = f"\nopen({str(canary)!r}, 'a').write(__name__)\n".encode()
    for name in ("jerex", "atlop"):
        files = repository(pushed, "lab", name).files(pushed.shas[name][2])
        code = {path: content + song if path.endswith(".py") else content for path, content in files.items()}
        pushed.hub.put(f"trap/{name}", code)


@pytest.mark.slow
def test_a_model_works_the_same_where_the_package_is_not(pushed: Pushed, elsewhere: dict[str, Any]) -> None:
    """Every system in one process, two of them from repositories of the same name."""
    assert elsewhere["loaded"] == []
    for name, model in SYSTEMS.items():
        kind = model.config_class.model_type
        assert elsewhere[name]["types"] == [kind, kind, "transformers_modules"]
        assert close(elsewhere[name]["model"], pushed.results[name]), name
        assert close(elsewhere[name]["pipeline"], pushed.results[name]), name
    for name in ("jerex", "atlop"):
        assert close(elsewhere["best"][name], pushed.results[name])
    assert close(elsewhere["default"], pushed.results["default"]), "the bundled model"


def test_a_copy_is_pushed_where_the_package_is_not(pushed: Pushed, elsewhere: dict[str, Any]) -> None:
    for name in ("jerex", "atlop"):
        assert close(elsewhere[name]["copy"], pushed.results[name])
        original, copy = (repository(pushed, organisation, name) for organisation in ("lab", "copy"))
        wanted = original.files(pushed.shas[name][2])
        assert set(copy.files()) == set(wanted) - OF_THE_PACKAGE, "transformers pushes what it saves"
        changed = {path for path in copy.files() if copy.files()[path] != wanted[path]}
        assert changed <= {"README.md", "config.json", "tokenizer_config.json"}


def test_without_package_and_trust_nothing_runs(elsewhere: dict[str, Any]) -> None:
    messages = elsewhere["messages"]
    assert len(messages) == 4 and all("trust_remote_code=True" in message for message in messages), messages
    assert not elsewhere["sung untrusted"]


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


def test_with_the_package_no_code_of_a_repository_runs(pushed: Pushed) -> None:
    folder, canary = pushed.folder / "with package", pushed.folder / "canary"
    set_trap(pushed, canary)
    found = run(WITH_PACKAGE, folder, pushed.hub, TEXTS[0], ENTITIES_OF, str(folder / "home" / "hub"))
    for name in ("jerex", "atlop"):
        for trust in (None, True):
            module, result = found[f"{name} {trust}"]
            assert module == SYSTEMS[name].__module__
            assert close(result, pushed.results[name])
    assert found["downloaded"] == [] and not canary.exists()
