"""Configurations: everything that changes the function a model computes.

Training settings (sampled negatives, learning rates, schedules) live in the training arguments, call settings of the
pipeline in its call. Data whose order matters is a list, because JSON files sort the keys of dicts.
"""

# No `from __future__ import annotations` here: `@strict` checks the types of options, which must not be strings.
import os
from collections.abc import Sequence
from dataclasses import field
from typing import Any, Literal, NamedTuple

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

# Keys that `PreTrainedConfig` itself reads beside its dataclass fields; any other unknown key is a typing error.
_BASE_KEYS = frozenset(
    [
        "num_labels",
        "torch_dtype",
        "name_or_path",
        "_name_or_path",
        "_commit_hash",
        "output_attentions",
        "attn_implementation",
        "_attn_implementation_internal",
        "experts_implementation",
        "_experts_implementation_internal",
        "auto_map",
        "custom_pipelines",
        "model_type",
    ]
)
# The Trainer writes these into the configuration of every model it trains; they mean nothing to these models.
_TRAINER_KEYS = ("use_cache", "pad_token_id", "bos_token_id", "eos_token_id")
# Encoders that number positions from the padding index on and so lose that many rows of their position table.
_POSITIONS_AFTER_PADDING = frozenset(
    [
        "camembert",
        "data2vec-text",
        "ibert",
        "longformer",
        "luke",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    ]
)


class RelationCut(NamedTuple):
    """Which relation types of an entity pair are kept.

    `threshold` is the least score, one number or one per relation type; with `strict` the score must be greater.
    `top_k` keeps only the best types of a pair, where the score 0.5 takes a place too; 0 for no limit.
    """

    threshold: float | Sequence[float]
    strict: bool = False
    top_k: int = 0


