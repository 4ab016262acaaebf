"""Train and evaluate a system: `python train.py recipes/<recipe>.yaml [--option value ...]`.

A recipe is a YAML file of the same options as the flags; flags win. The options of the chosen system's configuration
(`--relation_head global`) are flags too. `python train.py --help` lists all of them.
"""

from __future__ import annotations

import gzip
import json
import logging
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from transformers import (
    AutoTokenizer,
    EarlyStoppingCallback,
    pipeline,
    set_seed,
)
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import speed_metrics

from dataset_scripts.building.loading import Corpus, CorpusArguments, load_corpus
from metrics.docre_f1.conventions import CONVENTIONS
from modeling_docre import SYSTEMS, Document, Predictor
from modeling_docre.features import Features, Featurizer
from modeling_docre.hub.cards import write_card
from modeling_docre.hub.encoders import HUB_NAMES, encoder_folder
from modeling_docre.hub.push import failure, share
from modeling_docre.hub.score_table import score_table
from modeling_docre.hub.upload import UPLOAD_ERRORS
from modeling_docre.model_inputs import Example
from modeling_docre.training.arguments import DocRETrainingArguments
from modeling_docre.training.calibration import Calibrator
from modeling_docre.training.hardware import emulates_bfloat16, machine_facts
from modeling_docre.training.recall_ceiling import measure_reach
from modeling_docre.training.recipe import parse_recipe
from modeling_docre.training.sampling import TrainingExamples
from modeling_docre.training.sentence_entities import crossing_relations, split_entities
from modeling_docre.training.thresholds import tune_thresholds
from modeling_docre.training.trainer import TARGETS, DocRETrainer
from modeling_docre.training.warm_start import check_known_types, warm_start

logger = logging.getLogger("train")


@dataclass
class ModelArguments:
    """Which model is trained.

    Args:
        system: the system.
        encoder: name or folder of the pre-trained encoder; `offline` is MiniLM from the extra `offline`,
            `offline-base` MPNet from the extra `offline-base`.
        trust_remote_code: whether an encoder may run code of its own, from its repository or from `init_from`.
        init_from: folder or name of a trained model to go on from, instead of a fresh one on `encoder`; of several, the
            checkpoints of one training, the mean of their weights. Options of the system that are given replace those
            of its configuration.
    """

    system: str = field(default="jerex", metadata={"choices": sorted(SYSTEMS)})
    encoder: str = "bert-base-cased"
    trust_remote_code: bool = False
    init_from: list[str] | None = None


@dataclass
class DataArguments(CorpusArguments):
    """Which documents are read, and what is done with them beside training.

    Args:
        train_facts: JSON file (plain or `.gz`) of (head name, tail name, relation type) triples, for Ign F1; absent,
            the facts of the training documents count.
        early_stopping_patience: stop after this many evaluations without improvement.
        single_stages: score each stage of a joint model on the gold result of the stage before, too.
        tune: search the thresholds on the validation documents after training.
        calibrate: fit the scaling of the relation scores to the validation documents after training; their
            calibration error, the thresholds of some precisions and the curve of precision and recall are reported.
        least_precision: with `calibrate`, the share of right relations on the validation documents that the relation
            threshold is set for, instead of the best F1.
        max_train_documents: use only the first documents of the training data.
        convention: report what papers report on this corpus, too.
        no_overlap: leave entities that overlap another one, and relations between overlapping ones, out of all scores.
        by_word_count: score the relations of documents of similar numbers of words apart, too.
        hub_dataset_id: the scored corpus' repository on the Hub, "organisation/name"; the card names it, and the Hub
            lists the scores there.
    """

    train_facts: str | None = None
    early_stopping_patience: int | None = None
    tune: bool = False
    calibrate: bool = False
    least_precision: float | None = None
    single_stages: bool = False
    max_train_documents: int | None = None
    convention: str | None = field(default=None, metadata={"choices": sorted(CONVENTIONS)})
    no_overlap: bool = False
    by_word_count: bool = False
    hub_dataset_id: str | None = None


