"""Registers the systems with `AutoConfig` and `AutoModel`, and their task with `pipeline`.

Importing this module does so, installs the metric for `evaluate.load`, and makes the component known to spaCy, also
where the package stands on the path without an installation's entry points. It loads torch and transformers, so only
those commands import it that run a model.
"""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, AutoModel

import docre_spacy  # noqa: F401 (the factory of the component; spaCy is loaded already)
from modeling_docre.configuration_atlop import AtlopConfig
from modeling_docre.configuration_docre import DocREConfig
from modeling_docre.configuration_jerex import JerexConfig
from modeling_docre.configuration_joint import JointConfig
from modeling_docre.configuration_kmgre import KmgreConfig
from modeling_docre.configuration_memory_jerex import MemoryJerexConfig
from modeling_docre.configuration_spert import SpertConfig
from modeling_docre.modeling_atlop import AtlopModel
from modeling_docre.modeling_docre import DocREOutput, DocREPreTrainedModel
from modeling_docre.modeling_jerex import JerexModel
from modeling_docre.modeling_joint import JointModel
from modeling_docre.modeling_kmgre import KmgreModel
from modeling_docre.modeling_memory_jerex import MemoryJerexModel
from modeling_docre.modeling_spert import SpertModel
from modeling_docre.pipeline_docre import DocRelationExtractionPipeline, register
from modeling_docre.predictor import Predictor

from .metric import install_metric
from .resources import default_model
from .start import start_model

SYSTEMS: dict[str, type[DocREPreTrainedModel]] = {
    "jerex": JerexModel,
    "memory_jerex": MemoryJerexModel,
    "atlop": AtlopModel,
    "kmgre": KmgreModel,
    "spert": SpertModel,
    "joint": JointModel,
}
"""Model class by the name that recipes use."""


def _push(*arguments: Any, **options: Any) -> Any:
    """Push a model or pipeline with its card; the code that renders cards is imported only here."""
    from .push import push_model

    return push_model(*arguments, **options)


for _model in SYSTEMS.values():
    AutoConfig.register(_model.config_class.model_type, _model.config_class, exist_ok=True)
    AutoModel.register(_model.config_class, _model, exist_ok=True)
DocREPreTrainedModel.pipeline_class = DocRelationExtractionPipeline
DocREPreTrainedModel.hub_push = staticmethod(_push)
DocREPreTrainedModel.hub_start = staticmethod(start_model)
install_metric()
register(default_model())

__all__ = [
    "SYSTEMS",
    "AtlopConfig",
    "AtlopModel",
    "DocREConfig",
    "DocREOutput",
    "DocREPreTrainedModel",
    "DocRelationExtractionPipeline",
    "JerexConfig",
    "JerexModel",
    "JointConfig",
    "JointModel",
    "KmgreConfig",
    "KmgreModel",
    "MemoryJerexConfig",
    "MemoryJerexModel",
    "Predictor",
    "SpertConfig",
    "SpertModel",
]
