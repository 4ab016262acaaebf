"""Document-level relation extraction for the Hugging Face Hub: from text to a graph of entities and relations.

Importing the package makes its systems known to `AutoConfig` and `AutoModel`, its task to
`pipeline("doc-relation-extraction")`, and its metric to `evaluate.load("docre_f1")`.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

from modeling_docre.annotations.docred import read_docred, to_result_records, write_docred
from modeling_docre.graphs.corpus_graph import CorpusGraph
from modeling_docre.hub.metric import install_metric, metric_folder

from .configuration_limits import __version__
from .documents import Candidate, Document, DocumentError, Entity, Mention, MentionPair, Relation


def _is_command_line() -> bool:
    """Whether this process is `docre`, `python -m modeling_docre`, or a worker of one of our Ray sessions.

    Loading torch and transformers takes seconds; `docre --help` needs neither, nor does a worker that reads or groups
    rows. Commands and actors load what they use.
    """
    if "MODELING_DOCRE_LAZY" in os.environ:
        return True
    program = os.path.basename(sys.argv[0]) if sys.argv else ""
    if program == "-m":  # so it is called until Python has found the module
        return sys.orig_argv[-len(sys.argv)] in ("modeling_docre", "-mmodeling_docre")
    return program in ("docre", "docre.exe")


def __getattr__(name: str) -> Any:
    """A public name that the command line has not loaded so far."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("modeling_docre.hub.registration"), name)


def result_features() -> Any:
    """The `datasets.Features` of results, whatever a result holds.

    Give them to `Dataset.map(..., features=...)`, together with those of the columns that stay: what Arrow would guess
    from the first result is wrong where that one is empty. `Document.from_dict` reads the rows.
    """
    from dataset_scripts.building.row_features import document_features

    return document_features()


if not _is_command_line():
    from modeling_docre.hub.registration import (
        SYSTEMS,
        AtlopConfig,
        AtlopModel,
        DocREConfig,
        DocRelationExtractionPipeline,
        DocREOutput,
        DocREPreTrainedModel,
        JerexConfig,
        JerexModel,
        JointConfig,
        JointModel,
        KmgreConfig,
        KmgreModel,
        MemoryJerexConfig,
        MemoryJerexModel,
        Predictor,
        SpertConfig,
        SpertModel,
    )

__all__ = [
    "SYSTEMS",
    "AtlopConfig",
    "AtlopModel",
    "Candidate",
    "CorpusGraph",
    "DocREConfig",
    "DocREOutput",
    "DocREPreTrainedModel",
    "DocRelationExtractionPipeline",
    "Document",
    "DocumentError",
    "Entity",
    "JerexConfig",
    "JerexModel",
    "JointConfig",
    "JointModel",
    "KmgreConfig",
    "KmgreModel",
    "MemoryJerexConfig",
    "MemoryJerexModel",
    "Mention",
    "MentionPair",
    "Predictor",
    "Relation",
    "SpertConfig",
    "SpertModel",
    "__version__",
    "install_metric",
    "metric_folder",
    "read_docred",
    "result_features",
    "to_result_records",
    "write_docred",
]
