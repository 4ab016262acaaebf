"""Training on the Trainer API: parameter groups, logged stage losses, and evaluation through docre_f1."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import evaluate
import torch
from accelerate.utils import gather_object
from torch.utils.data import DataLoader
from transformers import PreTrainedConfig, TrainerCallback
from transformers.trainer_utils import speed_metrics

from modeling_docre.annotations.docred import to_result_records
from modeling_docre.documents import Document
from modeling_docre.encoder import DocumentEncoder
from modeling_docre.encoder_code import is_remote
from modeling_docre.hub.files import full_disk_named, write_whole
from modeling_docre.hub.metric import metric_folder
from modeling_docre.hub.push_trainer import PushTrainer
from modeling_docre.letter_case import CasedEmbedding
from modeling_docre.modeling_docre import DocREPreTrainedModel
from modeling_docre.predictor import Predictor

from .arguments import DocRETrainingArguments
from .batch_sampler import TokenBatchSampler
from .optimizer import UncorrectedAdamW
from .phases import MemoryCallback, PhaseCallback, PhaseSchedule
from .sampling import TrainingExamples
from .sentences import split_entities
from .thresholds import cut_relations, fit_relation_thresholds, relation_grid
from .training_inputs import TrainingCollator

TARGETS = {"mention": "mention_f1", "coreference": "cluster_f1", "entity": "entity_f1", "relation": "relation_f1"}
"""The score that a model is selected by, by its last stage."""


class EpochCallback(TrainerCallback):
    """Tells the training examples which epoch's samples to draw, also when training resumes."""

    def on_epoch_begin(self, args, state, control, train_dataloader=None, **kwargs):
        """Draw the samples and batches of the epoch that begins."""
        epoch = int(state.epoch or 0)
        train_dataloader.dataset.set_epoch(epoch)
        if isinstance(train_dataloader.batch_sampler, TokenBatchSampler):
            train_dataloader.batch_sampler.set_epoch(epoch)


