"""Run by torchrun: trains a tiny model on several processes, breaks off and resumes, and writes what it found."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tiny import tiny_atlop
from training import FIVE, trainer

STEPS = 4


def train(folder: Path, resume: str | None = None, **arguments: Any) -> dict[str, Any]:
    """Losses of each update, and the sum of the absolute weights at the end.

    Args:
        folder: where checkpoints go.
        resume: the checkpoint to go on from.
        **arguments: training arguments.
    """
    model = tiny_atlop()
    for module in model.modules():  # processes would draw dropout of their own
        if type(module).__name__ == "Dropout":
            module.p = 0.0
    settings = {
        "learning_rate": 1e-3,
        "max_steps": STEPS,
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": 2,
        "save_total_limit": 9,
    }
    running = trainer(model, folder, FIVE[:4], per_device_train_batch_size=1, **{**settings, **arguments})
    running.train(resume)
    losses = [entry["loss"] for entry in running.state.log_history if "loss" in entry]
    return {"losses": losses, "weights": sum(float(value.detach().abs().sum()) for value in model.parameters())}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    whole = train(folder / "run", ddp_backend="gloo")
    resumed = train(folder / "run", str(folder / "run" / "checkpoint-2"), ddp_backend="gloo")
    import torch.distributed as dist

    found = {"processes": dist.get_world_size(), "whole": whole, "resumed": resumed}
    if dist.get_rank() == 0:
        (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")
    dist.destroy_process_group()
