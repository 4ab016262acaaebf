"""A run from end to end: `docre train RECIPE [--option value ...]`, or `python train.py` in a source checkout."""

from __future__ import annotations

import gzip
import json
import logging
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, EarlyStoppingCallback, set_seed

from dataset_scripts.building.loading import Corpus, load_corpus
from modeling_docre import SYSTEMS
from modeling_docre.encoder import emulates_bfloat16
from modeling_docre.hub.encoders import HUB_NAMES, encoder_folder
from modeling_docre.hub.loading import model_named
from modeling_docre.predictor import Predictor
from modeling_docre.text import document_from_text

from .arguments import DataArguments, DocRETrainingArguments, ModelArguments
from .calibration import Calibrator
from .cross_validation import cross_validate
from .evaluation import evaluate_split
from .hardware import machine_facts
from .recipe import parse_recipe
from .relation_samples import learn_signatures
from .sampling import training_examples
from .saving import card_facts, command_line, last_checkpoint, push, save_card, save_model, save_train_results
from .thresholds import fit_named_thresholds, tune_thresholds
from .trainer import DocRETrainer
from .warm_start import check_known_types, warm_start, warn_of_unseen_types, with_types

logger = logging.getLogger(__name__)

_DESCRIPTION = """Train and evaluate a system: `docre train RECIPE [--option value ...]`.

A recipe is the name of a bundled one or a YAML file of the same options as the flags; flags win. The options of the
chosen system's configuration (`--relation_head global`) are flags too.
"""


def parse_arguments(
    arguments: Sequence[str],
) -> tuple[ModelArguments, DataArguments, DocRETrainingArguments, dict[str, Any]]:
    """The groups of arguments from an optional recipe and flags, the last one the system's options that were given.

    Raises:
        SystemExit: an option is unknown or has a wrong value; the message names it.
    """
    model, data, training, options = parse_recipe(
        arguments, (ModelArguments, DataArguments, DocRETrainingArguments), SYSTEMS, _DESCRIPTION
    )
    return model, data, training, options


def build_model(
    arguments: ModelArguments, options: dict[str, Any], labels: dict[str, Any], learns_types: bool = True
) -> tuple[Any, Any]:
    """The model to train and its tokenizer.

    Args:
        arguments: a fresh model on an encoder, or a trained one.
        options: options of the configuration that were given.
        labels: label lists of a fresh model.
        learns_types: whether a trained model gets classes for the labels that it does not know.

    Raises:
        OSError: the encoder cannot be loaded.
        ValueError: the trained models do not fit the system, the options, or each other; there is nothing to learn; or
            spaCy cannot read texts of the configuration's language.
    """
    model_class, trust = SYSTEMS[arguments.system], {"trust_remote_code": arguments.trust_remote_code}
    if arguments.init_from is None:
        encoder = encoder_folder(arguments.encoder)
        check_labels(model_class.config_class(**labels, **options))
        with model_named(encoder, "encoder"):
            model = model_class.from_encoder(encoder, **trust, **labels, **options)
        if arguments.encoder in HUB_NAMES:
            model.config.encoder_config._name_or_path = HUB_NAMES[arguments.encoder]
    else:
        encoder = arguments.init_from[0]
        model = warm_start(model_class, arguments.init_from, options, **trust)
        if learns_types:
            model = with_types(model, labels)
    document_from_text("", "a text", model.config.language)
    tokenizer = AutoTokenizer.from_pretrained(encoder, **trust)
    advise_on_case(tokenizer, model.config)
    return model, tokenizer


def advise_on_case(tokenizer: Any, config: Any) -> None:
    """Log that an encoder does not see capitals, and what would let it."""
    small, capital = (tokenizer(letter, add_special_tokens=False)["input_ids"] for letter in "aA")
    if small == capital and not config.letter_case:
        logger.info("the encoder reads lower case only; with --letter_case true it also sees how words are written")


