"""What a training starts from: the weights of a model, or the mean of several; which types it knows, and which join."""

from __future__ import annotations

import copy
import logging
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

from modeling_docre.configuration_limits import closest
from modeling_docre.documents import Document
from modeling_docre.letter_case import CasedEmbedding
from modeling_docre.modeling_docre import DocREPreTrainedModel

logger = logging.getLogger(__name__)

# What may differ between models that have a mean: where they are from, and what only decides on scores.
_NO_WEIGHTS = frozenset({"_name_or_path", "transformers_version", "pad_token_id", "signatures"})


def warm_start(
    model_class: type[DocREPreTrainedModel], names: Sequence[str], options: Mapping[str, Any], **trust: Any
) -> DocREPreTrainedModel:
    """The model with the mean of the weights of saved models.

    Checkpoints along one training lie around a better model than any of them is, and their mean is close to it.

    Args:
        model_class: class of the model.
        names: folders or names of saved models; more than one are checkpoints of one training, or models that went on
            from one. The configuration is that of the first. A model that is named twice counts twice.
        options: options of the configuration in place of the saved ones.
        trust: `trust_remote_code`, for encoders with code of their own.

    Raises:
        ValueError: a model is of another system or configuration, or an option gives its weights another shape.

    Source: Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization (UAI 2018), section 3.
    """
    for name in names:
        _check_system(model_class, name)
    sees_case = _fitting(model_class, names[0], options, trust).letter_case

    def load(name: str) -> DocREPreTrainedModel:
        loaded = model_class.from_pretrained(name, **trust, **options)
        for table in loaded.modules() if not sees_case else ():
            if isinstance(table, CasedEmbedding):
                nn.init.zeros_(table.cases.weight)  # transformers fills what a checkpoint lacks at random
        return loaded

    model = load(names[0])
    mean = {key: value.double() for key, value in _weights(model).items()}
    for number, name in enumerate(names[1:], start=2):
        other = load(name)
        _check_alike(model.config, other.config, (names[0], name))
        for key, value in _weights(other).items():
            mean[key] += (value.double() - mean[key]) / number
    with torch.no_grad():
        for key, value in _weights(model).items():
            value.copy_(mean[key])
    return model


def with_types(model: DocREPreTrainedModel, labels: Mapping[str, Any]) -> DocREPreTrainedModel:
    """The model with a class for each label that it does not know yet, behind those that it knows.

    What it has learned of the known ones stays; a new class starts from random weights. In memory-enhanced JEREX it has
    a slot too, and the stages that read a memory read all its slots.

    Args:
        model: the model.
        labels: label lists as of a fresh model: `entity_types`, `relation_types`, `relation_labels` and
            `symmetric_relations`. An empty list of the model's stays empty: it needs none.

    Returns:
        The same model if it knows all labels, else a larger one.
    """
    config = copy.deepcopy(model.config)
    new = {kind: _unknown(getattr(config, kind), labels.get(kind, ())) for kind in ("entity_types", "relation_types")}
    if not any(new.values()):
        return model
    for kind, names in new.items():
        setattr(config, kind, [*getattr(config, kind), *names])
        if names:
            logger.info("--init_from: the model gets the new %s %s", kind.replace("_", " "), ", ".join(names))
    added, readable = new["relation_types"], labels.get("relation_labels", {})
    config.relation_labels = {**config.relation_labels, **{name: readable[name] for name in added if name in readable}}
    symmetric = [name for name in labels.get("symmetric_relations", ()) if name in added]
    config.symmetric_relations = [*config.symmetric_relations, *symmetric]
    if thresholds := getattr(config, "relation_thresholds", None):
        config.relation_thresholds = [*thresholds, *[float(config.relation_threshold)] * len(added)]
    config.validate()
    return _enlarged(model, config)


def _unknown(known: Sequence[str], names: Iterable[str]) -> list[str]:
    return [name for name in names if name not in known] if known else []


@torch.no_grad()
def _enlarged(model: DocREPreTrainedModel, config: Any) -> DocREPreTrainedModel:
    """A model of a configuration with more classes, whose first classes are those of the model."""
    larger, trained = type(model)(config), model.state_dict()
    for key, value in larger.state_dict().items():
        # Classes are rows, new ones the last; a class for "none" or the threshold is the first.
        value[tuple(slice(size) for size in trained[key].shape)] = trained[key]
    return larger.eval()


