"""The contenders: the systems and their bare encoders, with equal weights, batches and optimisers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoTokenizer, BertConfig, BertModel, PreTrainedModel, PreTrainedTokenizerBase

from modeling_docre import SYSTEMS, DocREPreTrainedModel, Document, Predictor
from modeling_docre.encoder import DocumentEncoder
from modeling_docre.features import Features, Featurizer
from modeling_docre.hub.encoders import encoder_folder
from modeling_docre.predictor import to_device
from modeling_docre.training.arguments import SamplingArguments
from modeling_docre.training.sampling import training_example
from modeling_docre.training.training_inputs import TrainingCollator

BARE, BARE_MARKED, BARE_SENTENCES = "bare encoder", "bare encoder, marked text", "bare encoder, sentence by sentence"
BARE_DELIMITED = "bare encoder, text between start and end tokens"
ENCODERS = ("bert-base", "minilm")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Entry:
    """A system in the comparison.

    Args:
        system: its name among `SYSTEMS`.
        options: options of its configuration.
        reference: name of the bare encoder that reads the same text.
        on_request: whether it is compared only if it is named.
    """

    system: str
    options: dict[str, Any]
    reference: str
    on_request: bool = False


JEREX = {"multi_instance": "JEREX multi-instance", "global": "JEREX global"}
MEMORY_JEREX, ATLOP, KMGRE, SPERT, JOINT = "memory-enhanced JEREX", "ATLOP", "KMGRE", "SpERT", "joint"
SHARED_KMGRE = "KMGRE with a shared encoder"
ENTRIES = {name: Entry("jerex", {"relation_head": head}, BARE) for head, name in JEREX.items()}
ENTRIES[MEMORY_JEREX] = Entry("memory_jerex", {}, BARE)
ENTRIES[ATLOP] = Entry("atlop", {}, BARE_MARKED)
# After this many updates key mention pairs are selected.
ENTRIES[KMGRE] = Entry("kmgre", {"expectation_updates": 1000}, BARE_MARKED)
ENTRIES[SHARED_KMGRE] = Entry("kmgre", {"expectation_updates": 1000, "shared_encoder": True}, BARE_MARKED, True)
ENTRIES[SPERT] = Entry("spert", {}, BARE_SENTENCES)
ENTRIES[JOINT] = Entry("joint", {}, BARE_DELIMITED)
USUAL = tuple(name for name, entry in ENTRIES.items() if not entry.on_request)


def reference_of(name: str) -> str:
    """The bare encoder that a contender is compared with; a bare encoder is its own."""
    return ENTRIES[name].reference if name in ENTRIES else name


@dataclass(frozen=True)
class Decisions:
    """The values by which a system decides instead of its configuration's.

    Args:
        thresholds: values by name of the configuration's option.
        mention_shifts: the number added to a document's mention logits, by document id.
    """

    thresholds: dict[str, float] = field(default_factory=dict)
    mention_shifts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """Everything that a process needs to build a contender.

    Args:
        encoder: one of `ENCODERS`; with a checkpoint, the name that the report shows.
        checkpoint: folder of a trained model, measured instead of random heads.
        labels: `entity_types` and `relation_types` for random heads.
        systems: names of the systems that are compared, without a checkpoint.
        device: device of the model.
        dtype: type of weights and computation, one of `DTYPES`.
        threads: threads of torch on the CPU.
    """

    encoder: str
    checkpoint: str | None = None
    labels: dict[str, Any] = field(default_factory=dict)
    systems: tuple[str, ...] = USUAL
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1

    @property
    def contenders(self) -> list[str]:
        """Names of the contenders, each bare encoder before the first system that is compared with it."""
        names = self.systems if self.checkpoint is None else (self._checkpoint_name(self.checkpoint),)
        return list(dict.fromkeys(name for system in names for name in (reference_of(system), system)))

    def _checkpoint_name(self, folder: str) -> str:
        config: Any = AutoConfig.from_pretrained(folder)
        own = {"docre-atlop": ATLOP, "docre-kmgre": KMGRE, "docre-memory-jerex": MEMORY_JEREX, "docre-spert": SPERT}
        own["docre-joint"] = JOINT
        if name := own.get(config.model_type):
            return name
        if len(config.traits.stages) < len(("mention", "coreference", "entity", "relation")):
            raise ValueError(f'{folder} has task="{config.task}"; give a checkpoint with all four stages')
        return JEREX[config.relation_head]

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The checkpoint's tokenizer, else MiniLM's, whose vocabulary has the size of BERT's."""
        return AutoTokenizer.from_pretrained(self.checkpoint or encoder_folder("offline"))

    def new_encoder(self) -> str | PreTrainedModel:
        """BERT-base with random weights, or MiniLM's folder."""
        return BertModel(BertConfig()) if self.encoder == "bert-base" else encoder_folder("offline")

    def build(self, name: str) -> Contender:
        """One of `contenders`, on the device; the same weights in every process.

        A bare encoder is the encoder of a system that is built and thrown away (the first one of a pipeline model).
        """
        torch.manual_seed(0)
        system = next(key for key in ENTRIES if name in (key, ENTRIES[key].reference))
        model_class = SYSTEMS[ENTRIES[system].system]
        if self.checkpoint is not None:
            model = model_class.from_pretrained(self.checkpoint)
        else:
            model = model_class.from_encoder(self.new_encoder(), **ENTRIES[system].options, **self.labels)
        model = model.to(self.device, DTYPES[self.dtype])
        predictor = Predictor(model, self.tokenizer)
        if name not in ENTRIES:
            encoder = next(module for module in model.modules() if isinstance(module, DocumentEncoder))
            return Contender(name, encoder, predictor.featurizer)
        kinds = {"atlop": SystemContender, "kmgre": KmgreContender, "spert": SpertContender}
        return kinds.get(ENTRIES[name].system, JerexContender)(name, model, predictor)


