"""A recipe and flags as groups of options: the flags of a system are the options of its configuration."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from difflib import get_close_matches
from inspect import cleandoc
from pathlib import Path
from typing import Any, NoReturn, get_args, get_type_hints

import torch
import yaml
from transformers import HfArgumentParser, PreTrainedConfig

from modeling_docre.hub.resources import bundled_recipes, resource
from modeling_docre.modeling_docre import DocREPreTrainedModel

_BASE_FIELDS = frozenset(item.name for item in dataclasses.fields(PreTrainedConfig))


class _Parser(HfArgumentParser):
    """A parser whose errors are one line, as those of the other commands."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(2)


def parse_recipe(
    arguments: Sequence[str],
    groups: Sequence[type],
    systems: Mapping[str, type[DocREPreTrainedModel]],
    description: str | None = None,
) -> tuple[Any, ...]:
    """The groups of options from an optional recipe and flags, and the system's options that were given.

    Args:
        arguments: the command line; its first word is a recipe (see `find_recipe`) unless it is a flag. Flags win.
        groups: dataclasses of options; the first one has the field `system`, one is that of the training arguments.
        systems: model class by name; its `training_defaults` are the defaults of its training.
        description: what `--help` says first.

    Raises:
        SystemExit: an option is unknown or has a wrong value; the message names it.
        FileNotFoundError: there is no such recipe.
        ValueError: the recipe is not one.
    """
    arguments = list(arguments)
    recipe = find_recipe(arguments.pop(0)) if arguments and not arguments[0].startswith("-") else None
    named = _read_recipe(recipe) if recipe else {}
    arguments = [text for name, value in named.items() for text in _as_flags(name, value)] + arguments
    model_class = systems[_system(arguments, groups[0], systems)]
    groups = (*groups, system_options(model_class))
    parser: Any = _Parser(
        groups,
        prog="docre train",
        usage="%(prog)s [RECIPE] [--option value ...]",
        allow_abbrev=False,
        description=description,
    )
    parser.set_defaults(**model_class.training_defaults)
    if model_class.mixed_precision and not any(text.startswith("--use_cpu") for text in arguments):
        parser.set_defaults(**precision_of_the_device())
    described = _descriptions([*groups, model_class.config_class])
    for action in parser._actions:  # argparse shows the default of an option only beside a text
        action.help = action.help or f"{described.get(action.dest, '')} (default: %(default)s)".strip()
    known = [item.name for group in groups for item in dataclasses.fields(group) if item.init]
    for name in named:
        if name not in known:
            parser.error(f"{recipe} has the unknown option {name!r}{_suggestion(name, known)}")
    *parsed, chosen, unknown = parser.parse_args_into_dataclasses(
        arguments, return_remaining_strings=True, look_for_args_file=False
    )
    if unknown:
        parser.error(f"unknown option {unknown[0]!r}{_suggestion(unknown[0].lstrip('-'), known)}")
    flags = [text.partition("=")[0].replace("-", "_") for text in arguments if text.startswith("--")]
    given = {flag[2:].removeprefix("no_") for flag in flags}
    return (*parsed, {name: value for name, value in vars(chosen).items() if name in given})


def _system(arguments: Sequence[str], group: Any, systems: Mapping[str, Any]) -> str:
    """The system that the arguments name, on which the other options depend."""
    # Abbreviations would let a misspelt option pass for another one.
    peek = _Parser([], prog="docre train", add_help=False, allow_abbrev=False)
    peek.add_argument("--system", default=group.system, choices=sorted(systems))
    return peek.parse_known_args(arguments)[0].system


def _descriptions(kinds: Iterable[type]) -> dict[str, str]:
    """What the docstrings of classes and their bases say of options, by name, as argparse reads it."""
    described: dict[str, str] = {}
    for base in (base for kind in kinds for base in reversed(kind.__mro__)):
        options = cleandoc(base.__doc__ or "").partition("\nArgs:\n")[2].partition("\n\n")[0]
        for names, text in re.findall(r"^    (\w+(?:, \w+)*): (.*(?:\n {6,}.*)*)", options, re.MULTILINE):
            described |= dict.fromkeys(names.split(", "), " ".join(text.split()).replace("%", "%%"))
    return described


def system_options(model_class: type[DocREPreTrainedModel]) -> type:
    """A dataclass of the options of a system's configuration that a flag can set."""
    config_class = model_class.config_class
    own = [item for item in dataclasses.fields(config_class) if item.name not in _BASE_FIELDS and _is_flag(item)]
    hints = get_type_hints(config_class, localns={"torch": torch})  # transformers imports torch for its hints only
    flags = [(item.name, _flag_type(hints[item.name]), field(default=item.default)) for item in own]
    return dataclasses.make_dataclass("SystemOptions", flags)


def _is_flag(option: dataclasses.Field) -> bool:
    return option.default is not dataclasses.MISSING and option.name != "encoder_config"


def _flag_type(hint: Any) -> Any:
    """The type of a flag; options that take whole and other numbers alike become one type."""
    kinds = get_args(hint)
    if float not in kinds:
        return hint
    return float | None if type(None) in kinds else float


def precision_of_the_device() -> dict[str, bool]:
    """The training argument for mixed precision on this machine's GPU; none where there is no GPU."""
    if not torch.cuda.is_available():
        return {}
    return {"bf16": True} if torch.cuda.is_bf16_supported() else {"fp16": True}


def find_recipe(name: str) -> Path:
    """The file of a recipe.

    Args:
        name: path of a YAML file, or the name of a bundled recipe, e.g. `jerex_sample`.

    Raises:
        FileNotFoundError: there is neither.
    """
    if Path(name).is_file():
        return Path(name)
    known = bundled_recipes()
    if name in known:
        return resource(f"recipes/{name}.yaml")
    close = get_close_matches(Path(name).stem, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"bundled recipes: {', '.join(known)}"
    raise FileNotFoundError(f"there is no recipe {name!r}, neither a file nor a bundled one; {hint}")


def _read_recipe(file: Path) -> dict[str, Any]:
    """The options of a recipe as on a command line: text or a list of it, JSON for a mapping, None for no value.

    YAML reads `no` as a boolean and `010` as eight; what an option makes of its text is for the option to say.
    """
    try:
        loader = yaml.SafeLoader(file.read_text(encoding="utf-8-sig"))
        node = loader.get_single_node()
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            kind = type(loader.construct_object(node)).__name__
            raise ValueError(f"{file} holds {kind}; a recipe is a YAML file of lines `option: value`")
        options: dict[str, Any] = {}
        for key, value in node.value:
            if key.value in options:
                raise ValueError(f"{file} names {key.value!r} twice; give each option once")
            options[str(key.value)] = _as_texts(value, loader)
        return options
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not in UTF-8 ({error}); save it in that encoding") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is not YAML: {' '.join(str(error).split())}") from error


def _as_texts(node: yaml.Node, loader: yaml.SafeLoader) -> str | list[str] | None:
    if isinstance(node, yaml.MappingNode):
        return json.dumps(loader.construct_object(node, deep=True))
    if isinstance(node, yaml.SequenceNode):
        return [str(item.value) for item in node.value]
    return None if node.tag.endswith(":null") else str(node.value)


def _as_flags(name: str, value: str | list[str] | None) -> list[str]:
    if isinstance(value, list):
        return [f"--{name}", *value]
    return [] if value is None else [f"--{name}={value}"]


def _suggestion(name: Any, known: Sequence[str]) -> str:
    close = get_close_matches(str(name), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "; --help lists all options"
