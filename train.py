"""Train and evaluate a system: `python train.py recipes/<recipe>.yaml [--option value ...]`.

A recipe is a YAML file of the same options as the flags; flags win. The options of the chosen system's configuration
(`--relation_head global`) are flags too. `python train.py --help` lists all of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import torch
import yaml
from transformers import AutoTokenizer, EarlyStoppingCallback, HfArgumentParser, PreTrainedConfig, set_seed
from transformers.trainer_utils import get_last_checkpoint, speed_metrics

from modeling_docre import SYSTEMS, Document, Predictor, read_docred
from modeling_docre.features import Featurizer
from modeling_docre.offline_encoder import offline_encoder
from modeling_docre.reach import measure_reach
from modeling_docre.sampling import TrainingExamples
from modeling_docre.thresholds import thresholds_of, tune_thresholds
from modeling_docre.trainer_docre import DocRETrainer, DocRETrainingArguments

logger = logging.getLogger("train")

_BASE_FIELDS = frozenset(f.name for f in dataclasses.fields(PreTrainedConfig))


@dataclass
class ModelArguments:
    """Which model is trained.

    Args:
        system: the system.
        encoder: name or folder of the pre-trained encoder; `offline` is MiniLM from the extra `offline`.
        init_from: a trained model to go on from, instead of a fresh one on `encoder`.
    """

    system: str = field(default="jerex", metadata={"choices": sorted(SYSTEMS)})
    encoder: str = "bert-base-cased"
    init_from: str | None = None


@dataclass
class DataArguments:
    """Which documents are read.

    Args:
        corpus: a module of `dataset_scripts` that holds a builder, e.g. `re_docred`; absent, the files below are read.
        corpus_config: the builder's configuration.
        data_dir: folder with the corpus' files; absent, they are downloaded.
        train_split, validation_split, test_split: names of the corpus' splits; a test split is optional.
        train_file, validation_file, test_file: files in DocRED's JSON, or `.jsonl` files of Document dicts.
        relation_labels: JSON file with the readable label of each relation type.
        train_facts: JSON file of (head name, tail name, relation type) triples, for Ign F1; absent, the facts of the
            training documents count.
        early_stopping_patience: stop after this many evaluations without improvement.
        tune: search the thresholds on the validation documents after training.
        max_train_documents: use only the first documents of the training data.
    """

    corpus: str | None = None
    corpus_config: str | None = None
    data_dir: str | None = None
    train_split: str = "train"
    validation_split: str = "validation"
    test_split: str | None = None
    train_file: str | None = None
    validation_file: str | None = None
    test_file: str | None = None
    relation_labels: str | None = None
    train_facts: str | None = None
    early_stopping_patience: int | None = None
    tune: bool = False
    max_train_documents: int | None = None


@dataclass
class Corpus:
    """Documents by split (`train`, `validation`, `test`), and the labels they use."""

    splits: dict[str, list[Document]]
    labels: dict[str, Any]


def system_options(system: str) -> type:
    """A dataclass of the options of a system's configuration that a flag can set."""
    config_class = SYSTEMS[system].config_class
    own = [f for f in dataclasses.fields(config_class) if f.name not in _BASE_FIELDS and _is_flag(f)]
    hints = get_type_hints(config_class, localns={"torch": torch})  # transformers imports torch for its hints only
    return dataclasses.make_dataclass("SystemOptions", [(f.name, hints[f.name], field(default=f.default)) for f in own])


def _is_flag(option: dataclasses.Field) -> bool:
    return option.default is not dataclasses.MISSING and option.name != "encoder_config"




def parse_arguments(arguments: Sequence[str]) -> tuple[ModelArguments, DataArguments, DocRETrainingArguments, Any]:
    """The four groups of arguments from an optional recipe and flags.

    Raises:
        SystemExit: an option is unknown or has a wrong value; the message names it.
    """
    arguments = list(arguments)
    if arguments and not arguments[0].startswith("-"):
        recipe = yaml.safe_load(Path(arguments.pop(0)).read_text()) or {}
        flags = [text for name, value in recipe.items() for text in _as_flags(name, value)]
        arguments = [*flags, *arguments]
    peek = argparse.ArgumentParser(add_help=False)
    peek.add_argument("--system", default=ModelArguments.system, choices=sorted(SYSTEMS))
    options = system_options(peek.parse_known_args(arguments)[0].system)
    parser = HfArgumentParser((ModelArguments, DataArguments, DocRETrainingArguments, options))
    return parser.parse_args_into_dataclasses(arguments)