class Contender:
    """A bare encoder: it computes hidden states at inference; in training the loss is the mean of its output.

    Args:
        name: name in the report.
        module: the module that is run and trained.
        featurizer: turns documents into the module's input.
    """

    def __init__(self, name: str, module: nn.Module, featurizer: Featurizer):
        self.name, self.module, self.featurizer = name, module, featurizer
        self.device = next(module.parameters()).device
        self.optimizer = torch.optim.AdamW(module.parameters(), lr=1e-5, fused=True)

    def prepare(self, batches: Sequence[Sequence[Document]]) -> list[list[Features]]:
        """Batches of documents, tokenised."""
        return [self.featurizer(batch) for batch in batches]

    def decide_by(self, decisions: Decisions) -> None:
        """Decide by these from now on (an encoder decides nothing)."""

    @torch.inference_mode()
    def infer(self, batch: Sequence[Features]) -> Any:
        """The result for one batch of tokenised documents."""
        self.module.eval()
        return self.module(*self._input(batch)).hidden

    def train(self, batch: Sequence[Features]) -> None:
        """One training step: forward, backward, gradient clipping and the optimiser's update of all parameters."""
        self.module.train()
        self.loss(batch).backward()
        self.update()

    def loss(self, batch: Sequence[Features]) -> Tensor:
        """The loss of one batch."""
        return self.module(*self._input(batch)).hidden.float().mean()

    def update(self) -> None:
        """Clip the gradients, update the parameters and drop the gradients."""
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _input(self, batch: Sequence[Features]) -> list[Tensor]:
        ids = torch.from_numpy(np.concatenate([item.input_ids for item in batch]))
        lengths = torch.from_numpy(np.concatenate([item.text_lengths for item in batch]))
        return [value.to(self.device) for value in (ids, lengths, torch.tensor(batch[0].special_lengths))]