def check_labels(config: Any) -> None:
    """Refuse to learn relations from documents without any.

    Raises:
        ValueError: no document has a relation, and the model's stages include them.
    """
    if "relation" in config.traits.stages and not config.relation_types:
        raise ValueError(
            "no document has a relation, so there is none to learn; look whether the files hold relations (`relations` "
            "in the package's own form, `labels` in DocRED's JSON), or learn to find entities alone by --system jerex "
            "--task mention, coreference or entity"
        )


def build_trainer(
    model: Any,
    tokenizer: Any,
    corpus: Corpus,
    data: DataArguments,
    training: DocRETrainingArguments,
    command: str,
) -> DocRETrainer:
    """A trainer over the corpus; `command` is what the cards name.

    Raises:
        ValueError: a split that the settings need is not there, or a score needs entities that are not given.
    """
    score_options = {"convention": data.convention, "no_overlap": data.no_overlap}
    if model.config.traits.entities_given and any(score_options.values()):
        option = "--convention" if data.convention else "--no_overlap"
        raise ValueError(f"{option} scores entities that are found, and {type(model).__name__} is given them")
    documents = corpus.splits.get("train", [])[: data.max_train_documents]
    if training.do_train and training.signature_min:
        learn_signatures(model, documents, training.signature_min)
    facts = _read_facts(data.train_facts) if data.train_facts else documents or None
    return DocRETrainer(
        model,
        training,
        train_dataset=training_examples(model, tokenizer, documents, training) if training.do_train else None,
        eval_dataset=corpus.splits.get("validation"),
        train_facts=facts,
        score_options=score_options,
        processing_class=tokenizer,
        card_facts=card_facts(data, command),
        callbacks=[EarlyStoppingCallback(data.early_stopping_patience)] if data.early_stopping_patience else [],
    )


def _read_facts(file: str) -> Any:
    """The facts of a JSON file, plain or `.gz`."""
    content = Path(file).read_bytes()
    return json.loads(gzip.decompress(content) if file.endswith(".gz") else content)


def warn_of_slow_precision(training: DocRETrainingArguments) -> None:
    """Say so where `--bf16` makes training slower."""
    if training.bf16 and training.device.type == "cpu" and emulates_bfloat16():
        logger.warning(
            "this processor emulates bfloat16, which takes several times as long as float32; leave out --bf16"
        )


def check_options(model: ModelArguments, data: DataArguments, training: DocRETrainingArguments) -> None:
    """Refuse options that contradict each other, and an output folder that cannot be one, before anything is read.

    Raises:
        ValueError: an option needs another one that is not given.
        NotADirectoryError: the output folder, or one that it lies in, is a file.
    """
    folder = Path(str(training.output_dir))
    if file := next((path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()), None):
        raise NotADirectoryError(f"--output_dir is {folder}, and {file} is a file; name a folder, new or existing")
    if not training.do_train and model.init_from is None:
        raise ValueError("--no_do_train evaluates a trained model; name it with --init_from")
    if data.least_precision is not None and not data.calibrate:
        raise ValueError("--least_precision sets a threshold of fitted scores; give --calibrate true, too")
    if training.do_train and training.num_train_epochs <= 0 and training.max_steps <= 0:
        raise ValueError(
            f"num_train_epochs is {training.num_train_epochs}, which trains nothing; give a number above 0, or only "
            "evaluate with --no_do_train"
        )


def check_splits(corpus: Corpus, training: DocRETrainingArguments) -> None:
    """Refuse to train without documents, and warn of documents that are trained on and scored on.

    Raises:
        ValueError: a split that the settings need is not there.
    """
    if training.do_train and not corpus.splits.get("train"):
        raise ValueError("there are no training documents; give some, or only evaluate with --no_do_train")
    if training.do_train and training.eval_strategy != "no" and not corpus.splits.get("validation"):
        raise ValueError(
            "there are no validation documents; give some, or train without evaluation by --eval_strategy no "
            "--load_best_model_at_end false"
        )
    words = {document.sentences for document in corpus.splits.get("train", [])} if training.do_train else set()
    for name, documents in corpus.splits.items():
        if name != "train" and (known := sum(document.sentences in words for document in documents)):
            logger.warning(
                "%d of %d %s documents are training documents, too; scores on them say little",
                known,
                len(documents),
                name,
            )


