"""Configurations: everything that changes the function a model computes.

Training settings (sampled negatives, learning rates, schedules) live in the training arguments, call settings of the
pipeline in its call. Data whose order matters is a list, because JSON files sort the keys of dicts.
"""

# No `from __future__ import annotations` here: `@strict` checks the types of options, which must not be strings.
import math
import os
from collections.abc import Sequence
from dataclasses import field
from typing import Any, Literal, NamedTuple

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from .configuration_limits import (
    __version__,
    check_code,
    check_encoder,
    check_labels,
    check_language,
    check_signatures,
    check_sizes,
    check_version,
)
from .encoder_code import is_remote, is_trusted, reading_from, remote_configuration, without_repository

# Keys that `PreTrainedConfig` itself reads beside its dataclass fields; any other unknown key is a typo.
_ORIGIN_KEYS = ("_commit_hash", "_name_or_path", "auto_map", "custom_pipelines", "model_type", "name_or_path")
_ATTENTION_KEYS = ("_attn_implementation_internal", "attn_implementation", "output_attentions")
_EXPERT_KEYS = ("_experts_implementation_internal", "experts_implementation")
_BASE_KEYS = frozenset([*_ORIGIN_KEYS, *_ATTENTION_KEYS, *_EXPERT_KEYS, "num_labels", "torch_dtype"])
# The Trainer writes these into the configuration of every model it trains; they mean nothing to these models.
_TRAINER_KEYS = ("use_cache", "pad_token_id", "bos_token_id", "eos_token_id")
# Encoders that number positions from the padding index on and so lose that many rows of their position table.
_ROBERTAS = ("camembert", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod")
_POSITIONS_AFTER_PADDING = frozenset([*_ROBERTAS, "data2vec-text", "ibert", "longformer", "luke", "mpnet"])


class RelationCut(NamedTuple):
    """Which relation types of an entity pair are kept.

    `threshold` is the least score, one number or one per relation type; with `strict` the score must be greater.
    `top_k` is the number of types to keep of a pair, 0 for no limit.
    """

    threshold: float | Sequence[float]
    strict: bool = False
    top_k: int = 0


class Traits(NamedTuple):
    """What a system tells the files that all systems share.

    `given` is what a document must contain: None (only its words), `"mentions"`, `"clusters"` or `"entities"` (clusters
    with their types). `entity_markers` is `"none"`, `"star_per_token"` or `"star_per_mention"`.
    """

    stages: tuple[str, ...] = ()  # in their order
    given: str | None = None
    relation_cut: RelationCut = RelationCut(0.5)
    fits_thresholds: bool = False  # those of the cut, to the validation documents at each evaluation
    special_tokens: bool = False  # the tokenizer's start and end tokens stand around a text
    reads_sentences: bool = False  # by themselves: mentions of different sentences never meet
    entity_markers: str = "none"
    mention_attention: bool = False  # that the encoder pays at mentions
    reads_entity_types: bool = True  # else those of given entities enter no score, and no `entity_types` admit any
    adaptive_threshold: bool = False  # types are trained against a threshold class, uncertain ones can be left out
    evidence_guidance: bool = False  # the sentences that state a relation are trained, too
    typed_pairs: bool = False  # what the types of a pair do not allow need not be scored
    scores_with_entities: bool = False  # a relation's score is multiplied by the lower one of its two entities
    memory_levels: tuple[str, ...] | None = None  # at which a memory is read once `memory_reading` is on
    set_by_training: frozenset[str] = frozenset()  # options that no recipe may set

    @property
    def entities_given(self) -> bool:
        """Whether the user supplies the entities, and the model the relations only."""
        return self.given == "entities"


@strict
class DocREConfig(PreTrainedConfig):
    """What all systems share: the encoder, the labels, the treatment of long input, the language of raw text.

    Args:
        encoder_config: configuration of the encoder (any `AutoModel` that reads text), as object or dict.
        entity_types: names of the entity types; the position is the class index.
        relation_types: names of the relation types; the position is the class index.
        relation_labels: readable text by relation type, for types that have one.
        symmetric_relations: relation types that hold in both directions; scores let head and tail be swapped.
        long_input: what happens to a document longer than the encoder's positions: `"windows"` encodes overlapping
            windows and averages where they overlap, `"extend"` enlarges the learned position table to
            `extended_positions` rows when the model is built from an encoder, `"error"` refuses the document.
        window_overlap: least number of subwords that neighbouring windows share.
        extended_positions: usable positions after the enlargement of `"extend"`.
        extra_position_std: standard deviation of the new rows of an enlarged position table.
        add_prefix_space: tokenise each word with a space before it; None until a tokenizer is met, which sets it.
        letter_case: whether the encoder also sees how a word is written: in lower case, with a capital first, in
            capitals; for encoders whose vocabulary is of lower case.
        language: spaCy language code by which raw text is cut into sentences and words.
        relation_temperature, relation_shift: the `Scaling` of relation logits; thresholds are of the scaled scores.
        entity_temperature, entity_shift: the same for the scores of entities.
        named_thresholds: pairs [name, relation threshold]; a call may give the name instead of the number.
        signatures: triples [relation type, type of the head, type of the tail] that may hold; a relation of another
            triple is not returned. None allows all.
        weights_dtype: number format of the saved weights; `"float16"` halves their file, and rounds them.

    Raises:
        ValueError: a key is unknown, a label is given twice, or a label list does not fit the others.
    """

    sub_configs_defaults = {"encoder_config": SubConfigSpec(config_class=AutoConfig, model_type="bert")}  # noqa: RUF012

    encoder_config: Any = None  # checked by the base class, which makes a configuration of it
    entity_types: list[str] = field(default_factory=list)
    relation_types: list[str] = field(default_factory=list)
    relation_labels: dict[str, str] = field(default_factory=dict)
    symmetric_relations: list[str] = field(default_factory=list)
    long_input: Literal["windows", "extend", "error"] = "windows"
    window_overlap: int = 128
    extended_positions: int = 700
    extra_position_std: float | int = 0.02
    add_prefix_space: bool | None = None
    letter_case: bool = False
    language: str = "en"
    relation_temperature: float | int = 1.0
    relation_shift: float | int = 0.0
    entity_temperature: float | int = 1.0
    entity_shift: float | int = 0.0
    named_thresholds: list[list[str | float | int]] = field(default_factory=list)
    signatures: list[list[str]] | None = None
    weights_dtype: Literal["float32", "float16"] = "float32"

    def __post_init__(self, **kwargs: Any) -> None:
        check_version(kwargs.pop("docre_version", None))
        for name in _TRAINER_KEYS:
            kwargs.pop(name, None)
        if unknown := sorted(set(kwargs) - _BASE_KEYS):
            known = ", ".join(sorted(self._own_options()))
            raise ValueError(f"{type(self).__name__} has no option {unknown[0]!r}; its options are {known}")
        if not is_remote(self):
            # The file names the repository's pipeline code; where this package is installed, its own code answers.
            kwargs.pop("custom_pipelines", None)
        if kwargs.get("auto_map"):
            check_code(kwargs["auto_map"])
        if isinstance(self.encoder_config, dict):
            self._read_encoder(self.encoder_config)
        elif not isinstance(self.encoder_config, PreTrainedConfig | None):
            kind = type(self.encoder_config).__name__
            raise ValueError(f"encoder_config is a {kind}; give a configuration or a dict")
        super().__post_init__(**kwargs)

    def _read_encoder(self, options: dict[str, Any]) -> None:
        """Check the encoder's options, and make a configuration of them where that takes code of its own."""
        # Before a configuration is made of them, which may make a list as long as a number in them.
        check_encoder(options, trusted=is_trusted())
        options.pop("trust_remote_code", None)  # that is for the user to say
        if options.get("auto_map"):
            check_code(options["auto_map"])
            self.encoder_config = remote_configuration(options)

    @classmethod
    def _own_options(cls) -> set[str]:
        """The names of the options that other configurations of transformers do not have."""
        return set(cls.__dataclass_fields__) - set(PreTrainedConfig.__dataclass_fields__)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike, trust_remote_code: bool | None = None, **kwargs: Any
    ) -> Any:
        """A configuration from a folder or repository; an encoder may run its own code with `trust_remote_code`."""
        with reading_from(pretrained_model_name_or_path, trust_remote_code or is_remote(cls), kwargs):
            return super().from_pretrained(pretrained_model_name_or_path, **kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """A configuration from its dict form; options among `kwargs` replace those of the dict before all are checked.

        An `encoder_config` among them only replaces what it names, as in other nested configurations.
        """
        kind = config_dict.get("model_type") or cls.model_type
        if cls.model_type and kind != cls.model_type:
            expected = f"{cls.__name__} reads those of {cls.model_type!r}"
            raise ValueError(f"this is a checkpoint of {kind!r}, and {expected}; load it with AutoModel")
        check_version(config_dict.get("docre_version"))  # before any value, which may be new as well
        own = cls._own_options() - {"encoder_config"}
        given = {name: kwargs.pop(name) for name in own & set(kwargs)}
        return super().from_dict({**config_dict, **given}, **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """The options as they are saved, with this package's version; the encoder's name stays unless it is a path."""
        output = super().to_dict() | {"docre_version": __version__}
        encoder = output.get("encoder_config")
        if encoder and os.path.exists(encoder.get("_name_or_path") or ""):
            del encoder["_name_or_path"]
        if encoder and encoder.get("auto_map"):
            encoder["auto_map"] = without_repository(encoder["auto_map"])
        return output

    def validate_encoder_and_sizes(self) -> None:
        """Refuse unreasonable sizes, an encoder that asks for code from elsewhere, and what is no language code."""
        if self.encoder_config is not None:
            check_encoder(self.encoder_config.to_dict(), trusted=is_remote(self.encoder_config))
        check_sizes({name: getattr(self, name) for name in self._own_options()})
        check_language(self.language)

    def validate_labels(self) -> None:
        """Refuse invalid labels, lists that contradict themselves or each other, and signatures of unknown types."""
        for name in ("entity_types", "relation_types", "symmetric_relations"):
            check_labels(name, getattr(self, name))
        for name in ("symmetric_relations", "relation_labels"):
            if missing := sorted(set(getattr(self, name)) - set(self.relation_types)):
                raise ValueError(f"{name} names {missing[0]!r}, which is not among relation_types; add it there")
        if self.signatures is not None:
            check_signatures(self.signatures, self.relation_types, self.entity_types)

    def validate_scaling(self) -> None:
        """Refuse a temperature that is not positive and finite, and a shift that is not finite."""
        for level in ("relation", "entity"):
            temperature, shift = getattr(self, f"{level}_temperature"), getattr(self, f"{level}_shift")
            if not 0.0 < temperature < math.inf:
                raise ValueError(f"{level}_temperature is {temperature}; give a number greater than 0")
            if not math.isfinite(shift):
                raise ValueError(f"{level}_shift is {shift}; give a finite number")

    def validate_named_thresholds(self) -> None:
        """Refuse anything but pairs of a name and a threshold from 0 to 1, and a name that is given twice."""
        for pair in self.named_thresholds:
            if not (len(pair) == 2 and isinstance(pair[0], str) and not isinstance(pair[1], str) and 0 <= pair[1] <= 1):
                raise ValueError(f"named_thresholds has {pair!r}; give pairs [name, number from 0 to 1]")
        check_labels("named_thresholds", [str(name) for name, _ in self.named_thresholds])

    def validate_long_input(self) -> None:
        """Refuse windows that cannot overlap as asked."""
        limit = self.encoder_positions
        if self.window_overlap < 0 or (self.long_input == "windows" and limit and self.window_overlap >= limit):
            fix = f"give a number from 0 on, less than the encoder's positions ({limit or 'unlimited'})"
            raise ValueError(f"window_overlap is {self.window_overlap}; {fix}")

    def thresholds_in_force(self) -> dict[str, Any]:
        """The thresholds that decide, by option name; `relation_thresholds` is a list."""
        names = ["mention_threshold", "coreference_threshold", "relation_threshold"]
        if getattr(self, "threshold", None) == "per_class":
            names[-1] = "relation_thresholds"
        return {name: getattr(self, name) for name in names if hasattr(self, name)}

    def types_named(self, name: Any) -> list[str]:
        """The relation types that have this name or readable label."""
        return [kind for kind in self.relation_types if name in (kind, self.relation_labels.get(kind, kind))]

    def named_threshold(self, threshold: Any) -> Any:
        """The relation threshold of a name, which has to be stored; anything but a string stays as it is."""
        stored = {str(name): value for name, value in self.named_thresholds}
        if isinstance(threshold, str) and threshold not in stored:
            names = ", ".join(map(repr, stored)) or "none; docre train --tune true fits them"
            raise ValueError(
                f"threshold is {threshold!r}; give a number from 0 to 1 or a name of this model's: {names}"
            )
        return stored[threshold] if isinstance(threshold, str) else threshold

    @property
    def traits(self) -> Traits:
        """What this system tells the shared files. A strict configuration would make an option of a cached one."""
        return Traits()

    @property
    def encoder_positions(self) -> int | None:
        """Longest input of the encoder in subwords, or None where it has no position table or limit."""
        rows = getattr(self.encoder_config, "max_position_embeddings", None)
        if rows is None or rows <= 0:
            return None
        if self.encoder_config.model_type in _POSITIONS_AFTER_PADDING:
            return rows - (self.encoder_config.pad_token_id or 0) - 1
        return rows

    def count_updates(self, phase: str, updates: int) -> None:
        """Record how many updates training has done in a phase since the warm-up."""


DocREConfig.register_for_auto_class()