@strict
class DocREConfig(PreTrainedConfig):
    """What all systems share: the encoder, the labels, the treatment of long input, the language of raw text.

    Args:
        encoder_config: configuration of the encoder (any `AutoModel` that reads text), as object or dict.
        entity_types: names of the entity types; the position is the class index.
        relation_types: names of the relation types; the position is the class index.
        relation_labels: readable text by relation type, for types that have one.
        symmetric_relations: relation types that hold in both directions.
        long_input: what happens to a document longer than the encoder's positions: `"windows"` encodes overlapping
            windows and averages where they overlap, `"extend"` enlarges the learned position table to
            `extended_positions` rows when the model is built from an encoder, `"error"` refuses the document.
        window_overlap: least number of subwords that neighbouring windows share.
        extended_positions: usable positions after the enlargement of `"extend"`.
        extra_position_std: standard deviation of the new rows of an enlarged position table.
        add_prefix_space: tokenise each word with a space before it (byte-level vocabularies mark word beginnings so).
        language: spaCy language code by which raw text is cut into sentences and words.

    Raises:
        ValueError: a key is unknown, a label stands twice, or a label list does not fit the others.
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
    add_prefix_space: bool = False
    language: str = "en"

    def __post_init__(self, **kwargs: Any) -> None:
        for name in _TRAINER_KEYS:
            kwargs.pop(name, None)
        if unknown := sorted(set(kwargs) - _BASE_KEYS):
            known = sorted(set(self.__dataclass_fields__) - set(PreTrainedConfig.__dataclass_fields__))
            raise ValueError(f"{type(self).__name__} has no option {unknown[0]!r}; its options are {', '.join(known)}")
        if not type(self).__module__.startswith("transformers_modules."):
            # The file names the repository's pipeline code; where this package is installed, its own code answers.
            kwargs.pop("custom_pipelines", None)
        super().__post_init__(**kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """A configuration from its dict form; options among `kwargs` replace those of the dict before all are checked.

        An `encoder_config` among them only replaces what it names, as in other nested configurations.
        """
        own = set(cls.__dataclass_fields__) - set(PreTrainedConfig.__dataclass_fields__) - {"encoder_config"}
        given = {name: kwargs.pop(name) for name in own & set(kwargs)}
        return super().from_dict({**config_dict, **given}, **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """The options as they are saved: the name of the encoder stays only where others can follow it."""
        output = super().to_dict()
        encoder = output.get("encoder_config")
        if encoder and os.path.exists(encoder.get("_name_or_path") or ""):
            del encoder["_name_or_path"]
        return output

    def validate_encoder(self) -> None:
        """Refuse an encoder whose configuration asks for code from somewhere else."""
        if getattr(self.encoder_config, "auto_map", None):
            raise ValueError(
                "encoder_config has an `auto_map`, that is, it asks for remote code of its own; use an encoder that "
                "transformers implements"
            )

    def validate_labels(self) -> None:
        """Refuse label lists that contradict themselves or each other."""
        for name in ("entity_types", "relation_types", "symmetric_relations"):
            labels = getattr(self, name)
            if repeated := sorted({label for label in labels if labels.count(label) > 1}):
                raise ValueError(f"{name} names {repeated[0]!r} twice; give each label once")
        for name in ("symmetric_relations", "relation_labels"):
            if missing := sorted(set(getattr(self, name)) - set(self.relation_types)):
                raise ValueError(f"{name} names {missing[0]!r}, which is not among relation_types; add it there")

    def validate_long_input(self) -> None:
        """Refuse windows that cannot overlap as asked."""
        limit = self.encoder_positions
        if self.window_overlap < 0 or (self.long_input == "windows" and limit and self.window_overlap >= limit):
            raise ValueError(
                f"window_overlap is {self.window_overlap}; give a number from 0 on, less than the encoder's positions "
                f"({limit or 'unlimited'})"
            )

    @property
    def given(self) -> str | None:
        """What a document must bring along: None (its words alone), `"mentions"`, `"clusters"` or `"entities"`."""
        return None

    @property
    def entities_given(self) -> bool:
        """Whether the user supplies the entities with their types, and the model the relations only."""
        return self.given == "entities"

    @property
    def reads_entity_types(self) -> bool:
        """Whether scores depend on the types of given entities; where not, an empty `entity_types` admits any type."""
        return True

    @property
    def special_tokens(self) -> bool:
        """Whether the encoder reads the tokenizer's start and end tokens around a document."""
        return False

    @property
    def marked_mentions(self) -> str:
        """How mentions are marked in the encoder's input: `"none"`, `"star_per_token"` or `"star_per_mention"`."""
        return "none"

    @property
    def needs_mention_attention(self) -> bool:
        """Whether the model reads the attention that the encoder pays at mentions."""
        return False

    @property
    def fits_thresholds(self) -> bool:
        """Whether the relation thresholds are fitted to the validation documents at each evaluation."""
        return False

    @property
    def relation_cut(self) -> RelationCut:
        """The decision on relation logits."""
        return RelationCut(getattr(self, "relation_threshold", 0.5))

    @property
    def encoder_positions(self) -> int | None:
        """Longest input of the encoder in subwords, or None where it has no position table or limit."""
        rows = getattr(self.encoder_config, "max_position_embeddings", None)
        if rows is None or rows <= 0:
            return None
        if self.encoder_config.model_type in _POSITIONS_AFTER_PADDING:
            return rows - (self.encoder_config.pad_token_id or 0) - 1
        return rows


