"""AdamW without bias correction, by which SpERT and memory-enhanced JEREX were trained."""

from __future__ import annotations

from typing import Any

import torch

# By then the correction, 1 - beta ** step, is 1; the counter no longer grows, since float32 has no next whole number.
LATE = 1e9


class UncorrectedAdamW(torch.optim.AdamW):
    """AdamW whose moments are used as they are; its first hundred updates are three to seven times those of AdamW.

    The moments start at zero, and AdamW divides them by `1 - beta ** step` to make up for it. Here each parameter
    begins at a step where nothing is left to correct. Arguments and state are those of `torch.optim.AdamW`.
    """

    def _init_group(self, group: dict[str, Any], *lists: Any) -> Any:
        new = [value for value in group["params"] if value.grad is not None and not self.state[value]]
        result = super()._init_group(group, *lists)
        for value in new:
            self.state[value]["step"].fill_(LATE)
        return result
