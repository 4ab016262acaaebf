"""Recipes and flags as groups of options."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

import pytest
import torch

from modeling_docre import SYSTEMS
from modeling_docre.hub.resources import bundled_recipes
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


def test_the_help_says_what_the_docstrings_say(capsys):
    with pytest.raises(SystemExit):
        parse("--system", "joint", "--help")
    shown = " ".join(capsys.readouterr().out.split())
    for text in (
        "whether the encoder also sees how a word is written: in lower case, with a capital first, in capitals; for",
        "largest share of the negative spans that lie inside a gold mention. (default: 0.5)",
        "the `Scaling` of relation logits; thresholds are of the scaled scores. (default: 0.0)",
    ):
        assert text in shown
    assert "(default: (default:" not in shown


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
    recipes = bundled_recipes()
    assert recipes.keys() == {file.stem for file in (REPOSITORY / "recipes").glob("*.yaml")}
    for name, line in recipes.items():
        assert 20 < len(line) <= 110 and line.endswith(".") and line[0].isupper(), name
    assert len(set(recipes.values())) == len(recipes)


def test_what_is_unknown_is_named(capsys):
    for arguments, parts in [
        (["--sytem", "atlop"], ["--sytem", "'system'"]),
        (["--system", "atlop", "--relation_head", "global"], ["--relation_head"]),
        (["--system", "bert"], ["bert", "atlop"]),
        (["--system", "kmgre", "--xi", "much"], ["--xi", "much"]),
    ]:
        with pytest.raises(SystemExit):
            parse(*arguments)
        message = capsys.readouterr().err
        assert message.startswith("docre train: ") and message.count("\n") == 1
        assert all(part in message for part in parts), message


def test_a_recipe_that_is_none_is_named(tmp_path, capsys):
    file = tmp_path / "r.yaml"
    for content, parts in {
        "- a\n- b\n": ["holds list", "option: value"],
        "text": ["holds str"],
        "xi: 1\n": ["unknown option 'xi'"],
        "folder: [a\nsystem: atlop\n": ["is not YAML", "line 2"],
        "folder: a\nfolder: b\n": ["'folder' twice"],
        "folder: {a: [1}\n": ["is not YAML"],
    }.items():
        file.write_text(content, encoding="utf-8")
        with pytest.raises((SystemExit, ValueError)) as caught:
            parse(str(file))
        message = f"{caught.value}{capsys.readouterr().err}"
        assert all(part in message for part in ["r.yaml", *parts]), message
    file.write_bytes("folder: Łódź\n".encode("latin2"))
    with pytest.raises(ValueError, match=r"r\.yaml is not in UTF-8"):
        parse(str(file))


def test_an_option_gets_the_text_that_the_recipe_has(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(
        "eval_strategy: no\nload_best_model_at_end: no\nlanguage: no\nencoder: 010\nentity_repr: yes\n"
        "symmetric_relations: [null, N/A, on, 1.0, Łódź]\nhead_learning_rate: ~\nmetric_for_best_model:\n"
        "lr_scheduler_kwargs: {a: 1, b: [true]}\nuse_cpu: true\n",
        encoding="utf-8-sig",
    )
    model, data, training, options = run.parse_arguments([str(file)])
    assert (model.encoder, training.eval_strategy, training.load_best_model_at_end) == ("010", "no", False)
    assert data.symmetric_relations == ["null", "N/A", "on", "1.0", "Łódź"]
    assert training.head_learning_rate is None and training.lr_scheduler_kwargs == {"a": 1, "b": [True]}
    assert options == {"language": "no", "entity_repr": True}


def test_precision_follows_the_device(monkeypatch) -> None:
    for cuda, bfloat16, wanted in [(False, False, {}), (True, True, {"bf16": True}), (True, False, {"fp16": True})]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda bfloat16=bfloat16: bfloat16)
        assert recipe.precision_of_the_device() == wanted


def test_mixed_precision_is_the_default_of_systems_whose_paper_has_it(monkeypatch) -> None:
    for flags, asked in [(["--system", "atlop"], True), (["--system", "atlop", "--use_cpu"], False), ([], False)]:
        # Another option stands for the precision, which the arguments would refuse on a machine without a GPU.
        monkeypatch.setattr(recipe, "precision_of_the_device", lambda: {"logging_steps": 7})
        assert (run.parse_arguments(flags)[2].logging_steps == 7) == asked
        assert run.parse_arguments([*flags, "--logging_steps", "9"])[2].logging_steps == 9
