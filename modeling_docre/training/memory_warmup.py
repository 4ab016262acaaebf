"""When memories begin to be read: after the first part of training, in which they are but written."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from transformers import TrainerCallback

logger = logging.getLogger(__name__)


@dataclass
class MemoryArguments:
    """When reading begins.

    Args:
        memory_warmup_ratio: share of the updates before the memories are read (Kosciukiewicz et al., section 3.3).
    """

    memory_warmup_ratio: float = 0.4


class MemoryCallback(TrainerCallback):
    """Turns the reading of the memories on in the model's configuration, which every checkpoint saves.

    It follows the number of updates done, so that a resumed run needs no state of its own. Evaluation and checkpoints
    read where the update before them did. Where the model that training ends with does not read, a warning says so.
    """

    def __init__(self, ratio: float):
        if not 0.0 <= ratio <= 1.0:
            raise ValueError(f"memory_warmup_ratio is {ratio}; give a number from 0 to 1")
        self.ratio = ratio

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        """Read from here on if the warm-up is over, as the update before a resumption did."""
        begins = int(self.ratio * state.max_steps)
        model.config.memory_reading = begins == 0 or state.global_step > begins

    def on_step_begin(self, args, state, control, model=None, **kwargs):
        """Begin to read at the first update after the warm-up."""
        model.config.memory_reading = state.global_step >= int(self.ratio * state.max_steps)

    def on_train_end(self, args, state, control, model=None, **kwargs):
        """Warn of a final model that does not read its memories."""
        config = model.config
        if config.traits.memory_levels and not config.memory_reading and self.ratio < 1:
            logger.warning(
                "the model does not read its memories: its best evaluation came in the first %s of the updates, which "
                "only write them; train for more epochs, or with a smaller memory_warmup_ratio",
                self.ratio,
            )
