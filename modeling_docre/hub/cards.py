"""Renders the model card of a trained model, without a connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import jinja2
import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCardData, eval_result_entries_to_yaml
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from transformers import MODEL_MAPPING, AutoConfig

from modeling_docre.configuration_docre import DocREConfig
from modeling_docre.graphs.printable import printable
from modeling_docre.modeling_docre import DocREPreTrainedModel

from .card_picture import EXAMPLE, PICTURE, in_words, predicted_example, write_picture
from .escapes import Markup, code_span, escaped, python_string
from .files import write_whole
from .resources import resource
from .score_table import scored_levels

LEVELS = ("mention", "cluster", "entity", "relation", "evidence")
LEVELS_OF_GIVEN_ENTITIES = ("relation", "ign", "intra", "inter", "evidence")
RESULTS = Path(".eval_results") / "docre_f1.yaml"
"""The file with the scores for the dataset's leaderboard, inside the folder of a model."""
UNNAMED = "REPOSITORY"
"""Placeholder in a card for a repository that has no name yet."""

_LICENSE = "apache-2.0"


@dataclass(frozen=True)
class CardFacts:
    """What a card says beyond the model's class and configuration; absent facts are left out.

    Texts appear in the card as plain text on one line; only `notes` are Markdown.

    Args:
        corpus: name of the corpus that the model was scored on, else of the one that it was trained on.
        dataset: the corpus' repository on the Hub, "organisation/name". Without it the card's metadata names no
            dataset and there are no `.eval_results`, because a bare name could be somebody else's dataset.
        split: the split that was scored.
        scores: what docre_f1 returned for it, with `predict_runtime` (seconds), `predict_samples_per_second`,
            `predict_device` and `predict_peak_memory_mib`.
        command: the command that made the scores.
        train_results: what the Trainer measured: `train_runtime` (seconds), `train_samples_per_second`, `epoch`,
            `train_device` and `train_peak_memory_mib`.
        base_model: name of the pre-trained encoder on the Hub; by default the configuration's, if it has one.
        notes: further Markdown, shown after the scores.
        example: a result of the pipeline whose graph the card shows as a picture.
        repository: where the model will be loaded from.
        license: licence of the model, as the Hub spells it; with the default the folder gets this package's licence.
    """

    corpus: str | None = None
    dataset: str | None = None
    split: str | None = None
    scores: Mapping[str, Any] | None = None
    command: str | None = None
    train_results: Mapping[str, Any] | None = None
    base_model: str | None = None
    notes: str | None = None
    example: Mapping[str, Any] | None = None
    repository: str | None = None
    license: str = _LICENSE

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, str) and item.name != "notes":
                object.__setattr__(self, item.name, printable(value))
        if self.dataset is not None and not (_is_hub_name(self.dataset) and "/" in self.dataset):
            raise ValueError(f'dataset is {self.dataset!r}; give its repository on the Hub, "organisation/name"')
        if self.scores is not None and "documents" not in self.scores:
            raise ValueError("scores has no key 'documents'; give what the metric docre_f1 returned")


def render_card(model: DocREPreTrainedModel, **facts: Any) -> str:
    """The card of a model as Markdown.

    Args:
        model: the model.
        **facts: see `CardFacts`.
    """
    return _render(type(model), model.config, CardFacts(**facts))


def write_card(folder: str | Path, model: DocREPreTrainedModel, **facts: Any) -> Path:
    """Write `README.md` with its picture, the licence and, if the scores name a dataset, `.eval_results` into a folder.

    Each file is written completely or not at all. A link of the same name is replaced.

    Args:
        folder: the folder.
        model: the model.
        **facts: see `CardFacts`; missing ones are taken from the folder (see `folder_facts`).

    Returns:
        The card.

    Raises:
        ValueError: a fact is impossible, or `.eval_results` is a link.
    """
    return _write(Path(folder), type(model), model.config, facts)


def write_folder_card(folder: str | Path, **facts: Any) -> Path:
    """Rewrite the card of a saved model, as `write_card` does; only its configuration is loaded.

    Args:
        folder: the folder of the model.
        **facts: see `CardFacts`; missing ones are taken from the folder (see `folder_facts`).

    Returns:
        The card.

    Raises:
        ValueError: the folder is a link or holds no model of this package, a fact is impossible, or `.eval_results` is
            a link.
        OSError: the configuration cannot be read, or a file cannot be written.
    """
    folder = Path(folder)
    if folder.is_symlink():
        raise ValueError(f"{folder} is a link to {folder.resolve()}; name that folder itself")
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} holds no config.json; name the folder of a saved model")
    config = AutoConfig.from_pretrained(folder)
    if not isinstance(config, DocREConfig):
        raise ValueError(
            f"{folder} holds a model of type {config.model_type!r}; name the folder of a model of this package"
        )
    return _write(folder, MODEL_MAPPING[type(config)], config, facts)


def folder_facts(folder: str | Path) -> dict[str, Any]:
    """The facts that a training run leaves in its output folder.

    They come from `train_results.json` and from `test/scores.json`, or else `validation/scores.json`. The scores may
    also name `corpus`, `dataset`, `split` and `command`. The example is one of the predicted documents.
    """
    folder = Path(folder)
    facts: dict[str, Any] = {}
    for split in ("test", "validation"):
        scores = _read_json(folder / split / "scores.json")
        if scores is not None and "documents" in scores:
            origin = {name: scores[name] for name in ("corpus", "dataset", "split", "command") if scores.get(name)}
            facts = {"split": split, "scores": scores, **origin}
            break
    more = {"train_results": _read_json(folder / "train_results.json"), "example": predicted_example(folder)}
    return facts | {name: value for name, value in more.items() if value is not None}


