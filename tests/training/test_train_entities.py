"""train.py on relations between given entities: ATLOP's settings and recipes, fitted thresholds, hidden labels."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from samples import ANNA, OTTO
from tiny import tiny_encoder, tiny_tokenizer

from metrics.docre_f1.scores import compute_scores
from modeling_docre import AtlopConfig, AtlopModel, Candidate, Document, Predictor, to_result_records, write_docred
from modeling_docre.training import run
from modeling_docre.training.arguments import DocRETrainingArguments
from modeling_docre.training.thresholds import fit_relation_thresholds, relation_grid

REPOSITORY = Path(__file__).resolve().parents[2]
FIVE = [
    replace(document, id=f"{document.id} {number}") for number, document in enumerate((ANNA, OTTO, ANNA, OTTO, ANNA))
]
PAPER = {
    "learning_rate": 5e-5,
    "head_learning_rate": 1e-4,
    "weight_decay": 0.0,
    "warmup_steps": 0.06,
    "adam_epsilon": 1e-6,
    "num_train_epochs": 30,
    "per_device_train_batch_size": 4,
    "max_grad_norm": 1.0,
    "negatives_relation": -1,
}
"""ATLOP section 6.1 and its release, for DocRED with BERT."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder and files in DocRED's JSON; those of the test split have no labels."""
    folder = tmp_path_factory.mktemp("data")
    tiny_encoder().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    write_docred(FIVE, folder / "train.json")
    write_docred(FIVE[:3], folder / "validation.json")
    write_docred(FIVE[2:], folder / "test.json")
    hidden = json.loads((folder / "test.json").read_text())
    for record in hidden:
        del record["labels"]
    (folder / "test.json").write_text(json.dumps(hidden))
    return folder


def trained(data: Path, output: Path, *flags: str, splits: tuple[str, ...] = ("train", "validation")) -> dict[str, Any]:
    """Train a tiny ATLOP and return its configuration."""
    files = [text for split in splits for text in (f"--{split}_file", str(data / f"{split}.json"))]
    tiny = [
        "--encoder",
        str(data),
        "--pair_size",
        "24",
        "--bilinear_groups",
        "3",
        "--use_cpu",
        "--disable_tqdm",
        "true",
    ]
    run.main(["--system", "atlop", *tiny, *files, "--output_dir", str(output), "--learning_rate", "5e-3", *flags])
    return json.loads((output / "config.json").read_text())


def read(file: Path) -> Any:
    return json.loads(file.read_text())


# --- settings -----------------------------------------------------------------------------------------------------


def settings(*arguments: str) -> tuple[DocRETrainingArguments, dict[str, Any]]:
    *_, training, options = run.parse_arguments([*arguments, "--use_cpu"])
    return training, options