def parse_arguments(
    arguments: Sequence[str],
) -> tuple[ModelArguments, DataArguments, DocRETrainingArguments, dict[str, Any]]:
    """The groups of arguments from an optional recipe and flags, the last one the system's options that were given.

    Raises:
        SystemExit: an option is unknown or has a wrong value; the message names it.
    """
    model, data, training, options = parse_recipe(
        arguments, (ModelArguments, DataArguments, DocRETrainingArguments), SYSTEMS, __doc__
    )
    return model, data, training, options


def build_model(arguments: ModelArguments, options: dict[str, Any], labels: dict[str, Any]) -> tuple[Any, Any]:
    """The model to train and its tokenizer.

    Args:
        arguments: a fresh model on an encoder, or a trained one.
        options: options of the configuration that were given.
        labels: label lists of a fresh model; a trained one keeps its own.

    Raises:
        ValueError: the trained models do not fit the system, the options, or each other.
    """
    model_class, trust = SYSTEMS[arguments.system], {"trust_remote_code": arguments.trust_remote_code}
    if arguments.init_from is None:
        encoder = encoder_folder(arguments.encoder)
        model = model_class.from_encoder(encoder, **trust, **labels, **options)
        if arguments.encoder in HUB_NAMES:
            model.config.encoder_config._name_or_path = HUB_NAMES[arguments.encoder]
        return model, AutoTokenizer.from_pretrained(encoder, **trust)
    model = warm_start(model_class, arguments.init_from, options, **trust)
    return model, AutoTokenizer.from_pretrained(arguments.init_from[0], **trust)


def training_examples(
    model: Any, tokenizer: Any, documents: Sequence[Document], training: DocRETrainingArguments
) -> TrainingExamples:
    """Training examples of the documents, after saying what the settings can reach and which documents teach nothing.

    A document without a sample for any stage (no words; for relations alone, no entity pair) is left out: it would
    make an optimiser step of weight decay and momentum alone.

    Raises:
        DocumentError: an entity or relation type of a document is not among those of the model.
        ValueError: what is left does not fill one batch.
    """
    config = model.config
    if config.given is None:
        reached = [split_entities(document) for document in documents] if config.reads_sentences else documents
        logger.info("training documents:\n%s", measure_reach(reached, config.max_span_size))
    if config.reads_sentences and (crossing := sum(map(crossing_relations, documents))):
        logger.info("%d relations hold across sentences, which %s does not see", crossing, type(model).__name__)
    features: list[Features] = Featurizer(tokenizer, config)(documents)
    examples = TrainingExamples(features, config, training, training.seed)
    # Which samples a document has differs from epoch to epoch, how many does not.
    kept = [item for number, item in enumerate(features) if _has_samples(examples[number], config.stages)]
    if len(kept) < len(features):
        logger.info(
            "%d of %d documents hold nothing to train on and are left out", len(features) - len(kept), len(features)
        )
    batch = training.train_batch_size * training.world_size
    if len(kept) < (batch if training.dataloader_drop_last else 1):
        raise ValueError(
            f"{len(kept)} documents with something to train on do not fill one batch of {batch}; give more documents, "
            "or lower per_device_train_batch_size"
        )
    return TrainingExamples(kept, config, training, training.seed)


def _has_samples(example: Example, stages: Sequence[str]) -> bool:
    samples: dict[str, Any] = {
        "span": example.span_labels,
        "mention": example.span_labels,
        "coreference": example.coreference and example.coreference[2],
        "entity": example.entity_types,
        "relation": example.relations and example.relations[1],
    }
    return any(len(samples[stage]) for stage in stages)


def build_trainer(
    model: Any, tokenizer: Any, corpus: Corpus, data: DataArguments, training: DocRETrainingArguments
) -> DocRETrainer:
    """A trainer over the corpus.

    Raises:
        ValueError: a split that the settings need is not there, or a score needs entities that are not given.
    """
    score_options = {"convention": data.convention, "no_overlap": data.no_overlap}
    if model.config.entities_given and any(score_options.values()):
        option = "--convention" if data.convention else "--no_overlap"
        raise ValueError(f"{option} scores entities that are found, and {type(model).__name__} is given them")
    documents = corpus.splits.get("train", [])[: data.max_train_documents]
    if training.do_train and not documents:
        raise ValueError("there are no training documents; give some, or only evaluate with --no_do_train")
    if training.do_train and training.eval_strategy != "no" and not corpus.splits.get("validation"):
        raise ValueError(
            "there are no validation documents; give some, or train without evaluation by --eval_strategy no "
            "--load_best_model_at_end false"
        )
    facts = _read_facts(data.train_facts) if data.train_facts else documents or None
    return DocRETrainer(
        model,
        training,
        train_dataset=training_examples(model, tokenizer, documents, training) if training.do_train else None,
        eval_dataset=corpus.splits.get("validation"),
        train_facts=facts,
        score_options=score_options,
        processing_class=tokenizer,
        card_facts=card_facts(data),
        callbacks=[EarlyStoppingCallback(data.early_stopping_patience)] if data.early_stopping_patience else [],
    )


