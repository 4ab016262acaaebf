"""What all models share: construction from a pre-trained encoder, initialisation, and the output they return."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from huggingface_hub import CommitInfo
from torch import Tensor, nn
from transformers import Pipeline, PreTrainedModel
from transformers import initialization as init
from transformers.dynamic_module_utils import custom_object_save
from transformers.utils import ModelOutput

from .candidates import Entities
from .configuration_docre import DocREConfig
from .encoder import DocumentEncoder
from .encoder_code import save_code, trusting
from .encoder_onnx import EXPORTED, TORCH_WEIGHTS, OnnxEncoder, using_backend

_HUB_OPTIONS = frozenset(["repo_id", "commit_message", "private", "create_pr", "revision", "tags"])


@dataclass
class DocREOutput(ModelOutput):
    """Scores and decisions of a model for a batch, flat; what a stage did not do is None.

    Args:
        loss: weighted sum of the stages' losses, where labels were given.
        losses: the stages' own losses by name.
        statistics: further figures of a training step by name, scalars that the trainer logs as means.
        mention_logits: [spans].
        mentions: [mentions] int64, the spans that coreference worked on.
        coreference_logits: [mention pairs]; at inference those of `coreference_pairs`.
        entity_members, entity_sizes, entity_documents: the entities (see `Entities`).
        entity_linkage_scores: [entities], the lowest score of the mention pairs of each, 1 for a single mention.
        span_logits: [spans, 1 + entity types], that of no entity first.
        entity_type_logits: [entities, entity types], or [entities, entity types + 1] with that of no entity last.
        entity_types: [entities] int64, gold or decided; -1 for a span that is related and no entity.
        pairs: [pairs, 2] int64 entity indices.
        relation_logits: [pairs, relation types]; for an adaptive threshold what they exceed it by.
        mention_pair_owner, mention_pair_head, mention_pair_tail: the entity pairs and positions of `MentionPairs`.
        mention_pair_weight: [mention pairs], its part in the entity pair's vector, or [mention pairs, relation types],
            its part in the logit of each type.
        mention_pair_logits: [mention pairs, relation types]; for an adaptive threshold what they exceed it by.
        mention_pair_key_logits: [mention pairs], of being key.
        evidence_pair, evidence_sentence: [items] int64, entity pairs, ascending, and sentences that carried them.
        evidence_weight: [items], the sentence's part in what carried the pair.
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    statistics: dict[str, Tensor] | None = None
    mention_logits: Tensor | None = None
    mentions: Tensor | None = None
    coreference_logits: Tensor | None = None
    span_logits: Tensor | None = None
    entity_members: Tensor | None = None
    entity_sizes: Tensor | None = None
    entity_documents: Tensor | None = None
    entity_linkage_scores: Tensor | None = None
    entity_type_logits: Tensor | None = None
    entity_types: Tensor | None = None
    pairs: Tensor | None = None
    relation_logits: Tensor | None = None
    mention_pair_owner: Tensor | None = None
    mention_pair_head: Tensor | None = None
    mention_pair_tail: Tensor | None = None
    mention_pair_weight: Tensor | None = None
    mention_pair_logits: Tensor | None = None
    mention_pair_key_logits: Tensor | None = None
    evidence_pair: Tensor | None = None
    evidence_sentence: Tensor | None = None
    evidence_weight: Tensor | None = None


def entity_fields(entities: Entities) -> dict[str, Tensor]:
    """Entities as fields of the output."""
    return {f"entity_{name}": values for name, values in zip(("members", "sizes", "documents"), entities, strict=True)}