class SystemContender(Contender):
    """A system: from tokenised documents to predicted documents; in training with its paper's samples."""

    def __init__(self, name: str, model: DocREPreTrainedModel, predictor: Predictor):
        super().__init__(name, model, predictor.featurizer)
        self.model, self.predictor, self.config = model, predictor, model.config
        names = {item.name for item in fields(SamplingArguments)}
        self.sampling = SamplingArguments(**{key: v for key, v in model.training_defaults.items() if key in names})

    @property
    def encoders(self) -> list[DocumentEncoder]:
        """The model's encoders."""
        return [module for module in self.model.modules() if isinstance(module, DocumentEncoder)]

    def decide_by(self, decisions: Decisions) -> None:
        """Decide by these from now on."""
        for name, value in decisions.thresholds.items():
            setattr(self.config, name, value)

    def infer(self, batch: Sequence[Features]) -> Any:
        """Predicted documents of one batch."""
        return self.predictor.predict_batch(batch)

    def run(self, batch: Sequence[Features]) -> tuple[Any, Mapping[str, Any]]:
        """The model's raw output for one batch, and the batch's spans."""
        return self.predictor.run(batch)

    def loss(self, batch: Sequence[Features]) -> Tensor:
        """The weighted loss of all stages on sampled candidates."""
        return self.model(**to_device(self.training_batch(batch), self.device)).loss

    def training_batch(self, batch: Sequence[Features]) -> dict[str, Any]:
        """Gold annotation and sampled negatives as tensors; the same draw each time."""
        generator = np.random.default_rng(0)
        examples = [training_example(item, self.config, self.sampling, generator) for item in batch]
        return TrainingCollator()(examples)


class KmgreContender(SystemContender):
    """KMGRE, whose training step is a round: an E-step and an M-step."""

    def train(self, batch: Sequence[Features]) -> None:
        """One update of each of the two networks."""
        for phase in ("expectation", "maximization"):
            self.model.phase = phase
            super().train(batch)


class FindingContender(SystemContender):
    """A system that finds mentions, whose scores can be shifted document by document."""

    def __init__(self, name: str, model: Any, predictor: Predictor):
        super().__init__(name, model, predictor)
        self.decisions = Decisions()
        self.document_shifts = self.span_shifts = torch.zeros(0)
        model.register_forward_pre_hook(self._spread_shifts, with_kwargs=True)

    def mention_logits(self, output: Any) -> Tensor:
        """The logit of each span being a mention, [spans]."""
        return output.mention_logits

    def decide_by(self, decisions: Decisions) -> None:
        """Decide by these from now on."""
        super().decide_by(decisions)
        self.decisions = decisions

    def infer(self, batch: Sequence[Features]) -> Any:
        """Predicted documents of one batch."""
        self._prepare_shifts(batch)
        return super().infer(batch)

    def run(self, batch: Sequence[Features]) -> tuple[Any, Mapping[str, Any]]:
        """The model's raw output for one batch, and the batch's spans."""
        self._prepare_shifts(batch)
        return super().run(batch)

    def _prepare_shifts(self, batch: Sequence[Features]) -> None:
        shifts = [self.decisions.mention_shifts.get(item.document.id, 0.0) for item in batch]
        self.document_shifts = torch.tensor(shifts, device=self.device)

    def _spread_shifts(self, module: nn.Module, arguments: Any, options: dict[str, Any]) -> None:
        if not module.training:
            self.span_shifts = self.document_shifts[options["spans"]["document"]]  # [spans]


class JerexContender(FindingContender):
    """JEREX, or joint, with its mention classifier."""

    def __init__(self, name: str, model: Any, predictor: Predictor):
        super().__init__(name, model, predictor)
        model.mention_classifier.register_forward_hook(self._shift_mentions)

    def _shift_mentions(self, module: nn.Module, arguments: Any, logits: Tensor) -> Tensor | None:
        return None if module.training else logits.float() + self.span_shifts


class SpertContender(FindingContender):
    """SpERT, whose shifts are subtracted from the logit of "no entity"."""

    def __init__(self, name: str, model: Any, predictor: Predictor):
        super().__init__(name, model, predictor)
        self._classify, model._classify_spans = model._classify_spans, self._classify_shifted

    def mention_logits(self, output: Any) -> Tensor:
        """The logit of each span's best type minus that of "no entity", [spans]."""
        return output.span_logits[:, 1:].max(1).values - output.span_logits[:, 0]

    def _classify_shifted(self, *arguments: Any) -> Tensor:
        logits = self._classify(*arguments)
        if self.model.training:
            return logits
        return torch.cat([logits[:, :1] - self.span_shifts[:, None], logits[:, 1:]], dim=1)