def card_facts(data: DataArguments, split: str = "validation") -> dict[str, Any]:
    """What a card says of the data and of how the scores of a split were made."""
    corpus = data.test_corpus if split == "test" and data.test_corpus else data.corpus
    return {"corpus": corpus or "own documents", "dataset": data.hub_dataset_id, "command": command_line(sys.argv[1:])}


def command_line(arguments: Sequence[str]) -> str:
    """The command of this run, without the token that it may hold."""
    words, secret = ["python", "train.py"], False
    for word in arguments:
        name = word.partition("=")[0].lstrip("-").replace("-", "_")
        if not secret and name != "hub_token":
            words.append(word)
        secret = name == "hub_token" and "=" not in word
    return shlex.join(words)


def _read_facts(file: str) -> Any:
    """The facts of a JSON file, plain or `.gz`."""
    content = Path(file).read_bytes()
    return json.loads(gzip.decompress(content) if file.endswith(".gz") else content)


def last_checkpoint(folder: str) -> str | None:
    """The newest complete checkpoint in a folder, None where there is none.

    A run that is killed while it saves leaves a folder without its last part, the state of the trainer.
    """
    states = [file for file in Path(folder).glob("checkpoint-*/trainer_state.json") if _is_complete(file)]
    newest = max(states, key=lambda file: int(file.parent.name.rpartition("-")[2]), default=None)
    return None if newest is None else str(newest.parent)


def _is_complete(state: Path) -> bool:
    try:
        TrainerState.load_from_json(str(state))
    except (ValueError, TypeError):
        return False
    return True


def single_stage_scores(trainer: DocRETrainer, documents: Sequence[Document]) -> dict[str, float]:
    """F1 of each stage on the gold result of the stage before (JEREX Table 4)."""
    given = {"coreference": "mentions", "entity": "clusters", "relation": "entities"}
    return {
        TARGETS[stage]: trainer.score(trainer.predict_documents(documents, given=given[stage]), documents)[
            TARGETS[stage]
        ]
        for stage in trainer.model.config.stages
        if stage in given
    }


def evaluate_split(
    trainer: DocRETrainer,
    split: str,
    documents: Sequence[Document],
    data: DataArguments,
    calibrator: Calibrator | None = None,
) -> dict[str, Any] | None:
    """Predict the documents of a split, score them, save both and log the main scores.

    Documents without any relation (DocRED hides those of its test split) are predicted only; then there are no scores.
    """
    folder, started = Path(trainer.args.output_dir) / split, time.time()
    predictions = trainer.predict_documents(documents)
    speed = speed_metrics("predict", started, num_samples=len(predictions)) | machine_facts("predict")
    if not any(document.relations for document in documents):
        trainer.save_predictions(predictions, speed, folder)
        logger.info("%s: no document states a relation, so they are predicted and not scored", split)
        return None
    reports = {"per_type": True, "subsets": True, "by_entity_count": True, "by_word_count": data.by_word_count}
    scores = trainer.score(predictions, documents, **reports)
    told = {name: value for name, value in card_facts(data, split).items() if value}
    scores |= {"thresholds": trainer.model.config.thresholds_in_force(), **speed, **told}
    if calibrator is not None:
        scores["calibration"] = calibrator.report(documents)
    if data.single_stages:
        scores["single_stages"] = single_stage_scores(trainer, documents)
    trainer.save_predictions(predictions, scores, folder)
    logger.info("%s, %d documents, in percent:\n%s", split, len(documents), score_table(scores))
    return scores


