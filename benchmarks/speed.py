"""Measures speed and peak memory of the systems beside their bare encoder, in one run on real documents.

    python benchmarks/speed.py [--data FILE] [--encoders bert-base minilm] [--systems NAME ...] [--checkpoint DIR]
        [--out FILE --json FILE]

The contenders are JEREX with the multi-instance classifier, with the global one and with memory, ATLOP, KMGRE, SpERT,
and their bare encoder, with the same weights, batches and optimiser. ATLOP and KMGRE mark mentions in the text, so they
are compared with an encoder that reads the marked text. SpERT reads sentence by sentence, and so does its encoder.
BERT-base has random weights, on which time does not depend, MiniLM its own. `README.md` beside this file says what is
timed.

**Time.** The contenders take turns on every batch, so drift of the machine affects all equally. A contender's time is
the sum of each batch's median over the repetitions; the range behind a ratio is that of single repetitions.

**Memory.** Each contender runs in a process of its own; the figure is the peak above the loaded model.

**Load.** Heads with random weights would find nothing or everything, and pairs grow with the square of what they find.
So each document keeps as many of its best-scored spans as it has gold mentions, and the thresholds of coreference and
relations give as many clusters and relations as in gold. The report shows the resulting load beside the gold one. A
checkpoint decides by its own thresholds.

**Growth.** Documents of given lengths are real documents joined together. The encoder reads them in windows. Mentions
grow with the length, the pairs that the heads classify at inference with its square.

Nothing is asserted: people judge the figures.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.contenders import (
    DTYPES,
    ENCODERS,
    ENTRIES,
    USUAL,
    Contender,
    Decisions,
    Setup,
    SystemContender,
    reference_of,
)
from benchmarks.load import match_gold_load, mean_load, remembered_hidden_states
from benchmarks.measure import TASKS, interleaved_seconds, peak_memory, ratio_range, typical_seconds
from benchmarks.report import machine, markdown
from benchmarks.stage_clock import stage_seconds
from benchmarks.workload import (
    Workload,
    concatenate,
    corpus_workload,
    default_data,
    label_lists,
    read_documents,
)
from modeling_docre import Document


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="DocRED JSON, or .jsonl of Document dicts")
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=list(ENCODERS))
    parser.add_argument("--systems", nargs="+", choices=ENTRIES, default=list(USUAL), help="what is compared")
    parser.add_argument("--checkpoint", help="folder of a trained model, measured instead of random heads")
    parser.add_argument("--documents", type=int, default=30, help="documents of the inference comparison")
    parser.add_argument("--training_documents", type=int, default=8, help="of these, those trained on")
    parser.add_argument("--training_batch", type=int, default=1, help="documents per training step")
    parser.add_argument("--lengths", type=int, nargs="*", default=[250, 500, 1000, 2000, 4000], help="words")
    parser.add_argument("--growth_encoders", nargs="*", choices=ENCODERS, default=["minilm"])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--max_tokens", type=int, default=2048, help="subwords per inference batch, padding included")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of torch on the CPU")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--out", type=Path, help="file for the Markdown report")
    parser.add_argument("--json", type=Path, help="file for all figures")
    options = parser.parse_args(arguments)
    for name in ("documents", "training_documents", "training_batch", "repetitions", "max_tokens", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}; give a number of at least 1")
    return options


def measure_all(options: argparse.Namespace, command: str) -> dict[str, Any]:
    """All figures of a run.

    Returns:
        `command`, `machine`, `data`, `settings`; `measurements`: one row per encoder, set of documents, task and
        contender; `loads`: one row per encoder and set of documents, for gold and each system; `stages`: seconds.
    """
    file = options.data or default_data()
    documents = read_documents(file)
    setups = _setups(options, label_lists(documents))
    torch.set_num_threads(options.threads)
    report: dict[str, Any] = {"command": command, "machine": machine(setups[0])}
    report |= {"settings": {name: getattr(options, name) for name in ("repetitions", "max_tokens")}}
    report |= {"loads": [], "measurements": [], "stages": []}
    for setup in setups:
        grows = bool(options.checkpoint) or setup.encoder in options.growth_encoders
        part = _measure_encoder(setup, documents, options.lengths if grows else [], options)
        for name in ("loads", "measurements", "stages"):
            report[name] += part[name]
        report["data"] = {"file": "/".join(file.parts[-2:]), **part["data"]}
    return report


def _setups(options: argparse.Namespace, labels: dict[str, list[str]]) -> list[Setup]:
    shared = {"device": options.device, "dtype": options.dtype, "threads": options.threads}
    if options.checkpoint:
        return [Setup(Path(options.checkpoint).name, checkpoint=options.checkpoint, **shared)]
    systems = tuple(options.systems)
    return [Setup(encoder, labels=labels, systems=systems, **shared) for encoder in options.encoders]


def _measure_encoder(
    setup: Setup, documents: Sequence[Document], lengths: Sequence[int], options: argparse.Namespace
) -> dict[str, Any]:
    """The figures of one encoder."""
    contenders = [setup.build(name) for name in setup.contenders]
    heads = [contender for contender in contenders if isinstance(contender, SystemContender)]
    featurizer, chosen = contenders[0].featurizer, documents[: options.documents]
    featurizer(documents[:1])  # the tokenizer initialises itself on first use
    started = time.perf_counter()
    features = featurizer(chosen)
    tokenise_seconds = (time.perf_counter() - started) / len(features)
    subwords = [len(item.input_ids) for item in features]
    training = options.training_documents, options.max_tokens, options.training_batch
    workloads = [corpus_workload(chosen, subwords, *training)]
    workloads += [Workload(long.id, [[long]], [[long]]) for long in (concatenate(documents, n) for n in lengths)]
    with ExitStack() as stack:
        for head in heads:
            stack.enter_context(remembered_hidden_states(head))
        decisions = {head.name: _decisions(head, workloads, setup) for head in heads}
        loads = _loads(setup, workloads, heads, decisions)
    seconds, stages = _times(setup, contenders, workloads, decisions, options.repetitions)
    names = [contender.name for contender in contenders]
    sizes = {
        (workload.name, task, contender.name): _mean_subwords(contender, getattr(workload, task))
        for workload in workloads
        for task in TASKS
        for contender in contenders
    }
    del contenders, heads  # frees memory for the processes that measure it
    peaks = {}
    for name in names:
        _log(setup, f"peak memory of {name}")
        peaks[name] = peak_memory(setup, name, workloads, decisions.get(name, {}))
    rows = [
        _row(setup, workload, task, name, seconds[workload.name, task], peaks)
        | {"subwords": sizes[workload.name, task, name]}
        for workload in workloads
        for task in TASKS
        for name in names
    ]
    corpus = workloads[0]
    data: dict[str, float] = {"inference_documents": len(features), "training_documents": len(corpus.training)}
    data["tokenise_seconds"] = tokenise_seconds
    return {"measurements": rows, "loads": loads, "stages": stages, "data": data}


def _mean_subwords(contender: Contender, batches: Sequence[Sequence[Document]]) -> float:
    return float(np.mean([len(item.input_ids) for batch in contender.prepare(batches) for item in batch]))


def _decisions(head: SystemContender, workloads: Sequence[Workload], setup: Setup) -> dict[str, Decisions]:
    """Decisions that give a load like gold, by workload; none for a checkpoint, which has its own thresholds."""
    if setup.checkpoint:
        return {}
    _log(setup, f"load of {head.name}")
    return {workload.name: match_gold_load(head, head.prepare(workload.inference)) for workload in workloads}


def _loads(
    setup: Setup,
    workloads: Sequence[Workload],
    heads: Sequence[SystemContender],
    decisions: dict[str, dict[str, Decisions]],
) -> list[dict[str, Any]]:
    """The load of the gold annotation, and of what each system finds."""
    rows = []
    for workload in workloads:
        by_source = {"gold": workload.documents}
        for head in heads:
            head.decide_by(decisions[head.name].get(workload.name, Decisions()))
            predicted = [document for batch in head.prepare(workload.inference) for document in head.infer(batch)]
            by_source[f"{head.name}, {setup.encoder}"] = predicted
        span_size = max((getattr(head.config, "max_span_size", 0) for head in heads), default=0)
        rows += [
            {"workload": workload.name, "encoder": setup.encoder, "source": source, **mean_load(documents, span_size)}
            for source, documents in by_source.items()
        ]
    return rows


def _times(
    setup: Setup,
    contenders: Sequence[Contender],
    workloads: Sequence[Workload],
    decisions: dict[str, dict[str, Decisions]],
    repetitions: int,
) -> tuple[dict[tuple[str, str], dict[str, np.ndarray]], list[dict[str, Any]]]:
    """Seconds by (workload, task) and contender, and the stages' share on the corpus.

    All inference comes before all training, because training changes the weights and so the load.
    """
    seconds, stages = {}, []
    for task in TASKS:
        for workload in workloads:
            _log(setup, f"{task}, {workload.name}")
            batches = getattr(workload, task)
            for contender in contenders:
                contender.decide_by(decisions.get(contender.name, {}).get(workload.name, Decisions()))
            seconds[workload.name, task] = interleaved_seconds(contenders, task, batches, repetitions)
        for contender in contenders:
            if isinstance(contender, SystemContender):
                contender.decide_by(decisions[contender.name].get("corpus", Decisions()))
                stages.append(_stage_row(setup, contender, task, getattr(workloads[0], task)))
    return seconds, stages


def _stage_row(
    setup: Setup, contender: SystemContender, task: str, batches: Sequence[Sequence[Document]]
) -> dict[str, Any]:
    row = {"encoder": setup.encoder, "contender": contender.name, "task": task, "documents": sum(map(len, batches))}
    return row | {"seconds": stage_seconds(contender, task, contender.prepare(batches))}


def _row(
    setup: Setup,
    workload: Workload,
    task: str,
    name: str,
    seconds: dict[str, np.ndarray],
    peaks: dict[str, dict[str, dict[str, float | None]]],
) -> dict[str, Any]:
    """The figures of one contender on one set of documents, beside those of its bare encoder."""
    documents = [document for batch in getattr(workload, task) for document in batch]
    total, bare = typical_seconds(seconds[name]), reference_of(name)
    peak, bare_peak = (peaks[key][workload.name][task] for key in (name, bare))
    return {
        "encoder": setup.encoder,
        "workload": workload.name,
        "task": task,
        "contender": name,
        "documents": len(documents),
        "words": float(np.mean([document.sentence_starts[-1] for document in documents])),
        "seconds": total,
        "documents_per_second": len(documents) / total,
        "sentences_per_second": sum(len(document.sentences) for document in documents) / total,
        "time_ratio": total / typical_seconds(seconds[bare]),
        "time_ratio_range": ratio_range(seconds[name], seconds[bare]),
        "batch_seconds": seconds[name].tolist(),
        "peak_mib": peak,
        "memory_ratio": peak / bare_peak if peak is not None and bare_peak else None,
    }


def _log(setup: Setup, text: str) -> None:
    print(f"{setup.encoder}: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the report and write the requested files."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = parse(words)
    report = measure_all(options, shlex.join(["python", "benchmarks/speed.py", *words]))
    text = markdown(report)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