class DocRETrainer(PushTrainer):
    """Trainer of all systems.

    Args:
        model: the model.
        args: training arguments.
        train_dataset: training examples; may be absent for evaluation.
        eval_dataset: documents to evaluate on.
        processing_class: the encoder's tokenizer.
        train_facts: training documents or name triples, for Ign F1.
        score_options: further options of docre_f1's `compute`, for all scores.
        card_facts: what the model's card says beside its scores (see `CardFacts`), where it is pushed.
        **options: further options of `transformers.Trainer`.
    """

    # The Trainer's own state.
    optimizer: Any
    lr_scheduler: Any
    _created_lr_scheduler: bool
    control: Any

    def __init__(
        self,
        model: DocREPreTrainedModel,
        args: DocRETrainingArguments,
        train_dataset: TrainingExamples | None = None,
        eval_dataset: Sequence[Document] | None = None,
        train_facts: Sequence[Any] | None = None,
        score_options: Mapping[str, Any] | None = None,
        card_facts: Mapping[str, Any] | None = None,
        **options: Any,
    ):
        self.card_facts = dict(card_facts or {})
        if args.metric_for_best_model == "eval_relation_f1":
            args.metric_for_best_model = f"eval_{TARGETS[model.config.traits.stages[-1]]}"
        super().__init__(
            model, args, TrainingCollator(), train_dataset=train_dataset, eval_dataset=eval_dataset, **options
        )
        self.add_callback(EpochCallback())
        if model.config.traits.memory_levels is not None:
            self.add_callback(MemoryCallback(args.memory_warmup_ratio))
        self.train_facts, self.score_options = train_facts, dict(score_options or {})
        self.metric = evaluate.load(str(metric_folder()))
        self.fitted: dict[str, Any] = {}  # what was fitted after training, for the scores
        self.figures: dict[str, list[torch.Tensor]] = {}  # of the training steps since the last log

    def get_train_dataloader(self) -> DataLoader:
        """The training batches: so many documents, or with `train_max_tokens` so many subwords each.

        Raises:
            ValueError: several processes are to share batches by subwords.
        """
        if self.args.train_max_tokens is None or self.train_dataset is None:
            return super().get_train_dataloader()
        if self.args.world_size > 1:
            raise ValueError(
                "train_max_tokens makes batches of different sizes, which several processes cannot share evenly; leave "
                "it out, and choose per_device_train_batch_size"
            )
        lengths = [len(item.input_ids) for item in self.train_dataset.features]
        sampler = TokenBatchSampler(lengths, self.args.train_max_tokens, self.args.seed)
        loader = DataLoader(
            self.train_dataset,
            batch_sampler=sampler,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
            persistent_workers=self.args.dataloader_persistent_workers,
        )
        return self.accelerator.prepare(loader)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW over groups: encoder or head, with or without weight decay (none on biases and norms), by phase."""
        if self.optimizer is None:
            model = model or self.model
            encoders = [module for module in model.modules() if isinstance(module, DocumentEncoder)]
            encoded = {id(parameter) for encoder in encoders for parameter in encoder.parameters()}
            cased = [module for module in model.modules() if isinstance(module, CasedEmbedding)]
            encoded -= {id(table.cases.weight) for table in cased}  # as new as the heads
            decayed = set(self.get_decay_parameter_names(model))
            phases = self.model.phase_of_module
            rate, head_rate = self.args.learning_rate, self.args.head_learning_rate
            head_rate = rate if head_rate is None else head_rate
            groups: dict[tuple[str, bool, bool], dict[str, Any]] = {}
            for name, parameter in model.named_parameters():
                if parameter.requires_grad:
                    is_encoder, has_decay = id(parameter) in encoded, name in decayed
                    phase = phases.get(name.split(".")[0], "joint")
                    group = groups.setdefault((phase, is_encoder, has_decay), {"params": [], "phase": phase})
                    group["lr"] = rate if is_encoder else head_rate
                    group["weight_decay"] = self.args.weight_decay if has_decay else 0.0
                    group["params"].append(parameter)
            optimizer_class, options = self.get_optimizer_cls_and_kwargs(self.args, model)
            if not self.args.adam_bias_correction:
                optimizer_class = self._uncorrected(optimizer_class)
            self.optimizer = optimizer_class([groups[key] for key in sorted(groups)], **options)
        return self.optimizer

    def _uncorrected(self, optimizer_class: type) -> type:
        """The optimizer without bias correction.

        Raises:
            ValueError: it is not torch's AdamW.
        """
        if optimizer_class is not torch.optim.AdamW:
            raise ValueError(
                f"adam_bias_correction is False, which --optim {self.args.optim.value} cannot do; use adamw_torch"
            )
        return UncorrectedAdamW

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> Any:
        """The learning rates; of a model that is trained in turns each part's follows its own updates.

        Raises:
            ValueError: the kind of schedule cannot follow a part's own updates, or a ready-made one was given.
        """
        modules = dict(self.model.named_children())
        order = tuple(phase for name, phase in self.model.phase_of_module.items() if name in modules)
        if len(order) < 2:
            return super().create_scheduler(num_training_steps, optimizer)
        if self.lr_scheduler is not None and not self._created_lr_scheduler:
            raise ValueError(
                f"{type(self.model).__name__} is trained in turns, which a ready-made scheduler does not know; leave "
                "it out, and choose one by lr_scheduler_type"
            )
        if self.lr_scheduler is None:
            schedule = PhaseSchedule.of(self.args, len(self.get_train_dataloader()), num_training_steps, order)
            self.lr_scheduler = schedule.learning_rates(self.args, optimizer or self.optimizer)
            self._created_lr_scheduler = True
            self.pop_callback(PhaseCallback)  # that of an earlier training
            self.add_callback(PhaseCallback(schedule))
        return self.lr_scheduler

    def training_step(self, model, inputs, num_items_in_batch=None):
        """A backward pass for each phase of this update: one but for a warm-up that trains several parts."""
        inner, losses = self.accelerator.unwrap_model(model), []
        for phase in inner.phases:
            inner.phase = phase
            losses.append(super().training_step(model, inputs, num_items_in_batch))
            self._check_loss(losses[-1])
        return torch.stack(losses).sum()

    def _check_loss(self, loss: torch.Tensor) -> None:
        """Stop a training that diverges: from then on it would only make its weights useless.

        Raises:
            ValueError: the loss is not finite.
        """
        if loss.isfinite():
            return
        stages = {name: values[-1].item() for name, values in self.figures.items() if name.startswith("loss_")}
        wrong = {name: value for name, value in stages.items() if not math.isfinite(value)}
        name, value = next(iter(wrong.items()), ("loss", loss.item()))
        stage = f"the loss of the {name.removeprefix('loss_')} stage" if wrong else "the loss"
        raise ValueError(
            f"{stage} is {value} at update {self.state.global_step + 1}: the training diverges, and its model is not "
            f"saved; lower --learning_rate ({self.args.learning_rate:g}), or raise --warmup_steps"
        )

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """The model's loss; the stages' own losses and other figures of the step are kept for the log."""
        output = model(**inputs)
        losses = {f"loss_{stage}": loss for stage, loss in (output.losses or {}).items()}
        for name, value in {**losses, **(output.statistics or {})}.items():
            self.figures.setdefault(name, []).append(value.detach())
        return (output.loss, output) if return_outputs else output.loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with the mean loss of each stage since the last time: over its micro-batches, and over all processes."""
        if "loss" in logs:
            for name, values in self.figures.items():
                logs[name] = self.accelerator.reduce(torch.stack(values).mean(), "mean").item()
            self.figures = {}
        super().log(logs, start_time)

    def predict_documents(self, documents: Sequence[Document], **options: Any) -> list[Document]:
        """Predicted documents in input order; several processes share the work.

        Args:
            documents: the documents.
            **options: as for `Predictor.predict`.
        """
        rank, world = self.args.process_index, self.args.world_size
        predictor = Predictor(self.accelerator.unwrap_model(self.model), self.processing_class)
        mine = range(rank, len(documents), world)
        found = predictor.predict([documents[index] for index in mine], self.args.eval_max_tokens, **options)
        # Keyed by position, so that every document counts once, however they were dealt out.
        gathered = dict(gather_object(list(zip(mine, found, strict=True))))
        return [gathered[index] for index in range(len(documents))]

    def score(self, predictions: Sequence[Document], references: Sequence[Document], **options: Any) -> dict[str, Any]:
        """Scores of predicted documents by docre_f1; options as for its `compute`."""
        return self.scorer(references)(predictions, **options)

    def scorer(self, references: Sequence[Document]) -> Callable[..., dict[str, Any]]:
        """The function from predicted documents, and options of docre_f1, to their scores; reads the references once.

        For a system that reads sentences each mention is an entity, in the predictions and in the references.
        """
        config = self.model.config

        def compared(documents: Sequence[Document]) -> Sequence[Document]:
            if not config.traits.reads_sentences:
                return documents
            return [split_entities(document, config.symmetric_relations) for document in documents]

        gold = self.metric.read_references(compared(references))
        settings = {
            "train_facts": None if self.train_facts is None else self.metric.read_train_facts(self.train_facts),
            "entities_given": config.traits.entities_given,
            "symmetric_relations": config.symmetric_relations or None,  # None: those of the convention
        } | self.score_options

        def score(predictions: Sequence[Document], **options: Any) -> dict[str, Any]:
            return self.metric.compute_scores(compared(predictions), gold, **(settings | options))

        return score

    def evaluate(
        self,
        eval_dataset: Sequence[Document] | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Predict the evaluation documents, score, log and return the scores, each with the prefix.

        Thresholds that have to be fitted are fitted to these documents first.

        Raises:
            ValueError: there are no documents to evaluate.
        """
        references = self.eval_dataset if eval_dataset is None else eval_dataset
        if not references:
            raise ValueError("there are no documents to evaluate; give the trainer an eval_dataset, or evaluate one")
        started = time.time()
        training = self.model.training
        config, score = self.model.config, self.scorer(references)
        if config.traits.fits_thresholds:
            predictions = self.predict_documents(references, relation_threshold=relation_grid(config)[0])
            fit_relation_thresholds(config, score(predictions, ranking=True)["ranking"])
            predictions = cut_relations(config, predictions)
        else:
            predictions = self.predict_documents(references)
        scores = score(predictions)
        self.scored = self.state.global_step, scores
        self.model.train(training)
        metrics = {f"{metric_key_prefix}_{k}": value for k, value in scores.items() if not isinstance(value, Mapping)}
        metrics |= speed_metrics(metric_key_prefix, started, num_samples=len(references))
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Save a checkpoint, in full precision: from rounded weights a training would not go on as it was.

        Raises:
            ValueError: the weights are not finite.
            OSError: it cannot be written.
        """
        config = self.model.config
        self.accelerator.unwrap_model(self.model).check_finite(f"the model after update {self.state.global_step}")
        wanted, config.weights_dtype = config.weights_dtype, "float32"
        try:
            with full_disk_named(Path(self.args.output_dir)):
                super()._save_checkpoint(model, trial)
        finally:
            config.weights_dtype = wanted

    def _load_best_model(self) -> None:
        """Go back to the best checkpoint: its weights, and what training had set in the configuration by then."""
        super()._load_best_model()
        config = self.model.config
        trusted = is_remote(config.encoder_config)
        saved = type(config).from_pretrained(self.state.best_model_checkpoint, trust_remote_code=trusted)
        own = {item.name for item in fields(config)} - {item.name for item in fields(PreTrainedConfig)}
        for name in own - {"encoder_config", "weights_dtype"}:
            setattr(config, name, getattr(saved, name))

    def save_predictions(self, predictions: Sequence[Document], scores: Mapping[str, Any], folder: str | Path) -> None:
        """Write predicted documents and their scores to `predictions.json` and `scores.json`.

        Relations between given entities are also written as `result.json`, the form of DocRED's CodaLab competition.
        """
        if self.is_world_process_zero():
            files = {
                "predictions.json": json.dumps([item.to_dict() for item in predictions], ensure_ascii=False, indent=1),
                "scores.json": json.dumps(scores, indent=1),
            }
            if self.model.config.traits.entities_given:
                files["result.json"] = json.dumps(to_result_records(predictions))
            for name, content in files.items():
                write_whole(Path(folder) / name, content + "\n")
