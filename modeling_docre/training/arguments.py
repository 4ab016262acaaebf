"""The training arguments: how much is sampled, the phases, the memories, and what the Trainer itself takes."""

from __future__ import annotations

from dataclasses import dataclass, field

from transformers import TrainingArguments

from .memory_warmup import MemoryArguments
from .phases import PhaseArguments


@dataclass
class SamplingArguments:
    """How many negatives each stage is trained on, per document (JEREX section 4) or, in SpERT, per sentence.

    Args:
        negatives_mention: spans that are no mention.
        negatives_coreference: ordered pairs of mentions of different entities.
        negatives_relation: ordered entity pairs without a relation; -1 for all.
        negatives_inside_ratio: largest share of the negative spans that lie inside a gold mention.
        exclude_reverse_symmetric_negatives: whether the reverse of a symmetric relation's pair is no negative (SpERT's
            release until April 2021).
    """

    negatives_mention: int = 200
    negatives_coreference: int = 200
    negatives_relation: int = 200
    negatives_inside_ratio: float = 0.5
    exclude_reverse_symmetric_negatives: bool = False


@dataclass
class DocRETrainingArguments(SamplingArguments, PhaseArguments, MemoryArguments, TrainingArguments):
    """The Trainer's arguments with the papers' defaults, the numbers of negatives, and a learning rate for the heads.

    Args:
        head_learning_rate: learning rate of everything outside the encoders; None means `learning_rate`.
        adam_bias_correction: whether AdamW corrects its moments for their start at zero.
        train_max_tokens: subwords per training batch, padding included; None means `per_device_train_batch_size`
            documents.
        eval_max_tokens: subwords per batch in evaluation, padding included.
    """

    output_dir: str | None = field(default="outputs")
    do_train: bool = True
    learning_rate: float = 5e-5
    head_learning_rate: float | None = None
    weight_decay: float = 0.01
    warmup_steps: float = 0.1
    num_train_epochs: float = 20.0
    per_device_train_batch_size: int = 1
    dataloader_drop_last: bool = True
    eval_strategy: str = "epoch"
    save_strategy: str = "epoch"
    logging_strategy: str = "steps"
    logging_steps: float = 100
    save_total_limit: int | None = 1
    load_best_model_at_end: bool = True
    metric_for_best_model: str | None = "eval_relation_f1"
    greater_is_better: bool | None = True
    remove_unused_columns: bool = False
    # Else a run that was interrupted forgets how long it has not improved, and stops later than an unbroken one.
    restore_callback_states_from_checkpoint: bool = True
    # A part may get no gradient in an update: memories that are not read yet, a stage without a sample.
    ddp_find_unused_parameters: bool | None = True
    adam_bias_correction: bool = True
    train_max_tokens: int | None = None
    eval_max_tokens: int = 2048