@strict
class JerexConfig(DocREConfig):
    """JEREX: mentions, coreference, entity types and relations, jointly from raw text.

    The defaults are the values of the paper and its release. All sizes and distances count words.

    Args:
        task: `"joint"` trains all stages on one encoder, `"pipeline"` all stages with an encoder each, and
            `"mention"`, `"coreference"`, `"entity"`, `"relation"` one stage alone, its inputs given.
        relation_head: `"multi_instance"` classifies mention pairs and max-pools, `"global"` classifies entity pairs.
        relation_threshold: least score of a relation; None means 0.6 for multi-instance and 0.55 for global.
        mention_threshold: least score of a mention.
        coreference_threshold: least score of every mention pair inside a cluster.
        entity_repr: whether mention pairs see the entities' pooled vectors (Table 5 a).
        localized_context: whether mention pairs see the context between the mentions (Table 5 b).
        pairing: `"all"` mention pairs, or only those within a sentence and else the closest one (Table 5 c).
        coref_symmetrise: how the two orders of a mention pair become one score: the score of (earlier, later),
            the mean, or the lower score.
        edit_distance_text: at inference compare mention strings made of the document's words or of decoded subwords.
        max_span_size: longest candidate span in words.
        meta_size: width of the size, distance and type embeddings.
        size_rows, edit_distance_rows, word_distance_rows, sentence_distance_rows: rows of these embedding tables;
            larger values share the last row.
        dropout: dropout of the heads.
        mention_weight, coreference_weight, entity_weight, relation_weight: weights of the stages in the loss.
    """

    model_type = "docre-jerex"

    task: Literal["joint", "pipeline", "mention", "coreference", "entity", "relation"] = "joint"
    relation_head: Literal["multi_instance", "global"] = "multi_instance"
    mention_threshold: float | int = 0.85
    coreference_threshold: float | int = 0.85
    relation_threshold: float | int | None = None
    entity_repr: bool = True
    localized_context: bool = True
    pairing: Literal["all", "intra_sentence_or_closest"] = "all"
    coref_symmetrise: Literal["upper", "mean", "max_distance"] = "upper"
    edit_distance_text: Literal["tokens", "decoded"] = "tokens"
    max_span_size: int = 10
    meta_size: int = 25
    size_rows: int = 30
    edit_distance_rows: int = 300
    word_distance_rows: int = 700
    sentence_distance_rows: int = 50
    dropout: float | int = 0.1
    mention_weight: float | int = 1.0
    coreference_weight: float | int = 1.0
    entity_weight: float | int = 0.25
    relation_weight: float | int = 1.0

    def __post_init__(self, **kwargs: Any) -> None:
        if self.relation_threshold is None:
            self.relation_threshold = 0.6 if self.relation_head == "multi_instance" else 0.55
        super().__post_init__(**kwargs)

    def validate_thresholds(self) -> None:
        """Refuse thresholds that are no probabilities."""
        for name in ("mention_threshold", "coreference_threshold", "relation_threshold"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; give a number from 0 to 1")

    def validate_sizes(self) -> None:
        """Refuse sizes that leave nothing to decide on, and a dropout that is no probability."""
        rows = ("size_rows", "edit_distance_rows", "word_distance_rows", "sentence_distance_rows")
        for name in ("max_span_size", "meta_size", *rows):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give a whole number from 1 on")
        if not 0.0 <= self.dropout <= 1.0:
            raise ValueError(f"dropout is {self.dropout}; give a number from 0 to 1")

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that the model has, in the order of the paper's figure."""
        return ("mention", "coreference", "entity", "relation") if self.task in ("joint", "pipeline") else (self.task,)

    @property
    def given(self) -> str | None:
        """A model of one stage needs the gold result of the stage before."""
        return {"coreference": "mentions", "entity": "clusters", "relation": "entities"}.get(self.task)


@strict
class AtlopConfig(DocREConfig):
    """ATLOP: relations between given entities, with localized context pooling and an adaptive threshold.

    The defaults are the values of the paper and its release for DocRED with BERT; for CDR and GDA the release marks
    mentions by `"star_per_mention"` and has `top_k` 1.

    Args:
        entity_markers: `"star_per_token"` puts one `*` before each word that begins a mention and one behind each that
            ends one, `"star_per_mention"` a pair around each distinct mention, `"none"` leaves the text as it is and
            represents a mention by the mean of its subwords (Table 5, entity marker).
        mention_pool: how the mentions of an entity become its vector (Table 5, logsumexp).
        localized_context: whether a pair sees the context that both entities attend to (Table 5, LOP).
        bilinear_groups: number of groups of the bilinear layer; 1 is the full one (Table 5, group bilinear).
        pair_size: width of the head's and the tail's vector in a pair, whatever the encoder's width.
        loss: `"at"`, the adaptive-threshold loss, or `"bce"`, binary cross-entropy of each class.
        threshold: `"adaptive"` compares each type with the threshold class, `"global"` with `relation_threshold`,
            `"per_class"` with its own of `relation_thresholds`; the latter two are tuned on validation documents.
        relation_threshold: the score that a relation must exceed. With the adaptive threshold a score is
            sigmoid(logit of the type - logit of the threshold class), and 0.5 is its decision.
        relation_thresholds: for `"per_class"`, one threshold per relation type.
        top_k: most classes that a pair may have, the threshold class included; 0 for no limit.
    """

    model_type = "docre-atlop"

    entity_markers: Literal["star_per_token", "star_per_mention", "none"] = "star_per_token"
    mention_pool: Literal["logsumexp", "mean", "max"] = "logsumexp"
    localized_context: bool = True
    bilinear_groups: int = 12
    pair_size: int = 768
    loss: Literal["at", "bce"] = "at"
    threshold: Literal["adaptive", "global", "per_class"] = "adaptive"
    relation_threshold: float | int = 0.5
    relation_thresholds: list[float] = field(default_factory=list)
    top_k: int = 4
    # Two windows then suffice for twice the encoder's positions, as in the release.
    window_overlap: int = 0

    def __post_init__(self, **kwargs: Any) -> None:
        if self.threshold == "per_class" and not self.relation_thresholds:
            self.relation_thresholds = [float(self.relation_threshold)] * len(self.relation_types)
        super().__post_init__(**kwargs)

    def validate_thresholds(self) -> None:
        """Refuse thresholds that are no probabilities, and a number of them that does not fit the relation types."""
        for value in (self.relation_threshold, *self.relation_thresholds):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"relation thresholds have {value}; give numbers from 0 to 1")
        if self.relation_thresholds and len(self.relation_thresholds) != len(self.relation_types):
            raise ValueError(
                f"relation_thresholds has {len(self.relation_thresholds)} values for {len(self.relation_types)} "
                "relation types; give one per type"
            )
        if self.loss == "at" and self.threshold != "adaptive":
            raise ValueError(
                f'threshold is "{self.threshold}", and the adaptive-threshold loss trains no class against a fixed '
                'score; set `loss="bce"`'
            )

    def validate_sizes(self) -> None:
        """Refuse groups that do not divide the width of a pair, and a negative limit."""
        if self.bilinear_groups < 1 or self.pair_size < 1 or self.pair_size % self.bilinear_groups:
            raise ValueError(
                f"bilinear_groups is {self.bilinear_groups}; give a divisor of pair_size, which is {self.pair_size}"
            )
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; give a whole number from 1 on, or 0 for no limit")

    @property
    def stages(self) -> tuple[str, ...]:
        """The one stage that the model has."""
        return ("relation",)

    @property
    def given(self) -> str | None:
        """The documents bring their entities along."""
        return "entities"

    @property
    def reads_entity_types(self) -> bool:
        """The types of the entities enter no score."""
        return False

    @property
    def special_tokens(self) -> bool:
        """The encoder reads `[CLS]` and `[SEP]`, to which attention is paid."""
        return True

    @property
    def marked_mentions(self) -> str:
        """As `entity_markers` says."""
        return self.entity_markers

    @property
    def needs_mention_attention(self) -> bool:
        """The localized context is pooled by it."""
        return self.localized_context

    @property
    def fits_thresholds(self) -> bool:
        """Fixed thresholds mean nothing before they are fitted; the adaptive one is learned."""
        return self.threshold != "adaptive"

    @property
    def relation_cut(self) -> RelationCut:
        """A type is kept if its score is greater than the threshold and it is among the best of its pair."""
        threshold = self.relation_thresholds if self.threshold == "per_class" else self.relation_threshold
        return RelationCut(threshold, strict=True, top_k=self.top_k if self.threshold == "adaptive" else 0)


DocREConfig.register_for_auto_class()