def test_the_papers_settings_are_the_defaults_of_the_system(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    training, options = settings("--system", "atlop")
    assert {name: getattr(training, name) for name in PAPER} == PAPER and options == {}
    assert {name: getattr(settings("--system=atlop")[0], name) for name in PAPER} == PAPER
    jerex = settings("--system", "jerex")[0]
    assert (jerex.head_learning_rate, jerex.weight_decay, jerex.negatives_relation) == (None, 0.01, 200)

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("system: atlop\nhead_learning_rate: 3e-4\nweight_decay: 0.1\ntop_k: 1\n")
    training, options = settings(str(recipe), "--weight_decay", "0.2", "--entity_markers", "none")
    assert (training.head_learning_rate, training.weight_decay, training.adam_epsilon) == (3e-4, 0.2, 1e-6)
    assert options == {"top_k": 1, "entity_markers": "none"}
    with pytest.raises(SystemExit):
        settings("--system", "jerex", "--top_k", "1")
    with pytest.raises(SystemExit):
        settings("--system", "atlop", "--max_span_size", "3")

    capsys.readouterr()
    for system, shown in (("atlop", {**PAPER, "top_k": 4}), ("jerex", {"num_train_epochs": 20.0})):
        with pytest.raises(SystemExit):
            run.main(["--system", system, "--help"])
        blocks = [block.split() for block in capsys.readouterr().out.split("\n  --")]
        told = {block[0].rstrip(","): " ".join(block).partition("(default: ")[2].partition(")")[0] for block in blocks}
        assert {name: float(told[name]) for name in shown} == shown


RECIPES = {  # encoder, corpus, learning rate, documents per update, epochs, markers, most classes
    "atlop_docred_bert": ("bert-base-cased", "docred", 5e-5, 4, 30, "star_per_token", 4),
    "atlop_docred_baseline": ("bert-base-cased", "docred", 5e-5, 4, 30, "none", 4),
    "atlop_docred_enhanced_baseline": ("bert-base-cased", "docred", 5e-5, 4, 30, "star_per_token", 4),
    "atlop_docred_roberta_large": ("roberta-large", "docred", 3e-5, 4, 30, "star_per_token", 4),
    "atlop_re_docred": ("bert-base-cased", "re_docred", 5e-5, 4, 30, "star_per_token", 4),
    "atlop_re_docred_minilm": ("offline", "re_docred", 5e-5, 4, 10, "star_per_token", 4),
    "atlop_cdr": ("allenai/scibert_scivocab_cased", "cdr", 2e-5, 4, 30, "star_per_mention", 1),
    "atlop_cdr_minilm": ("offline", "cdr", 5e-5, 4, 10, "star_per_mention", 1),
    "atlop_gda": ("allenai/scibert_scivocab_cased", "gda", 2e-5, 16, 10, "star_per_mention", 1),
}
BASELINE = {"loss": "bce", "threshold": "global", "localized_context": False}
CHANGED = {  # what Table 5 takes away
    "atlop_docred_enhanced_baseline": BASELINE,
    "atlop_docred_baseline": {**BASELINE, "mention_pool": "mean", "bilinear_groups": 1},
}


def test_recipes_hold_what_the_release_sets_per_corpus() -> None:
    for name in RECIPES:
        model, data, training, options = run.parse_arguments(
            [str(REPOSITORY / "recipes" / f"{name}.yaml"), "--use_cpu"]
        )
        config = AtlopConfig(relation_types=["a"], **options)
        updates = training.per_device_train_batch_size * training.gradient_accumulation_steps
        said = (model.encoder, data.corpus, training.learning_rate, updates, training.num_train_epochs)
        assert (*said, config.entity_markers, config.top_k) == RECIPES[name]
        said = {option: value for option, value in options.items() if option not in ("entity_markers", "top_k")}
        assert said == CHANGED.get(name, {})
        fixed = PAPER.keys() - {"learning_rate", "num_train_epochs", "per_device_train_batch_size"}
        assert {name: getattr(training, name) for name in fixed} == {name: PAPER[name] for name in fixed}
        assert training.metric_for_best_model == "eval_relation_f1" and training.load_best_model_at_end


def test_every_recipe_of_atlop_makes_a_configuration() -> None:
    recipes = sorted((REPOSITORY / "recipes").glob("atlop_*.yaml"))
    assert {recipe.stem for recipe in recipes} >= RECIPES.keys()
    for recipe in recipes:
        model, data, _, options = run.parse_arguments([str(recipe), "--use_cpu"])
        assert model.system == "atlop" and (REPOSITORY / "dataset_scripts" / f"{data.corpus}.py").exists()
        AtlopConfig(relation_types=["a"], **options)


# --- whole runs ---------------------------------------------------------------------------------------------------


def test_a_run_on_docred_files_ends_with_model_predictions_scores_and_card(data: Path, tmp_path: Path) -> None:
    config = trained(data, tmp_path, "--num_train_epochs", "2", splits=("train", "validation", "test"))
    assert (config["model_type"], config["threshold"], config["relation_threshold"]) == ("docre-atlop", "adaptive", 0.5)
    assert (config["entity_types"], config["relation_types"]) == (["LOC", "ORG", "PER"], ["born", "seat", "works"])
    assert {"README.md", "model.safetensors", "modeling_atlop.py", "pipeline_docre.py", "tokenizer.json"} <= {
        file.name for file in tmp_path.iterdir()
    }
    predictor = Predictor(AtlopModel.from_pretrained(tmp_path), tiny_tokenizer())
    for split, documents in (("validation", FIVE[:3]), ("test", FIVE[2:])):
        predictions = [Document.from_dict(item) for item in read(tmp_path / split / "predictions.json")]
        bare = [replace(document, relations=()) for document in documents]
        again = predictor.predict(bare)
        assert [item.id for item in predictions] == [item.id for item in documents]
        told = [[(r.head, r.tail, r.type, pytest.approx(r.score, abs=1e-5)) for r in item.relations] for item in again]
        assert [[(r.head, r.tail, r.type, r.score) for r in item.relations] for item in predictions] == told
        assert read(tmp_path / split / "result.json") == to_result_records(predictions) != []
    scores = read(tmp_path / "validation" / "scores.json")
    assert {"relation_f1", "ign_f1", "intra_f1", "per_type"} <= scores.keys() and scores["relation_f1"] > 0
    assert (scores["documents"], scores["thresholds"]) == (3, {"relation_threshold": 0.5})
    card = (tmp_path / "README.md").read_text()
    assert "# ATLOP on own documents" in card and "Zhou et al., AAAI 2021" in card and "entities=" in card
    # What the test documents state is hidden, so nothing is told of how good the predictions are.
    assert not any("f1" in name for name in read(tmp_path / "test" / "scores.json"))
    found = re.search(r"\| relation \|.*\| ([\d.]+) \|$", card, re.MULTILINE)
    assert found and float(found[1]) == pytest.approx(100 * scores["relation_f1"], abs=0.1)
    assert "(own documents, validation)" in card and "| entity |" not in card


def fit(config: Any, scored: list[Document], references: list[Document]) -> None:
    ranking = compute_scores(scored, references, entities_given=True, ranking=True)["ranking"]
    fit_relation_thresholds(config, ranking)


@pytest.mark.parametrize("threshold", ["global", "per_class"])
def test_thresholds_are_fitted_to_the_best_checkpoint(threshold: str, data: Path, tmp_path: Path) -> None:
    # The best is the first here, so that it is not the one that was evaluated last.
    worst = ["--greater_is_better", "false", "--save_total_limit", "9"]
    config = trained(data, tmp_path, "--loss", "bce", "--threshold", threshold, "--num_train_epochs", "6", *worst)
    state = read(tmp_path / "checkpoint-6" / "trainer_state.json")
    best = Path(state["best_model_checkpoint"])
    assert best.name != "checkpoint-6"
    model = AtlopModel.from_pretrained(best)
    scored = Predictor(model, tiny_tokenizer()).predict(FIVE[:3], relation_threshold=relation_grid(model.config)[0])
    fit(model.config, scored, FIVE[:3])
    fitted = model.config.thresholds_in_force()
    assert (
        {name: config[name] for name in fitted} == fitted == read(tmp_path / "validation" / "scores.json")["thresholds"]
    )
    last = read(tmp_path / "checkpoint-6" / "config.json")
    assert {name: last[name] for name in fitted} != fitted
    assert read(tmp_path / "validation" / "scores.json")["relation_f1"] == pytest.approx(state["best_metric"])


def test_fixed_thresholds_need_validation_documents_before_training_starts(data: Path, tmp_path: Path) -> None:
    fixed = ["--loss", "bce", "--threshold", "global"]
    quiet = ["--eval_strategy", "no", "--load_best_model_at_end", "false"]
    for flags in (fixed, ["--tune"]):
        with pytest.raises(ValueError, match=r"scores are fitted to the validation documents, and there are none"):
            trained(data, tmp_path, *quiet, *flags, splits=("train",))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Exception, match='threshold is "global", and the adaptive-threshold loss'):
        trained(data, tmp_path, "--threshold", "global")


