"""Document-level relation extraction for the Hugging Face Hub: from text to a graph of entities and relations.

Importing the package makes its systems known to `AutoConfig` and `AutoModel`, its task to
`pipeline("doc-relation-extraction")`, and its metric to `evaluate.load("docre_f1")`.
"""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, AutoModel

from modeling_docre.annotations.docred import read_docred, to_result_records, write_docred
from modeling_docre.hub.metric import install_metric, metric_folder
from modeling_docre.hub.resources import default_model

from .configuration_atlop import AtlopConfig
from .configuration_docre import DocREConfig
from .configuration_jerex import JerexConfig
from .configuration_kmgre import KmgreConfig
from .configuration_memory_jerex import MemoryJerexConfig
from .configuration_spert import SpertConfig
from .documents import Candidate, Document, DocumentError, Entity, Mention, MentionPair, Relation
from .modeling_atlop import AtlopModel
from .modeling_docre import DocREOutput, DocREPreTrainedModel
from .modeling_jerex import JerexModel
from .modeling_kmgre import KmgreModel
from .modeling_memory_jerex import MemoryJerexModel
from .modeling_spert import SpertModel
from .pipeline_docre import DocRelationExtractionPipeline, register
from .predictor import Predictor

__version__ = "0.1.0"

SYSTEMS: dict[str, type[DocREPreTrainedModel]] = {
    "jerex": JerexModel,
    "memory_jerex": MemoryJerexModel,
    "atlop": AtlopModel,
    "kmgre": KmgreModel,
    "spert": SpertModel,
}
"""Model class by the name that recipes use."""


def _push(*arguments: Any, **options: Any) -> Any:
    """Push a model or pipeline with its card; what renders cards is loaded only then."""
    from modeling_docre.hub.upload import push

    return push(*arguments, **options)


def result_features() -> Any:
    """The `datasets.Features` of results, whatever a result holds.

    Give them to `Dataset.map(..., features=...)`, together with those of the columns that stay: what Arrow would guess
    from the first result is wrong where that one is empty. `Document.from_dict` reads the rows.
    """
    from dataset_scripts.building.row_features import document_features

    return document_features()


for _model in SYSTEMS.values():
    AutoConfig.register(_model.config_class.model_type, _model.config_class, exist_ok=True)
    AutoModel.register(_model.config_class, _model, exist_ok=True)
DocREPreTrainedModel.pipeline_class = DocRelationExtractionPipeline
DocREPreTrainedModel.hub_push = staticmethod(_push)
install_metric()
register(default_model())

__all__ = [
    "SYSTEMS",
    "AtlopConfig",
    "AtlopModel",
    "Candidate",
    "DocREConfig",
    "DocREOutput",
    "DocREPreTrainedModel",
    "DocRelationExtractionPipeline",
    "Document",
    "DocumentError",
    "Entity",
    "JerexConfig",
    "JerexModel",
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
    "install_metric",
    "metric_folder",
    "read_docred",
    "result_features",
    "to_result_records",
    "write_docred",
]
