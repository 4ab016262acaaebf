"""What no configuration may hold, wherever it came from: sizes beyond reason, labels that are no names, foreign code.

A configuration file may be anyone's. These checks look at values alone, before anything is built or loaded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LAYERS = 1_000
"""Most layers of an encoder: each is built one by one, whatever the weights file holds."""

SIZE = 2**24
"""Largest whole number of an encoder: no vocabulary, position table or width is near it."""

OWN_SIZE = 2**20
"""Largest whole number among a system's own options, but for counts of training updates."""

LABELS = 100_000
LABEL_LENGTH = 500

_COUNTS = frozenset(["expectation_updates"])
_POSITIVE = frozenset(["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"])
_CODE = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")


def check_labels(name: str, labels: Sequence[str]) -> None:
    """Refuse labels that stand twice, are too many, or are no names: empty, of several lines, a way out of a folder."""
    if len(labels) > LABELS:
        raise ValueError(f"{name} has {len(labels)} labels; give at most {LABELS}")
    if repeated := sorted(label for label, count in Counter(labels).items() if count > 1):
        raise ValueError(f"{name} names {repeated[0]!r} twice; give each label once")
    for label in labels:
        if fix := label_fix(label):
            raise ValueError(f"{name} has the label {label[:40]!r}; {fix}")


def label_fix(label: str) -> str | None:
    """What to give instead of a label that is no name; None for a good one."""
    if not label.strip() or not label.isprintable() or len(label) > LABEL_LENGTH:
        return f"give one line of 1 to {LABEL_LENGTH} printable characters"
    if ".." in re.split(r"[/\\]", label):
        return "this is a path out of a folder; give it another name"
    return None


def check_sizes(options: Mapping[str, Any]) -> None:
    """Refuse options of a system that no machine could hold."""
    for name, value in options.items():
        if _is_whole(value) and name not in _COUNTS and abs(value) > OWN_SIZE:
            raise ValueError(f"{name} is {value}; give a whole number of at most {OWN_SIZE}")


def check_encoder(options: Mapping[str, Any], trusted: bool = False) -> None:
    """Refuse an encoder that no machine could hold and, unless there is trust in it, one that asks for code of its own.

    Trust is in the encoder alone, not in what is nested in its options.
    """
    for name, value in _leaves({**options, "auto_map": None} if trusted else options):
        if name == "auto_map":
            raise ValueError(
                "encoder_config has an `auto_map`, that is, it asks for remote code of its own; use an encoder that "
                "transformers implements or, if you trust that code, load the model with `trust_remote_code` by "
                "from_pretrained of its own class"
            )
        if not _is_whole(value):
            continue
        limit = LAYERS if "layers" in name else SIZE
        if abs(value) > limit or (name in _POSITIVE and value < 1):
            lowest = 1 if name in _POSITIVE else -limit
            raise ValueError(f"encoder_config has {name} = {value}; give a whole number from {lowest} to {limit}")


def check_code(auto_map: Any) -> None:
    """Refuse a file that names code of another repository, or a path: the classes of its own folder are enough."""
    named = auto_map if isinstance(auto_map, Mapping) else {"auto_map": auto_map}
    for auto_class, place in named.items():
        if not isinstance(place, str) or not _CODE.fullmatch(place):
            raise ValueError(
                f"auto_map has {place!r} for {auto_class}, which is not a class of the model's own folder "
                "(`module.Class`); remove it from config.json, and load the model with the package installed"
            )


def check_language(code: str) -> None:
    """Refuse what is no language code: spaCy imports a module by it."""
    if not re.fullmatch("[a-z]{2,3}", code):
        raise ValueError(f"language is {code[:40]!r}; give a language code of spaCy, two or three letters such as 'en'")


def _leaves(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values, those of nested options too; an `auto_map` counts as one value."""
    for name, value in options.items():
        if isinstance(value, Mapping) and name != "auto_map":
            yield from _leaves(value)
        elif name != "auto_map" or value:
            yield name, value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
