"""What every configuration is checked for, wherever it came from: its version, sizes, labels, language, and code.

A configuration file may be anyone's. These checks look at values alone, before anything is built or loaded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from rapidfuzz import fuzz, utils

__version__ = "0.2.0"
"""The version of this package, which every configuration names that it writes."""

SIZE = 2**24
"""Largest whole number of a configuration: no vocabulary, position table, width or count is near it."""

LABEL_LENGTH = 500

_CODE = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")


def closest(name: Any, known: Iterable[str], labels: Mapping[str, str] | None = None) -> str:
    """The five of what is known that a name resembles most, by itself or by its label, and how many more there are."""
    labels = labels or {}
    alike = partial(fuzz.ratio, str(name), processor=utils.default_process)
    ranked = sorted(known, key=lambda kind: max(alike(kind), alike(labels.get(kind, kind))), reverse=True)
    shown = ", ".join(f"{kind} ({labels[kind]})" if kind in labels else kind for kind in ranked[:5])
    return f"{shown} and {len(ranked) - 5} more" if len(ranked) > 5 else shown


def check_version(written: Any) -> None:
    """Refuse a configuration that a newer major or minor version wrote; None names no version and passes."""
    if written is None:
        return
    if not isinstance(written, str) or not (found := re.match(r"(\d+)\.(\d+)", written)):
        raise ValueError(f"docre_version is {written!r}; give a version such as {__version__!r}, or remove it")
    if tuple(map(int, found.groups())) > tuple(map(int, __version__.split(".")[:2])):
        fix = f"install {written} or later"
        raise ValueError(f"modeling-docre {written} wrote this checkpoint, and this is {__version__}; {fix}")


def check_sizes(options: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse unreasonably large sizes, also in nested options."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            check_sizes(value, f"{prefix}{name}.")
        elif isinstance(value, int) and abs(value) > SIZE:
            raise ValueError(f"{prefix}{name} is {value}, which is unreasonably large; give at most {SIZE}")


def check_labels(name: str, labels: Sequence[str]) -> None:
    """Refuse duplicate labels, and labels that are empty, too long, not printable, or a path out of a folder."""
    if repeated := sorted(label for label, count in Counter(labels).items() if count > 1):
        raise ValueError(f"{name} has the duplicate label {repeated[0]!r}; give each label once")
    for label in labels:
        if fix := label_fix(label):
            raise ValueError(f"{name} has the label {label[:40]!r}; {fix}")


def check_signatures(triples: Any, relation_types: Sequence[str], entity_types: Sequence[str]) -> None:
    """Refuse anything but lists of a relation type and the types of head and tail; no entity types admit any."""
    form = "[relation type, type of the head, type of the tail]"
    if isinstance(triples, str) or not isinstance(triples, Sequence):
        raise ValueError(f"signatures is {triples!r}; give a list of {form}")
    for triple in triples:
        if isinstance(triple, str) or not isinstance(triple, Sequence) or len(triple) != 3:
            raise ValueError(f"signatures has {triple!r}; give lists {form}")
        for position, name in enumerate(triple):
            option, types = ("entity_types", entity_types) if position else ("relation_types", relation_types)
            if not isinstance(name, str) or ((types or not position) and name not in types):
                known = f"the model knows {closest(name, types)}"
                raise ValueError(f"signatures names {name!r}, which is not among {option}; {known}")


def label_fix(label: str) -> str | None:
    """How to mend an invalid label; None for a valid one."""
    if not label.strip() or not label.isprintable() or len(label) > LABEL_LENGTH:
        return f"give one line of 1 to {LABEL_LENGTH} printable characters"
    if ".." in re.split(r"[/\\]", label):
        return "this is a path out of a folder; give it another name"
    return None


def check_language(code: str) -> None:
    """Refuse anything but a language code: spaCy imports a module by it."""
    if not re.fullmatch("[a-z]{2,3}", code):
        raise ValueError(f"language is {code[:40]!r}; give a language code of spaCy, two or three letters such as 'en'")


def check_probabilities(config: Any, *names: str) -> None:
    """Refuse options outside [0, 1]."""
    for name in names:
        if not 0.0 <= getattr(config, name) <= 1.0:
            raise ValueError(f"{name} is {getattr(config, name)}; give a number from 0 to 1")


def check_counts(config: Any, *names: str) -> None:
    """Refuse options below 1."""
    for name in names:
        if getattr(config, name) < 1:
            raise ValueError(f"{name} is {getattr(config, name)}; give a whole number from 1 on")


def check_encoder(options: Mapping[str, Any], trusted: bool = False) -> None:
    """Refuse an encoder of unreasonable size and, unless it is trusted, one that asks for code of its own.

    Trust is in the encoder alone, not in what is nested in its options.
    """
    check_sizes(options, "encoder_config.")
    if _asks_for_code({**options, "auto_map": None} if trusted else options):
        raise ValueError(
            "encoder_config has an `auto_map`: it asks for remote code of its own; use an encoder of transformers or, "
            "if you trust that code, load the model with `trust_remote_code` by from_pretrained of its own class"
        )


def _asks_for_code(options: Mapping[str, Any]) -> bool:
    nested = (value for value in options.values() if isinstance(value, Mapping))
    return bool(options.get("auto_map")) or any(map(_asks_for_code, nested))


def check_code(auto_map: Any) -> None:
    """Refuse code of another repository, and paths: a file may only name classes of its own folder."""
    named = auto_map if isinstance(auto_map, Mapping) else {"auto_map": auto_map}
    for auto_class, place in named.items():
        if not isinstance(place, str) or not _CODE.fullmatch(place):
            raise ValueError(
                f"auto_map has {place!r} for {auto_class}, which is not a class of the model's own folder "
                "(`module.Class`); remove it from config.json, and load the model with the package installed"
            )