def train(trainer: DocRETrainer) -> dict[str, Any]:
    """Train and save the model; what the Trainer measured."""
    training = trainer.args
    resume = training.resume_from_checkpoint
    if resume == "last":
        resume = last_checkpoint(str(training.output_dir))
        logger.info("resuming from %s", resume or f"nothing: {training.output_dir} holds no checkpoint yet")
    results = {**trainer.train(resume).metrics, **machine_facts("train")}
    save_model(trainer)
    return results


def report(trainer: DocRETrainer, corpus: Corpus, data: DataArguments, calibrator: Calibrator | None) -> None:
    """Predict and score each held-out split, and write the card; all of it can be done again with the saved model."""
    try:
        split, scores = "", None
        for name in ("validation", "test"):
            if name in corpus.splits:
                scored = evaluate_split(trainer, name, corpus.splits[name], data, calibrator)
                split, scores = (split, scores) if scored is None else (name, scored)
        facts = card_facts(data, trainer.card_facts["command"], split or "validation")
        save_card(trainer, scores, **facts)
    except Exception:
        folder = trainer.args.output_dir
        logger.error("the model is saved in %s; to score it again: --no_do_train --init_from %s", folder, folder)
        raise


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, tune thresholds if asked, save the model, and evaluate it on each held-out split.

    Args:
        arguments: recipe and flags, as for `parse_arguments`; None means those of the process.

    Raises:
        SystemExit: `--help`, or an option is unknown or has a wrong value.
        ValueError: the options or documents do not fit together, or the training diverges.
        OSError: a file is not there or cannot be written; a push failed.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    model_args, data, training, options = parse_arguments(arguments)
    logging.basicConfig(level=logging.INFO if training.process_index == 0 else logging.WARNING, format="%(message)s")
    if data.folds:
        cross_validate(arguments, data.corpus, Path(str(training.output_dir)))
        return
    check_options(model_args, data, training)
    warn_of_slow_precision(training)
    set_seed(training.seed)
    corpus = load_corpus(data, options.get("language", "en"))
    check_splits(corpus, training)
    model, tokenizer = build_model(model_args, options, corpus.labels, training.do_train)
    held_out = chain.from_iterable(corpus.splits.get(name, []) for name in ("validation", "test"))
    if model_args.init_from:
        check_known_types(model.config, held_out, f"the model {' '.join(model_args.init_from)}")
    else:
        warn_of_unseen_types(corpus.splits.get("train", [])[: data.max_train_documents], held_out)
    if training.do_train and (own := model.config.traits.set_by_training & options.keys()):
        raise ValueError(f"training sets {own.pop()} itself; see --help for what it depends on, and leave it out")
    tunes = data.tune or (training.do_train and model.config.traits.fits_thresholds)
    if (tunes or data.calibrate) and not corpus.splits.get("validation"):
        raise ValueError("thresholds and scores are fitted to the validation documents, and there are none")
    trainer = build_trainer(model, tokenizer, corpus, data, training, command_line(arguments))
    calibrator = Calibrator(trainer, data.least_precision) if data.calibrate else None
    train_results = train(trainer) if training.do_train else None
    if model.config.weights_dtype == "float16":
        model.half().float()  # what is scored is what will be loaded
    if tunes:
        predictor = Predictor(trainer.model, tokenizer)
        validation = corpus.splits["validation"]
        chosen = tune_thresholds(predictor, validation, trainer.scorer(validation), training.eval_max_tokens)
        logger.info("thresholds: %s", chosen)
    if calibrator is not None:
        calibrator.fit(corpus.splits["validation"])
    if (tunes or calibrator) and "relation" in model.config.traits.stages:
        named = fit_named_thresholds(trainer, corpus.splits["validation"])
        trainer.fitted["named_thresholds"] = [item._asdict() for item in named]
    if tunes or calibrator or not training.do_train:
        save_model(trainer)  # what was fitted stands in its configuration
    if train_results is not None:
        save_train_results(trainer, train_results)
    report(trainer, corpus, data, calibrator)
    if training.push_to_hub:
        push(trainer)


if __name__ == "__main__":
    main()