def _as_flags(name: str, value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [] if value is None else [f"--{name}", *(json.dumps(v) if isinstance(v, dict) else str(v) for v in values)]


def load_corpus(arguments: DataArguments) -> Corpus:
    """Read the documents from a corpus' builder or from files, with the label lists for a new model."""
    if arguments.corpus is not None:
        return _from_builder(arguments)
    labels = json.loads(Path(arguments.relation_labels).read_text()) if arguments.relation_labels else {}
    splits = {}
    for split in ("train", "validation", "test"):
        if file := getattr(arguments, f"{split}_file"):
            splits[split] = _read_file(file, labels)
    documents = [document for documents in splits.values() for document in documents]
    relation_types = sorted({relation.type for document in documents for relation in document.relations})
    return Corpus(
        splits,
        {
            "entity_types": sorted({entity.type for document in documents for entity in document.entities}),
            "relation_types": relation_types,
            "relation_labels": {name: labels[name] for name in relation_types if name in labels},
        },
    )


def _from_builder(arguments: DataArguments) -> Corpus:
    module = import_module(f"dataset_scripts.{arguments.corpus}")
    builder_class = next(
        item
        for item in vars(module).values()
        if isinstance(item, type) and item.__module__ == module.__name__ and hasattr(item, "ENTITY_TYPES")
    )
    options = {"config_name": arguments.corpus_config} if arguments.corpus_config else {}
    builder = builder_class(data_dir=arguments.data_dir, **options)
    builder.download_and_prepare()
    names = {split: getattr(arguments, f"{split}_split") for split in ("train", "validation", "test")}
    splits = {
        split: [Document.from_dict(row) for row in builder.as_dataset(split=name)]
        for split, name in names.items()
        if name is not None
    }
    labels = {name: list(getattr(builder_class, name.upper())) for name in ("entity_types", "relation_types")}
    return Corpus(splits, {**labels, "relation_labels": dict(builder_class.RELATION_LABELS)})


def _read_file(file: str, labels: dict[str, str]) -> list[Document]:
    if file.endswith(".jsonl"):
        return [Document.from_dict(json.loads(line)) for line in Path(file).read_text().splitlines() if line.strip()]
    documents, report = read_docred(file, labels)
    logger.info("%s:\n%s", file, report)
    return documents


def build_model(arguments: ModelArguments, options: dict[str, Any], labels: dict[str, Any]) -> tuple[Any, Any]:
    """The model to train and its tokenizer."""
    model_class = SYSTEMS[arguments.system]
    if arguments.init_from is not None:
        model = model_class.from_pretrained(arguments.init_from)
        return model, AutoTokenizer.from_pretrained(arguments.init_from)
    encoder = offline_encoder() if arguments.encoder == "offline" else arguments.encoder
    return model_class.from_encoder(encoder, **labels, **options), AutoTokenizer.from_pretrained(encoder)


def build_trainer(
    model: Any, tokenizer: Any, corpus: Corpus, data: DataArguments, training: DocRETrainingArguments
) -> DocRETrainer:
    """A trainer over the corpus, after saying what the settings can reach."""
    documents = corpus.splits["train"][: data.max_train_documents]
    if not model.config.entities_given:
        logger.info("training documents:\n%s", measure_reach(documents, model.config.max_span_size))
    features = Featurizer(tokenizer, model.config)(documents)
    facts = json.loads(Path(data.train_facts).read_text()) if data.train_facts else documents
    callbacks = [EarlyStoppingCallback(data.early_stopping_patience)] if data.early_stopping_patience else []
    return DocRETrainer(
        model,
        training,
        train_dataset=TrainingExamples(features, model.config, training, training.seed),
        eval_dataset=corpus.splits.get("validation"),
        train_facts=facts,
        processing_class=tokenizer,
        callbacks=callbacks,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, tune thresholds if asked, evaluate on each held-out split, and save model, predictions and scores."""
    model_args, data, training, options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    set_seed(training.seed)
    corpus = load_corpus(data)
    model, tokenizer = build_model(model_args, dataclasses.asdict(options), corpus.labels)
    trainer = build_trainer(model, tokenizer, corpus, data, training)
    if training.do_train:
        resume = training.resume_from_checkpoint
        result = trainer.train(get_last_checkpoint(training.output_dir) if resume == "last" else resume)
        trainer.save_metrics("train", result.metrics)
    if data.tune and "validation" in corpus.splits:
        predictor = Predictor(trainer.model, tokenizer)
        chosen = tune_thresholds(predictor, corpus.splits["validation"], trainer.score, training.eval_max_tokens)
        logger.info("thresholds: %s", chosen)
    for split in ("validation", "test"):
        if split in corpus.splits:
            started = time.time()
            predictions = trainer.predict_documents(corpus.splits[split])
            speed = speed_metrics("predict", started, num_samples=len(predictions))
            scores = trainer.score(predictions, corpus.splits[split], per_type=True)
            scores |= {"thresholds": thresholds_of(trainer.model.config), **speed}
            trainer.save_predictions(predictions, scores, Path(training.output_dir) / split)
            logger.info("%s: %s", split, json.dumps({k: v for k, v in scores.items() if k != "per_type"}, indent=1))
    trainer.save_model()


if __name__ == "__main__":
    main()
