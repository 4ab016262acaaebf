"""Documents in, predicted documents out: batches by tokens, sorted by length, results in input order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Literal

import torch
from transformers import PreTrainedTokenizerBase

from .configuration_limits import check_signatures
from .data_collator import DocRECollator
from .decoding import Signatures, decode
from .document_parsing import is_position, is_share
from .documents import Document
from .features import Features, Featurizer
from .model_inputs import Example, candidate_example, given_example
from .modeling_docre import DocREPreTrainedModel
from .segments import token_batches


def to_device(values: Any, device: torch.device) -> Any:
    """Tensors inside nested dicts moved to a device; everything else as it is."""
    if isinstance(values, torch.Tensor):
        return values.to(device, non_blocking=True)
    if isinstance(values, Mapping):
        return {name: to_device(item, device) for name, item in values.items()}
    return values


def _known(given: str | None) -> str | None:
    """What is given, if there is such a thing."""
    if given not in (None, "entities", "clusters", "mentions"):
        raise ValueError(f'given is {given!r}; give "entities", "clusters", "mentions" or None')
    return given


class Predictor:
    """A model of any system with its encoder's tokenizer, applied to documents.

    What is `given` of the documents is as in `Traits`; by default what the model needs.
    """

    def __init__(self, model: DocREPreTrainedModel, tokenizer: PreTrainedTokenizerBase, given: str | None = None):
        self.model, self.config = model, model.config
        self.featurizer = Featurizer(tokenizer, model.config)
        self.collator = DocRECollator()
        self.given = _known(given) or model.config.traits.given
        self._obeyed: tuple[Sequence[Sequence[str]], Signatures] | None = None

    def example(self, features: Features, given: str | None = None) -> Example:
        """What the model is asked about a document."""
        if given := given or self.given:
            return given_example(features, self.config, self.featurizer, given)
        return candidate_example(features, self.config, self.featurizer)

    def signatures(self, triples: Sequence[Sequence[str]] | Literal["stored"] | None = "stored") -> Signatures | None:
        """The signatures that decisions obey: these triples, those of the configuration, or none.

        A relation type may also go by its readable label.

        Raises:
            ValueError: a triple is none, or names a type that the model does not know.
        """
        triples = self.config.signatures if isinstance(triples, str) and triples == "stored" else triples
        if triples is None:
            return None
        if self._obeyed is None or self._obeyed[0] != triples:  # to check hundreds of them for each batch takes time
            names = [*self.config.relation_types, *self.config.relation_labels.values()]
            check_signatures(triples, names, self.config.entity_types)
            typed = [(kind, *ends) for name, *ends in triples for kind in self.config.types_named(name)]
            known = self.config.entity_types or sorted({name for _, *ends in triples for name in ends})
            self._obeyed = deepcopy(triples), Signatures(typed, known, self.config.relation_types)
        return self._obeyed[1]

    @torch.inference_mode()
    def run(
        self, features: Sequence[Features], given: str | None = None, signatures: Signatures | None = None
    ) -> tuple[Any, Mapping[str, Any]]:
        """The model's raw output for a batch of documents, and the batch's spans."""
        batch = self.collator([self.example(item, given) for item in features])
        if signatures is not None and self.config.traits.typed_pairs:
            batch["allowed_types"] = torch.from_numpy(signatures.allowed[:-1, :-1])
        if self.model.training:  # to go through the modules takes time
            self.model.eval()
        return self.model(**to_device(batch, self.model.device)), batch["spans"]

    def predict_batch(
        self,
        features: Sequence[Features],
        given: str | None = None,
        relation_threshold: float | str | None = None,
        signatures: Sequence[Sequence[str]] | Literal["stored"] | None = "stored",
    ) -> list[Document]:
        """Predicted documents of one batch; arguments in place of what the configuration holds.

        Raises:
            ValueError: an argument has no such value.
        """
        given, obeyed = _known(given) or self.given, self.signatures(signatures)
        least = self.config.named_threshold(relation_threshold)
        if not (least is None or is_share(least)):
            raise ValueError(f"relation_threshold is {least!r}; give a number from 0 to 1")
        output, spans = self.run(features, given, obeyed)
        documents = [item.document for item in features]
        return decode(output, spans, documents, self.config, given, least, obeyed)

    def batches(self, features: Sequence[Features], max_tokens: int | None = None) -> Iterator[list[int]]:
        """Positions of documents that share a batch (`token_batches`), by default of as many subwords as is fastest.

        Raises:
            ValueError: `max_tokens` is no whole number from 1 on.
        """
        if max_tokens is not None and not (is_position(max_tokens) and max_tokens > 0):
            raise ValueError(f"max_tokens is {max_tokens!r}; give a whole number from 1 on, or None")
        fastest = 512 if self.model.device.type == "cpu" else 2048  # 512 is most often one document
        return token_batches([len(item.input_ids) for item in features], max_tokens or fastest)

    def predict(
        self, documents: Sequence[Document | Mapping[str, Any]], max_tokens: int | None = None, **options: Any
    ) -> list[Document]:
        """Predicted documents, in the order of the input; at most `max_tokens` subwords per batch, padding included."""
        features = self.featurizer(documents)
        predictions: dict[int, Document] = {}
        for batch in self.batches(features, max_tokens):
            predictions |= zip(batch, self.predict_batch([features[n] for n in batch], **options), strict=True)
        return [predictions[position] for position in range(len(features))]
