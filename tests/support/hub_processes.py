"""Fresh processes that use a Hub of this machine, where the package can be imported and where it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hub_server import TOKEN, Hub

REPOSITORY = Path(__file__).resolve().parents[2]

_HEAD = "import json, sys\n"
# Importing the package fails from here on, also where it is installed.
_WITHOUT_PACKAGE = "import sys; sys.modules['modeling_docre'] = None\n"


def environment(hub: Hub | None, home: Path, token: str | None = TOKEN) -> dict[str, str]:
    """The variables of a process with a home of its own; without a Hub it is offline."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "HF_MODULES_CACHE")}
    kept |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}
    return kept | (hub.environment(home, token) if hub else {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"})


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
