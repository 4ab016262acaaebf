"""Training on several processes, and the configurations of accelerate for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import two_processes
from accelerate.commands.config.config_args import load_config_from_file

from modeling_docre.hub.resources import bundled_recipes, resource

SUPPORT = Path(two_processes.__file__).parent


def test_the_configurations_are_read_by_accelerate_and_are_no_recipes() -> None:
    files = sorted(resource("recipes/accelerate").glob("*.yaml"))
    types = {file.stem: load_config_from_file(str(file)).distributed_type for file in files}
    assert types == {"ddp": "MULTI_GPU", "fsdp2": "FSDP"}
    assert not types.keys() & bundled_recipes().keys()


@pytest.mark.slow
def test_two_processes_train_as_one_and_resume(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(SUPPORT.parents[1]), str(SUPPORT)])}
    environment |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*command, str(SUPPORT / "two_processes.py"), str(tmp_path)],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["processes"] == 2
    one = two_processes.train(tmp_path / "one", gradient_accumulation_steps=2)
    assert len(one["losses"]) == two_processes.STEPS and len(set(one["losses"])) > 1
    assert found["whole"]["losses"] == pytest.approx(one["losses"], abs=1e-5)
    assert found["whole"]["weights"] == pytest.approx(one["weights"], rel=1e-5)
    assert found["resumed"]["losses"] == pytest.approx(found["whole"]["losses"], abs=1e-5)
    assert found["resumed"]["weights"] == pytest.approx(found["whole"]["weights"], rel=1e-6)