def _read_json(file: Path) -> dict[str, Any] | None:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def _write(folder: Path, model_class: type[DocREPreTrainedModel], config: DocREConfig, passed: dict[str, Any]) -> Path:
    passed = {name: value for name, value in passed.items() if value is not None}
    stored = folder_facts(folder)
    if "scores" in passed:
        stored.pop("split", None)  # it belongs to the stored scores
    facts = CardFacts(**{**stored, **passed})
    card = _render(model_class, config, facts)
    write_picture(folder, facts.example)
    _write_results(folder / RESULTS, eval_result_entries(config, facts))
    if facts.license == _LICENSE:
        write_whole(folder / "LICENSE", resource("LICENSE").read_bytes())
    write_whole(folder / "README.md", card)
    return folder / "README.md"


def _write_results(file: Path, entries: list[EvalResultEntry]) -> None:
    """Write the entries; without any, remove the file, because its scores belong to another model."""
    if file.parent.is_symlink():
        raise ValueError(f"{file.parent} is a link to {file.parent.resolve()}; replace it by a folder, or remove it")
    if not entries:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(exist_ok=True)
    write_whole(file, yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True))


def _render(model_class: type[DocREPreTrainedModel], config: DocREConfig, facts: CardFacts) -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, finalize=escaped)
    environment.filters |= {"code": code_span, "python": python_string}
    template = environment.from_string(resource("model_card.md").read_text(encoding="utf-8"))
    return template.render(
        {item.name: getattr(facts, item.name) for item in fields(facts)},
        metadata=Markup(card_data(model_class, config, facts).to_yaml()),
        notes=facts.notes and Markup(facts.notes),
        example=facts.example and in_words(facts.example),
        example_is_of_text=(facts.example or {}).get("text") == EXAMPLE,
        picture=PICTURE,
        text=EXAMPLE,
        repository=facts.repository or UNNAMED,
        title=model_class.title or config.model_type.removeprefix("docre-"),
        description=Markup((model_class.__doc__ or "").split("\n\n")[0]),
        citation=Markup(model_class.citation.strip()),
        config=config,
        base_model=facts.base_model or _encoder_name(config),
        encoder=config.encoder_config,
        thresholds=config.thresholds_in_force(),
        calibration=(facts.scores or {}).get("calibration"),
        levels=facts.scores and scored_levels(facts.scores, _levels(config)),
        train=facts.train_results or {},
        predict=facts.scores or {},
        default_license=_LICENSE,
    )


def card_data(model_class: type[DocREPreTrainedModel], config: DocREConfig, facts: CardFacts) -> ModelCardData:
    """The metadata of the card in the Hub's form."""
    name = " ".join(filter(None, (model_class.title, facts.corpus and f"on {facts.corpus}")))
    results = eval_results(config, facts)
    return ModelCardData(
        library_name="transformers",
        pipeline_tag="token-classification",
        license=facts.license,
        language=config.language,
        tags=[
            "relation-extraction",
            "document-level-relation-extraction",
            config.model_type.removeprefix("docre-").replace("_", "-"),
        ],
        base_model=facts.base_model or _encoder_name(config),
        datasets=facts.dataset and [facts.dataset],
        metrics=["docre_f1"],
        **({"model_name": name or config.model_type, "eval_results": results} if results else {}),
    )


def eval_results(config: DocREConfig, facts: CardFacts) -> list[EvalResult]:
    """The F1 scores for the card's `model-index`; none without scores or the name of a corpus."""
    if facts.scores is None or not (facts.corpus or facts.dataset):
        return []
    return [
        EvalResult(
            task_type="relation-extraction",
            task_name="Document-level relation extraction",
            dataset_type=facts.dataset or str(facts.corpus),
            dataset_name=facts.corpus or str(facts.dataset),
            dataset_split=facts.split,
            metric_type="docre_f1",
            metric_name=f"{level}_f1",
            metric_value=round(values["f1"], 4),
        )
        for level, values in scored_levels(facts.scores, _levels(config)).items()
    ]


def eval_result_entries(config: DocREConfig, facts: CardFacts) -> list[EvalResultEntry]:
    """The F1 scores for `.eval_results`; none without scores or the repository of the dataset."""
    if facts.scores is None or facts.dataset is None:
        return []
    notes = "; ".join(filter(None, ("docre_f1", facts.split and f"split {facts.split}", facts.command)))
    return [
        EvalResultEntry(dataset_id=facts.dataset, task_id=f"{level}_f1", value=round(values["f1"], 4), notes=notes)
        for level, values in scored_levels(facts.scores, _levels(config)).items()
    ]


def _levels(config: DocREConfig) -> tuple[str, ...]:
    return LEVELS_OF_GIVEN_ENTITIES if config.traits.entities_given else LEVELS


def _encoder_name(config: DocREConfig) -> str | None:
    """The encoder's name on the Hub; None if it came from a folder or was built from a configuration."""
    name = getattr(config.encoder_config, "_name_or_path", "") or ""
    return name if _is_hub_name(name) and not Path(name).exists() else None


def _is_hub_name(name: str) -> bool:
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True
