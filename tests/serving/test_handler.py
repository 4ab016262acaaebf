"""The endpoint's handler, loaded as the service does, from a pushed repository, where the package is not installed."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hub_processes import REPOSITORY, run, writing_to
from hub_server import running_hub
from pipelines import ENTITIES, TEXTS, build, close, decisive_jerex
from tiny import tiny_atlop

ROOT = REPOSITORY / "modeling_docre"
# What the service does with a repository: a snapshot, its folder on the path, the file as a module, the class with the
# folder; what goes wrong in a request becomes its error.
SERVICE = """
import importlib.util
from huggingface_hub import snapshot_download
requests, answers = json.loads(sys.argv[1]), {}
for name, asked in requests.items():
    folder = snapshot_download(name, local_dir=name.replace("/", "-"))
    spec = importlib.util.spec_from_file_location("handler.EndpointHandler", f"{folder}/handler.py")
    sys.path.insert(0, folder)
    handler = importlib.util.module_from_spec(spec)
    sys.modules["handler.EndpointHandler"] = handler
    spec.loader.exec_module(handler)
    serve = handler.EndpointHandler(folder)
    answers[name] = []
    for body in asked:
        try:
            answers[name].append(serve(json.loads(json.dumps(body))))
        except Exception as error:
            answers[name].append({"error": str(error)})
    sys.path.remove(folder)
print()
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def pipes() -> dict[str, Any]:
    return {
        "org/jerex": build(decisive_jerex(relation_threshold=0.0)),
        "org/atlop": build(tiny_atlop(relation_threshold=0.0)),
    }


def test_requests_are_answered_as_the_pipeline_answers(pipes: dict[str, Any], tmp_path: Path) -> None:
    given = {"text": TEXTS[0], "entities": ENTITIES, "id": "mine"}
    requests: dict[str, list[Any]] = {
        "org/jerex": [
            {"inputs": TEXTS[0]},
            {"inputs": TEXTS, "parameters": {"batch_size": 2, "threshold": 0.9, "relations": ["born"]}},
            {"inputs": [["Tom", "met", "Anna", "."]], "parameters": None},
            {"inputs": []},
            {"inputs": given},
        ],
        "org/atlop": [
            {"inputs": TEXTS[0], "parameters": {"entities": ENTITIES}},
            {"inputs": [given, {**given, "id": "other"}]},
        ],
    }
    wrong = [
        ({}, 'the request has no "inputs"'),
        ([TEXTS[0]], 'the request has no "inputs"'),
        ({"inputs": "a", "param": 1}, 'the request has the unknown key "param"; send "inputs" and "parameters" alone'),
        ({"inputs": "a", "parameters": [1]}, '"parameters" is [1]; send arguments by name'),
        ({"inputs": "a", "parameters": {"threshold": 2}}, "threshold is 2; give a number from 0 to 1"),
        ({"inputs": "a", "parameters": {"treshold": 0.1}}, "no argument 'treshold'"),
        ({"inputs": ["a", 5]}, "input text-1 is 5; give a string"),
        ({"inputs": None}, "the input is None; give a string"),
    ]
    with running_hub() as hub:
        with writing_to(hub):
            for name, pipe in pipes.items():
                pipe.push_to_hub(name)
        asked = requests | {"org/jerex": [*requests["org/jerex"], *(body for body, _ in wrong)]}
        answers = run(SERVICE, tmp_path, hub, asked, package=False)
    for name, pipe in pipes.items():
        for body, answer in zip(requests[name], answers[name], strict=False):
            assert close(answer, pipe(body["inputs"], **(body.get("parameters") or {}))), body
    assert answers["org/jerex"][0]["relations"] and answers["org/atlop"][0]["relations"]
    for (_, message), answer in zip(wrong, answers["org/jerex"][len(requests["org/jerex"]) :], strict=True):
        assert message in answer["error"] and "\n" not in answer["error"], answer


def test_the_requirements_are_what_the_code_of_a_model_imports() -> None:
    lines = (ROOT / "serving/requirements.txt").read_text(encoding="utf-8").splitlines()
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert lines == sorted(lines) and set(lines) <= set(project["dependencies"])
    named = {re.split("[>=]", line)[0].replace("-", "_") for line in lines}
    code = "\n".join(file.read_text(encoding="utf-8") for file in ROOT.glob("*.py") if not file.name.startswith("__"))
    imported = set(re.findall(r"^(?:from|import) (\w+)", code, flags=re.MULTILINE))
    known = {re.split("[>=]", item)[0].replace("-", "_") for item in project["dependencies"]}
    assert named == imported & known | {"safetensors"}, "safetensors holds the weights"


def test_json_is_all_a_graph_needs(pipes: dict[str, Any]) -> None:
    graph = pipes["org/jerex"](TEXTS[0])
    assert json.loads(json.dumps(graph, allow_nan=False)) == graph