def check_known_types(config: Any, documents: Iterable[Document], name: str = "the model") -> None:
    """Say which types of the documents a trained model does not know.

    Args:
        config: the model's configuration.
        documents: the documents that it will be scored on.
        name: what messages call the model.

    Raises:
        ValueError: it knows none of the entity types or relation types.
    """
    reads_types = config.traits.reads_entity_types or not config.traits.entities_given
    for kind, names in _types_of(documents, reads_types).items():
        known = getattr(config, kind)
        unknown = sorted(names.difference(known))
        if unknown and names.isdisjoint(known) and known:
            raise ValueError(
                f"{name} knows none of the {kind.replace('_', ' ')} of the documents, such as {unknown[0]!r}; it knows "
                f"{closest(unknown[0], known)}; rename the types of the documents, or train a new model"
            )
        if unknown and known:
            logger.warning("%s does not know the %s %s; all of them are missed", name, kind, unknown)


def warn_of_unseen_types(training: Iterable[Document], held_out: Iterable[Document]) -> None:
    """Say which types of the documents that a fresh model will be scored on no training document has."""
    seen = _types_of(training)
    for kind, names in _types_of(held_out).items():
        if unseen := sorted(names - seen[kind]):
            logger.warning(
                "no training document has the %s %s of the documents that the model is scored on; it cannot learn them",
                *(kind.replace("_", " "), ", ".join(map(repr, unseen))),
            )


def _types_of(documents: Iterable[Document], of_entities: bool = True) -> dict[str, set[str]]:
    """The types that documents use, by the option that lists them; those of entities may not matter."""
    used: dict[str, set[str]] = {"entity_types": set(), "relation_types": set()}
    for document in documents:
        used["entity_types"].update(entity.type for entity in document.entities if of_entities)
        used["relation_types"].update(relation.type for relation in document.relations)
    return used


def _weights(model: DocREPreTrainedModel) -> dict[str, Tensor]:
    """What has a mean of a model's state; it shares memory with the model."""
    return {key: value for key, value in model.state_dict().items() if value.is_floating_point()}


def _check_system(model_class: type[DocREPreTrainedModel], name: str) -> None:
    found, wanted = PreTrainedConfig.get_config_dict(name)[0].get("model_type"), model_class.config_class.model_type
    if found != wanted:
        system = wanted.removeprefix("docre-").replace("-", "_")
        raise ValueError(f"--init_from {name} is a {found!r} model, --system {system} is {wanted!r}")


def _fitting(
    model_class: type[DocREPreTrainedModel], name: str, options: Mapping[str, Any], trust: Mapping[str, Any]
) -> Any:
    """The saved configuration of a trained model.

    Raises:
        ValueError: with the options its weights do not fit, or lose their meaning.
    """
    saved, wanted = (model_class.config_class.from_pretrained(name, **trust, **changes) for changes in ({}, options))
    if saved.letter_case and not wanted.letter_case:
        raise ValueError(f"--init_from {name} has learned to see letter case; leave out --letter_case false")
    with torch.device("meta"):
        before, after = (dict(model_class(config).named_parameters()) for config in (saved, wanted))
    wrong = [key for key in before if key in after and before[key].shape != after[key].shape]
    if wrong:
        changed = [key for key, value in options.items() if getattr(saved, key) != value]
        old = ", ".join(f"{key} {getattr(saved, key)}" for key in changed)
        new = ", ".join(f"--{key} {options[key]}" for key in changed)
        shapes = " and ".join(str(list(weights[wrong[0]].shape)) for weights in (before, after))
        raise ValueError(
            f"--init_from {name} was trained with {old}; with {new} {len(wrong)} of its weights have another shape, "
            f"such as {wrong[0]}: {shapes}; leave out what changes them"
        )
    return saved


def _check_alike(config: Any, other: Any, names: tuple[str, str]) -> None:
    """Refuse models whose weights do not mean the same."""
    first, second = (item.to_dict() for item in (config, other))
    for key in sorted(first.keys() | second.keys()):
        if key not in _NO_WEIGHTS and first.get(key) != second.get(key):
            values = " and ".join(reprlib.repr(item.get(key)) for item in (first, second))
            fix = "name checkpoints of one training, or models that went on from one"
            raise ValueError(f"--init_from {' '.join(names)}: {key} differs, {values}; {fix}")
