"""Encoders with code of their own: it runs only where the user trusts the repository, and travels with the model.

Without such trust a configuration that asks for code is refused. Trust is given by `trust_remote_code` in
`from_encoder`, and in `from_pretrained` of a model or configuration class; where the model's own code runs from a
repository, it was given to that. Where this package is imported, the auto classes do not pass the flag on, and so
refuse such a model.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.dynamic_module_utils import custom_object_save, get_class_from_dynamic_module

_REMOTE = "transformers_modules."
HUB_OPTIONS = ("cache_dir", "force_download", "token", "revision", "local_files_only")
"""The options of `from_pretrained` that say where on the Hub, and how, files are looked for."""

# Whether a model class trusts what it loads, and the place that is trusted while a configuration is read.
_trust: ContextVar[bool] = ContextVar("trust", default=False)
_place: ContextVar[tuple[str, dict[str, Any]] | None] = ContextVar("place", default=None)


def is_remote(item: Any) -> bool:
    """Whether a class, or an object's class, is code from a repository."""
    return (item if isinstance(item, type) else type(item)).__module__.startswith(_REMOTE)


def trusting(trust: bool | None) -> AbstractContextManager[None]:
    """Configurations that are read inside may ask for code from where they lie."""
    return setting(_trust, bool(trust))


def reading_from(
    name: str | os.PathLike, trust: bool | None, options: Mapping[str, Any]
) -> AbstractContextManager[None]:
    """A configuration is read from a folder or repository, whose code it may ask for if there is trust in it."""
    place = (str(name), {key: options[key] for key in HUB_OPTIONS if key in options})
    return setting(_place, place if trust or _trust.get() else None)


@contextmanager
def setting(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    """The variable has the value inside."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def is_trusted() -> bool:
    """Whether the configuration that is being read may ask for code."""
    return _place.get() is not None


def remote_configuration(options: Mapping[str, Any]) -> PreTrainedConfig:
    """The encoder configuration, from its dict form, of a model that is being read, by the class beside the model.

    Raises:
        ValueError: the `auto_map` names no configuration class.
    """
    auto_map = options["auto_map"]
    if not isinstance(auto_map, Mapping) or "AutoConfig" not in auto_map:
        raise ValueError("the auto_map of encoder_config names no AutoConfig; name the encoder's configuration class")
    place, hub_options = _place.get() or ("", {})
    config_class = get_class_from_dynamic_module(auto_map["AutoConfig"], place, **hub_options)
    config = config_class(**{name: value for name, value in options.items() if name != "auto_map"})
    config.auto_map, config._name_or_path, config._commit_hash = dict(auto_map), place, hub_options.get("revision")
    return config


def new_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """An encoder with random weights, by its own code where its configuration's class is such."""
    if not is_remote(config):
        return AutoModel.from_config(config)
    revision = getattr(config, "_commit_hash", None)
    place = config.auto_map["AutoModel"], config.name_or_path
    return get_class_from_dynamic_module(*place, code_revision=revision)._from_config(config)


def without_repository(auto_map: Mapping[str, Any]) -> dict[str, Any]:
    """An `auto_map` that names classes of the folder alone, in which their code is saved."""
    return {
        auto_class: place.rpartition("--")[2]
        for auto_class, place in auto_map.items()
        if isinstance(place, str) and auto_class in ("AutoConfig", "AutoModel")
    }


def save_code(encoder: PreTrainedModel, folder: str | os.PathLike) -> None:
    """Put an encoder's own code beside the model's.

    Raises:
        ValueError: a file of it has the name of a file that is there already, and says something else.
    """
    if not is_remote(encoder):
        return
    before = {file.name: file.read_bytes() for file in Path(folder).glob("*.py")}
    for item in (encoder, encoder.config):
        for file in custom_object_save(item, folder):
            if before.get(file.name, file.read_bytes()) != file.read_bytes():
                fault = f"{type(encoder).__name__} has a file {file.name} of its own, and so has the model"
                raise ValueError(f"{fault}; rename that of the encoder")
