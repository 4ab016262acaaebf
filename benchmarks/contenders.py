"""What is compared: JEREX and its bare encoder, with equal weights, equal batches and the same optimiser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, BertConfig, BertModel, PreTrainedModel, PreTrainedTokenizerBase

from modeling_docre import JerexConfig, JerexModel, Predictor
from modeling_docre.features import Features
from modeling_docre.inference import to_device
from modeling_docre.offline_encoder import offline_encoder
from modeling_docre.sampling import SamplingArguments, training_example

BARE = "bare encoder"
JEREX = {"multi_instance": "JEREX multi-instance", "global": "JEREX global"}
ENCODERS = ("bert-base", "minilm")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Decisions:
    """What a JEREX decides by instead of its configuration's own values.

    Args:
        thresholds: values by name of the configuration's option.
        mention_shifts: by document id, what is added to its mention logits.
    """

    thresholds: dict[str, float] = field(default_factory=dict)
    mention_shifts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """All that a process needs to build a contender.

    Args:
        encoder: one of `ENCODERS`; with a checkpoint, the name that the report shows.
        checkpoint: folder of a trained JEREX, measured instead of random heads.
        labels: `entity_types` and `relation_types` for random heads.
        device: device of the model.
        dtype: type of weights and computation, one of `DTYPES`.
        threads: threads of torch on the CPU.
    """

    encoder: str
    checkpoint: str | None = None
    labels: dict[str, list[str]] = field(default_factory=dict)
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1

    @property
    def contenders(self) -> list[str]:
        """Names of what is compared, the bare encoder first."""
        if self.checkpoint is None:
            return [BARE, *JEREX.values()]
        config = JerexConfig.from_pretrained(self.checkpoint)
        if len(config.stages) < len(("mention", "coreference", "entity", "relation")):
            raise ValueError(f'{self.checkpoint} has task="{config.task}"; give a checkpoint with all four stages')
        return [BARE, JEREX[config.relation_head]]

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The checkpoint's tokenizer, else MiniLM's, whose vocabulary has the size of BERT's."""
        return AutoTokenizer.from_pretrained(self.checkpoint or offline_encoder())

    def new_encoder(self) -> str | PreTrainedModel:
        """BERT-base with random weights, or MiniLM's folder."""
        return BertModel(BertConfig()) if self.encoder == "bert-base" else offline_encoder()

    def build(self, name: str) -> Contender:
        """One of `contenders`, on the device; the same weights in every process.

        The bare encoder is the encoder of a JEREX that is built and thrown away (the first one of a pipeline model).
        """
        torch.manual_seed(0)
        if self.checkpoint is not None:
            model = JerexModel.from_pretrained(self.checkpoint)
        else:
            head = next((head for head, known in JEREX.items() if known == name), "global")
            model = JerexModel.from_encoder(self.new_encoder(), relation_head=head, **self.labels)
        model = model.to(self.device, DTYPES[self.dtype])
        if name == BARE:
            return Contender(name, model.encoders[0])
        return JerexContender(name, model, Predictor(model, self.tokenizer))


class Contender:
    """An encoder alone: hidden states at inference; in training the mean of its output is the loss.

    Args:
        name: name in the report.
        module: what is run and trained.
    """

    def __init__(self, name: str, module: nn.Module):
        self.name, self.module = name, module
        self.device = next(module.parameters()).device
        self.optimizer = torch.optim.AdamW(module.parameters(), lr=1e-5, fused=True)

    def decide_by(self, decisions: Decisions) -> None:
        """Decide by these from now on (an encoder decides nothing)."""

    @torch.inference_mode()
    def infer(self, batch: Sequence[Features]) -> Any:
        """The result for one batch of tokenised documents."""
        self.module.eval()
        return self.module(*self._input(batch))

    def train(self, batch: Sequence[Features]) -> None:
        """One training step: forward, backward, gradient clipping and the optimiser's update of all parameters."""
        self.module.train()
        self.loss(batch).backward()
        self.update()

    def loss(self, batch: Sequence[Features]) -> Tensor:
        """The loss of one batch."""
        return self.module(*self._input(batch)).float().mean()

    def update(self) -> None:
        """Clip the gradients, update the parameters and drop the gradients."""
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _input(self, batch: Sequence[Features]) -> tuple[Tensor, Tensor]:
        ids = torch.from_numpy(np.concatenate([item.input_ids for item in batch]))
        lengths = torch.tensor([len(item.input_ids) for item in batch])
        return ids.to(self.device), lengths.to(self.device)


class JerexContender(Contender):
    """JEREX: from tokenised documents to predicted documents; in training with the paper's sampled negatives."""

    def __init__(self, name: str, model: JerexModel, predictor: Predictor):
        super().__init__(name, model)
        self.model, self.predictor, self.config = model, predictor, model.config
        self.sampling = SamplingArguments()
        self.decisions = Decisions()
        self._document_shifts = self._span_shifts = torch.zeros(0)
        model.register_forward_pre_hook(self._spread_shifts, with_kwargs=True)
        cast(nn.Module, model.mention_classifier).register_forward_hook(self._shift_mentions)

    def decide_by(self, decisions: Decisions) -> None:
        """Decide by these from now on; what they do not name stays as it is."""
        self.decisions = decisions
        for name, value in decisions.thresholds.items():
            setattr(self.config, name, value)

    def infer(self, batch: Sequence[Features]) -> Any:
        """Predicted documents of one batch."""
        self._prepare_shifts(batch)
        return self.predictor.predict_batch(batch)

    def run(self, batch: Sequence[Features]) -> tuple[Any, Mapping[str, Any]]:
        """The model's raw output for one batch, and the batch's spans."""
        self._prepare_shifts(batch)
        return self.predictor.run(batch)

    def _prepare_shifts(self, batch: Sequence[Features]) -> None:
        shifts = [self.decisions.mention_shifts.get(item.document.id, 0.0) for item in batch]
        self._document_shifts = torch.tensor(shifts, device=self.device)

    def _spread_shifts(self, module: nn.Module, arguments: Any, options: dict[str, Any]) -> None:
        if not module.training:
            self._span_shifts = self._document_shifts[options["spans"]["document"]]  # [spans]

    def _shift_mentions(self, module: nn.Module, arguments: Any, logits: Tensor) -> Tensor | None:
        return None if module.training else logits.float() + self._span_shifts

    def loss(self, batch: Sequence[Features]) -> Tensor:
        """The weighted loss of all stages on sampled candidates."""
        return self.model(**to_device(self.training_batch(batch), self.device)).loss

    def training_batch(self, batch: Sequence[Features]) -> dict[str, Any]:
        """Gold annotation and sampled negatives as tensors; the same draw each time."""
        generator = np.random.default_rng(0)
        examples = [training_example(item, self.config, self.sampling, generator) for item in batch]
        return self.predictor.collator(examples)
