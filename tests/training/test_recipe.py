"""Recipes and flags as groups of options."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

import pytest
import torch

from modeling_docre import SYSTEMS
from modeling_docre.training import recipe, run
from modeling_docre.training.arguments import DocRETrainingArguments


@dataclass
class Which:
    """Options that name the system."""

    system: str = field(default="jerex", metadata={"choices": sorted(SYSTEMS)})
    folder: str = "here"


REPOSITORY = Path(__file__).resolve().parents[2]


def parse(*arguments: str) -> tuple:
    which, _, options = recipe.parse_recipe(arguments, [Which, DocRETrainingArguments], SYSTEMS)
    return which, options


def test_the_flags_of_a_system_are_the_options_of_its_configuration():
    for name, model_class in SYSTEMS.items():
        own = {item.name: item.default for item in fields(recipe.system_options(model_class))}
        config = model_class.config_class()
        assert {"long_input", "relation_types"} & own.keys() == {"long_input"}  # lists come from the corpus
        assert all(default == type(config).__dataclass_fields__[key].default for key, default in own.items()), name
    assert "relation_head" in {item.name for item in fields(recipe.system_options(SYSTEMS["jerex"]))}
    assert "relation_head" not in {item.name for item in fields(recipe.system_options(SYSTEMS["atlop"]))}


def test_flags_win_over_the_recipe_and_only_given_options_return(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text("system: kmgre\nfolder: there\nxi: 0.1\nshared_encoder: true\n")
    which, options = parse(str(file), "--xi", "0.2", "--no_key_classifier")
    assert which == Which("kmgre", "there")
    assert options == {"xi": 0.2, "shared_encoder": True, "key_classifier": False}
    assert parse() == (Which(), {})


def test_a_recipe_is_found_by_path_or_bundled_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert recipe.find_recipe("jerex_sample").samefile(REPOSITORY / "recipes" / "jerex_sample.yaml")
    assert run.parse_arguments(["kmgre_sample", "--use_cpu"])[0].system == "kmgre"
    (tmp_path / "kmgre_sample").write_text("system: atlop\n")
    assert recipe.find_recipe("kmgre_sample") == Path("kmgre_sample"), "a file of the name comes first"
    with pytest.raises(FileNotFoundError, match=r"no recipe 'recipes/jerex_sampel.yaml'.*did you mean 'jerex_sample'"):
        parse("recipes/jerex_sampel.yaml")
    with pytest.raises(FileNotFoundError, match=r"no recipe 'xyz'.*bundled recipes: atlop_cdr, "):
        parse("xyz")


def test_each_bundled_recipe_says_in_one_line_what_it_is_for():
    recipes = recipe.bundled_recipes()
    assert recipes.keys() == {file.stem for file in (REPOSITORY / "recipes").glob("*.yaml")}
    for name, line in recipes.items():
        assert 20 < len(line) <= 110 and line.endswith(".") and line[0].isupper(), name
    assert len(set(recipes.values())) == len(recipes)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--sytem", "atlop"], ["--sytem", "'system'"]),
        (["--system", "atlop", "--relation_head", "global"], ["--relation_head"]),
        (["--system", "bert"], ["bert", "atlop"]),
        (["--system", "kmgre", "--xi", "much"], ["--xi", "much"]),
    ],
)
def test_what_is_unknown_is_named(arguments, parts, capsys):
    with pytest.raises(SystemExit):
        parse(*arguments)
    message = capsys.readouterr().err
    assert all(part in message for part in parts)


@pytest.mark.parametrize(("content", "parts"), [("- a\n- b\n", ["r.yaml", "list"]), ("xi: 1\n", ["r.yaml", "'xi'"])])
def test_a_recipe_that_is_none_is_named(content, parts, tmp_path, capsys):
    file = tmp_path / "r.yaml"
    file.write_text(content)
    with pytest.raises((SystemExit, ValueError)) as caught:
        parse(str(file))
    message = f"{caught.value}{capsys.readouterr().err}"
    assert all(part in message for part in parts)


@pytest.mark.parametrize(
    ("cuda", "bfloat16", "wanted"),
    [(False, False, {}), (True, True, {"bf16": True}), (True, False, {"fp16": True})],
)
def test_precision_follows_the_device(cuda, bfloat16, wanted, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bfloat16)
    assert recipe.precision_of_the_device() == wanted


@pytest.mark.parametrize(
    ("flags", "asked"), [(["--system", "atlop"], True), (["--system", "atlop", "--use_cpu"], False), ([], False)]
)
def test_mixed_precision_is_the_default_of_systems_whose_paper_has_it(flags, asked, monkeypatch) -> None:
    # Another option stands for the precision, which the arguments would refuse on a machine without a GPU.
    monkeypatch.setattr(recipe, "precision_of_the_device", lambda: {"logging_steps": 7})
    assert (run.parse_arguments(flags)[2].logging_steps == 7) == asked
    assert run.parse_arguments([*flags, "--logging_steps", "9"])[2].logging_steps == 9
