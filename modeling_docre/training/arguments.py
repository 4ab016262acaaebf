"""The options of a training: model, data, how much is sampled, the phases, the memories, and what the Trainer takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from runpy import run_path

from transformers import TrainingArguments

from dataset_scripts.building.loading import CorpusArguments
from modeling_docre import SYSTEMS
from modeling_docre.hub.metric import metric_folder

from .phases import MemoryArguments, PhaseArguments

# The metric is no package of ours: it is a folder that `evaluate` loads.
_CONVENTIONS = sorted(run_path(str(metric_folder() / "conventions.py"))["CONVENTIONS"])


@dataclass
class SamplingArguments:
    """How many negatives each stage is trained on, per document (JEREX section 4) or, in SpERT, per sentence.

    In documents that lack labels a span or a type without one need not be a negative, and a teacher's scores say more.

    Args:
        negatives_mention: spans other than mentions.
        negatives_coreference: ordered pairs of mentions of different entities.
        negatives_relation: ordered entity pairs without a relation; -1 for all.
        negatives_inside_ratio: largest share of the negative spans that lie inside a gold mention.
        exclude_reverse_symmetric_negatives: whether the reverse of a symmetric relation's pair is no negative (SpERT's
            release until April 2021).
        teacher_positive: score from which a teacher's word makes a relation, in place of the model's labels that the
            documents hold; None leaves those as they are.
        teacher_mask: score from which a type without a label is neither a positive nor a negative; None masks nothing.
        entity_noise: share of the entities with several mentions that the relation stage sees damaged: without one of
            their mentions, or in two parts (the sixth system).
    """

    negatives_mention: int = 200
    negatives_coreference: int = 200
    negatives_relation: int = 200
    negatives_inside_ratio: float = 0.5
    exclude_reverse_symmetric_negatives: bool = False
    teacher_positive: float | None = None
    teacher_mask: float | None = None
    entity_noise: float = 0.0


@dataclass
class DocRETrainingArguments(SamplingArguments, PhaseArguments, MemoryArguments, TrainingArguments):
    """The Trainer's arguments with the papers' defaults, the numbers of negatives, and a learning rate for the heads.

    Args:
        head_learning_rate: learning rate of everything outside the encoders; None means `learning_rate`.
        signature_min: how often the training documents have to state a relation type between two entity types so that
            the model returns it between them; 0 lets every type hold between all.
        adam_bias_correction: whether AdamW corrects its moments for their start at zero.
        train_max_tokens: subwords per training batch, padding included; None means `per_device_train_batch_size`
            documents.
        eval_max_tokens: subwords per batch in evaluation, padding included; None for as many as is fastest on the
            device (`Predictor.batches`).
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
    signature_min: int = 0
    adam_bias_correction: bool = True
    train_max_tokens: int | None = None
    eval_max_tokens: int | None = None


@dataclass
class ModelArguments:
    """Which model is trained.

    Args:
        system: the system.
        encoder: name or folder of the pre-trained encoder; `offline` is MiniLM from the extra `offline`,
            `offline-base` MPNet from the extra `offline-base`.
        trust_remote_code: whether an encoder may run code of its own, from its repository or from `init_from`.
        init_from: folder or name of a trained model to go on from, instead of a fresh one on `encoder`; of several,
            checkpoints of one training or models that went on from one, the mean of their weights. Options of the
            system that are given replace those of its configuration; in training, types of the documents that it does
            not know join those that it knows.
    """

    system: str = field(default="jerex", metadata={"choices": sorted(SYSTEMS)})
    encoder: str = "bert-base-cased"
    trust_remote_code: bool = False
    init_from: list[str] | None = None


@dataclass
class DataArguments(CorpusArguments):
    """Which documents are read, and what is done with them beside training.

    Args:
        train_facts: JSON file (plain or `.gz`) of (head name, tail name, relation type) triples, for Ign F1; absent,
            the facts of the training documents count.
        early_stopping_patience: stop after this many evaluations without improvement.
        single_stages: score each stage of a joint model on the gold result of the stage before, too.
        tune: search the thresholds on the validation documents after training, those with a name ("precise",
            "balanced", "everything") too.
        calibrate: fit the scaling of the scores of relations and entities to the validation documents after training,
            and the thresholds with a name; the calibration errors and the thresholds of some precisions are reported.
        least_precision: with `calibrate`, the share of right relations on the validation documents that the relation
            threshold is set for, instead of the best F1.
        max_train_documents: use only the first documents of the training data.
        convention: report what papers report on this corpus, too.
        no_overlap: leave entities that overlap another one, and relations between overlapping ones, out of all scores.
        by_word_count: score the relations of documents of similar numbers of words apart, too.
        folds: train and score on every fold of the corpus, each in a process and a folder of its own (see
            `cross_validation`).
        hub_dataset_id: the scored corpus' repository on the Hub, "organisation/name"; the card names it, and the Hub
            lists the scores there.
    """

    train_facts: str | None = None
    early_stopping_patience: int | None = None
    tune: bool = False
    calibrate: bool = False
    least_precision: float | None = None
    single_stages: bool = False
    max_train_documents: int | None = None
    convention: str | None = field(default=None, metadata={"choices": _CONVENTIONS})
    no_overlap: bool = False
    by_word_count: bool = False
    folds: bool = False
    hub_dataset_id: str | None = None