class DocREPreTrainedModel(PreTrainedModel):
    """Base class of all systems.

    `from_encoder` starts a model from a pre-trained text encoder, `from_pretrained` loads a trained one. A system's
    `training_defaults` are its paper's training arguments where they differ from those of `DocRETrainingArguments`;
    `mixed_precision` tells whether the paper trains in half precision where the device has it.
    `title` is the system's name for people and `citation` its paper as BibTeX; the model card shows both.

    A system whose parts are trained in turns names the phase that trains each of its modules in `phase_of_module`, in
    the order of the turns; `phases` are those of the present update, `phase` is the one whose loss `forward` returns.

    A saved model carries the code of `pipeline_class`, so that its folder or repository serves as a pipeline once it
    has a tokenizer; `hub_push` pushes it with its card, `hub_start` builds a new model. The package sets all three.
    Without it, a model knows its pipeline from the one that it is part of, and is pushed as any other of transformers.
    """

    pipeline_class: type[Pipeline] | None = None
    hub_push: ClassVar[Callable[..., CommitInfo] | None] = None
    hub_start: ClassVar[Callable[..., Any] | None] = None

    title: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    training_defaults: ClassVar[dict[str, Any]] = {}
    mixed_precision: ClassVar[bool] = False
    phase_of_module: ClassVar[dict[str, str]] = {}
    phases: tuple[str, ...] = ("joint",)
    phase = "joint"

    evidence_share: float = 0.5
    """The share of a pair's context that its evidence sentences exceed; with 1 each sentence has its weight."""

    config_class = DocREConfig
    base_model_prefix = "docre"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def require_labels(self, *names: str) -> None:
        """Refuse a configuration with an empty list of labels among those of `names`."""
        for name in names:
            if not getattr(self.config, name):
                raise ValueError(f"the configuration's {name} is empty; give the list of labels to predict")

    def weigh(self, losses: dict[str, Tensor]) -> dict[str, Any]:
        """The losses, and their sum weighted as the configuration says: with 1 where it has no such weight."""
        if not losses:
            return {}
        loss = sum(getattr(self.config, f"{name}_weight", 1.0) * value for name, value in losses.items())
        return {"loss": loss, "losses": losses}

    def new_encoder(self, kind: type[DocumentEncoder] = DocumentEncoder) -> DocumentEncoder:
        """An encoder of a kind for this model's configuration, with random weights.

        Raises:
            ValueError: the configuration promises more positions than the encoder's table has.
        """
        config, rows = self.config, self.config.encoder_positions
        if config.long_input == "extend" and rows is not None and rows < config.extended_positions:
            fix = f"it is enlarged when a model is built by from_encoder, so give {rows}, or build a new model"
            wanted = config.extended_positions
            raise ValueError(f"extended_positions is {wanted}, and the encoder's table has {rows} positions; {fix}")
        encoder = kind(config)
        if isinstance(encoder.model, OnnxEncoder):
            self._keys_to_ignore_on_load_unexpected = [TORCH_WEIGHTS]
        return encoder

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        std = getattr(self.config.encoder_config, "initializer_range", None) or 0.02
        if isinstance(module, nn.Linear | nn.Embedding):
            init.normal_(module.weight, mean=0.0, std=std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            init.zeros_(module.bias)

    @classmethod
    def from_encoder(
        cls, encoder: str | PreTrainedModel, trust_remote_code: bool | None = None, **config: Any
    ) -> DocREPreTrainedModel:
        """A model with a pre-trained encoder and new heads, in float32 and evaluation mode.

        Args:
            encoder: name or folder of a text encoder (a checkpoint with another head on it serves too), or the encoder.
            trust_remote_code: whether an encoder that is named may run code of its own, which is saved with the model.
            **config: options of the model's configuration, at least its label lists.

        Raises:
            ValueError: an option is unknown, or the encoder cannot do what `long_input` asks.
            ImportError: the package is not installed.
        """
        if cls.hub_start is None:
            raise ImportError("a checkpoint takes no code along that builds new models; `pip install modeling-docre`")
        return cls.hub_start(cls, encoder, trust_remote_code, config)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike | None,
        *arguments: Any,
        trust_remote_code: bool | None = None,
        backend: str = "torch",
        **options: Any,
    ) -> Any:
        """A trained model from a folder or repository.

        An encoder may run its own code with `trust_remote_code`. With `backend="onnx"` or `"onnx-int8"` it runs in ONNX
        Runtime, from a file that `docre export` has written beside the weights, of which only the rest is read.

        Raises:
            ValueError: a weight is not finite, or there is no such backend.
            ImportError, FileNotFoundError: ONNX Runtime is not installed, or the encoder has not been exported.
        """
        with trusting(trust_remote_code), using_backend(backend, pretrained_model_name_or_path, options):
            loaded = super().from_pretrained(pretrained_model_name_or_path, *arguments, **options)
        model = loaded[0] if isinstance(loaded, tuple) else loaded  # with `output_loading_info` there are two
        model.check_finite(str(pretrained_model_name_or_path))
        return loaded

    @torch.no_grad()
    def check_finite(self, name: str) -> None:
        """Refuse weights of the model `name` that are not finite, which training leaves when it diverges."""
        for key, value in self.named_parameters():
            # A sum takes one pass and no memory; where it overflows, the values decide.
            if not value.is_meta and not value.sum().isfinite() and not value.isfinite().all():
                raise ValueError(f"{key} of {name} is not finite, so its training has diverged; train it anew")

    def save_pretrained(
        self, save_directory: str | os.PathLike, is_main_process: bool = True, push_to_hub: bool = False, **options: Any
    ) -> None:
        """Save weights, configuration, and the code of model and pipeline; options as for other models.

        With `push_to_hub` the model is pushed, too, to `repo_id` or a repository of the folder's name. Encoders that
        `docre export` has written into the folder are removed: they may be those of other weights.

        Raises:
            ValueError: the encoder runs in ONNX Runtime, so that its weights are not here.
        """
        if any(isinstance(module, OnnxEncoder) for module in self.modules()):
            raise ValueError("the weights of an encoder in ONNX Runtime are not loaded; load without `backend` to save")
        for_hub = {name: options.pop(name) for name in _HUB_OPTIONS & set(options)} | {"token": options.get("token")}
        if self.config.weights_dtype == "float16":
            weights = options.get("state_dict") or self.state_dict()
            halved = {name: value.half() for name, value in weights.items() if value.is_floating_point()}
            options["state_dict"] = {**weights, **halved}
        with _pipeline_stated(self.config, self.pipeline_class):
            super().save_pretrained(save_directory, is_main_process=is_main_process, **options)
        for exported in Path(save_directory).glob(EXPORTED) if is_main_process else ():
            exported.unlink()
        if self.pipeline_class and is_main_process:
            custom_object_save(self.pipeline_class, save_directory)
        for module in self.modules() if is_main_process else ():
            if isinstance(module, DocumentEncoder):
                save_code(module.model, save_directory)
        if push_to_hub and is_main_process:
            self.push_to_hub(for_hub.pop("repo_id", os.path.basename(os.path.normpath(save_directory))), **for_hub)

    def push_to_hub(self, repo_id: str, **options: Any) -> CommitInfo:
        """Push weights, configuration, code, card and licence as one commit; options as for `hub.push.push_model`."""
        push = type(self).hub_push
        return push(self, repo_id, **options) if push else super().push_to_hub(repo_id, **options)


@contextmanager
def _pipeline_stated(config: DocREConfig, pipeline_class: type[Pipeline] | None) -> Iterator[None]:
    """The configuration names the pipeline whose code is saved beside it, or none, until the block ends."""
    options: dict[str, Any] = config.__dict__
    before = options.pop("custom_pipelines", None)
    if pipeline_class is not None and (registered := getattr(pipeline_class, "_registered_impl", {})):
        place = f"{pipeline_class.__module__.rpartition('.')[2]}.{pipeline_class.__name__}"
        options["custom_pipelines"] = {
            task: {"type": known["type"], "impl": place, "pt": [auto_class.__name__ for auto_class in known["pt"]]}
            for task, known in registered.items()
        }
    try:
        yield
    finally:
        options.pop("custom_pipelines", None)
        if before is not None:
            options["custom_pipelines"] = before


DocREPreTrainedModel.register_for_auto_class("AutoModel")
