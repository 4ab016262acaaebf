"""Processes that use a Hub of this machine: this one, and fresh ones that can import the package or cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hub_server import TOKEN, Hub
from huggingface_hub import constants, hf_api

REPOSITORY = Path(__file__).resolve().parents[2]

_HEAD = "import json, sys\n"
# Importing the package fails from here on, also where it is installed.
_WITHOUT_PACKAGE = "import sys; sys.modules['modeling_docre'] = None\n"


def environment(hub: Hub | None, home: Path, token: str | None = TOKEN) -> dict[str, str]:
    """The variables of a process with a home of its own; without a Hub it is offline."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "HF_MODULES_CACHE")}
    kept |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}
    return kept | (hub.environment(home, token) if hub else {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"})


@contextmanager
def writing_to(hub: Hub) -> Iterator[None]:
    """This process pushes to the Hub until the block ends, which costs less than a fresh one."""
    address = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as cache:
        patch.setattr(constants, "ENDPOINT", hub.url)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
        patch.setattr(constants, "HF_HUB_CACHE", cache)
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patch.setattr(hf_api.api, "endpoint", hub.url)
        patch.setattr("transformers.utils.hub._hf_api", None, raising=False)
        patch.setenv("HF_TOKEN", TOKEN)
        yield


def run(
    script: str, folder: Path, hub: Hub | None = None, *arguments: Any, package: bool = True, token: str | None = TOKEN
) -> Any:
    """Run a script in a fresh process and return what its last line of output says in JSON.

    Args:
        script: Python code; `sys.argv[1:]` are the arguments.
        folder: where it runs and keeps what it downloads.
        hub: the Hub it uses; None for none.
        *arguments: JSON values.
        package: whether `modeling_docre` can be imported.
        token: the token that the process has.
    """
    variables = environment(hub, folder / "home", token)
    code = _HEAD + script if package else _WITHOUT_PACKAGE + _HEAD + script
    if package:
        variables["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests" / "support")])
    command = [sys.executable, *([] if package else ["-I"]), "-c", code, *map(json.dumps, arguments)]
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])