def save(trainer: DocRETrainer, scores: Mapping[str, Any] | None, **facts: Any) -> None:
    """Save the model with its tokenizer, the code of model and pipeline, and its card; facts as for `CardFacts`."""
    if trainer.is_world_process_zero():
        model = trainer.accelerator.unwrap_model(trainer.model)
        extract = pipeline("doc-relation-extraction", model=model, tokenizer=trainer.processing_class)
        extract.save_pretrained(trainer.args.output_dir)
        write_card(trainer.args.output_dir, model, repository=trainer.hub_model_id, scores=scores, **facts)


def push(trainer: DocRETrainer) -> None:
    """Push what was saved, as a commit with a tag of its own.

    Raises:
        SystemExit: it could not be pushed; the message says why, and by which command it can be pushed later.
    """
    args, name = trainer.args, str(trainer.hub_model_id)
    if not trainer.is_world_process_zero():
        return
    try:
        commit, tag = share(
            args.output_dir, name, message="End of training", revision=args.hub_revision, token=args.hub_token
        )
    except UPLOAD_ERRORS as error:
        raise SystemExit(failure(args.output_dir, name, error, args.hub_revision)) from error
    logger.info('pushed to %s, revision="%s" (commit %s)', commit.repo_url, tag, commit.oid)


def warn_of_slow_precision(training: DocRETrainingArguments) -> None:
    """Say so where `--bf16` makes training slower."""
    if training.bf16 and training.device.type == "cpu" and emulates_bfloat16():
        logger.warning(
            "this processor emulates bfloat16, which takes several times as long as float32; leave out --bf16"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, tune thresholds if asked, evaluate on each held-out split, and save model, predictions and scores."""
    model_args, data, training, options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.INFO if training.process_index == 0 else logging.WARNING, format="%(message)s")
    if not training.do_train and model_args.init_from is None:
        raise ValueError("--no_do_train evaluates a trained model; name it with --init_from")
    warn_of_slow_precision(training)
    set_seed(training.seed)
    corpus = load_corpus(data, options.get("language", "en"))
    model, tokenizer = build_model(model_args, options, corpus.labels)
    if model_args.init_from:
        held_out = chain.from_iterable(corpus.splits.get(name, []) for name in ("validation", "test"))
        check_known_types(model.config, held_out)
    if training.do_train and (own := model.config.set_by_training & options.keys()):
        raise ValueError(f"training sets {own.pop()} itself; see --help for what it depends on, and leave it out")
    tunes = data.tune or (training.do_train and model.config.fits_thresholds)
    if data.least_precision is not None and not data.calibrate:
        raise ValueError("--least_precision sets a threshold of fitted scores; give --calibrate true, too")
    if (tunes or data.calibrate) and not corpus.splits.get("validation"):
        raise ValueError("thresholds and scores are fitted to the validation documents, and there are none")
    trainer = build_trainer(model, tokenizer, corpus, data, training)
    calibrator = Calibrator(trainer, data.least_precision) if data.calibrate else None
    if training.do_train:
        resume = training.resume_from_checkpoint
        if resume == "last":
            resume = last_checkpoint(str(training.output_dir))
            logger.info("resuming from %s", resume or f"nothing: {training.output_dir} holds no checkpoint yet")
        trainer.save_metrics("train", {**trainer.train(resume).metrics, **machine_facts("train")})
    if model.config.weights_dtype == "float16":
        model.half().float()  # what is scored is what will be loaded
    if tunes:
        predictor = Predictor(trainer.model, tokenizer)
        chosen = tune_thresholds(predictor, corpus.splits["validation"], trainer.score, training.eval_max_tokens)
        logger.info("thresholds: %s", chosen)
    if calibrator is not None:
        calibrator.fit(corpus.splits["validation"])
    split, scores = "", None
    for name in ("validation", "test"):
        if name in corpus.splits:
            scored = evaluate_split(trainer, name, corpus.splits[name], data, calibrator)
            split, scores = (split, scores) if scored is None else (name, scored)
    save(trainer, scores, split=split, **card_facts(data, split))
    if training.push_to_hub:
        push(trainer)


if __name__ == "__main__":
    main()