def test_tune_moves_an_adaptive_threshold_to_the_best_score(data: Path, tmp_path: Path) -> None:
    config = trained(data, tmp_path / "a", "--num_train_epochs", "3", "--tune")
    model = AtlopModel.from_pretrained(tmp_path / "a")
    predictor = Predictor(model, tiny_tokenizer())
    scored = predictor.predict(FIVE[:3], relation_threshold=0.1)
    fit(model.config, scored, FIVE[:3])
    assert config["relation_threshold"] == model.config.relation_threshold
    tuned = ["--init_from", str(tmp_path / "a"), "--no_do_train"]
    untuned = trained(data, tmp_path / "b", *tuned, "--relation_threshold", "0.9")
    assert untuned["relation_threshold"] == 0.9  # an evaluation alone fits nothing
    f1 = {name: read(tmp_path / name / "validation" / "scores.json")["relation_f1"] for name in ("a", "b")}
    assert f1["a"] >= f1["b"]


def test_a_corpus_with_candidates_is_trained_and_scored_on_them(data: Path, tmp_path: Path) -> None:
    asked = (Candidate(0, 1), Candidate(0, 2), Candidate(3, 2), Candidate(3, 1, scored=False))
    documents = [replace(ANNA, id=f"anna {number}", candidates=asked) for number in range(4)]
    file = tmp_path / "documents.jsonl"
    file.write_text("".join(json.dumps(document.to_dict()) + "\n" for document in documents))
    flags = ["--train_file", str(file), "--validation_file", str(file), "--num_train_epochs", "1", "--top_k", "0"]
    trained(data, tmp_path / "o", *flags, "--relation_threshold", "0", splits=())
    predictions = read(tmp_path / "o" / "validation" / "predictions.json")
    pairs = {(relation["head"], relation["tail"]) for item in predictions for relation in item["relations"]}
    assert pairs == {(0, 1), (0, 2), (3, 2)}
    scores = read(tmp_path / "o" / "validation" / "scores.json")
    assert (scores["relation_precision"], scores["relation_recall"]) == (4 / 9, 1.0)
