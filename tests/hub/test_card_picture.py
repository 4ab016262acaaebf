"""The picture of a card: a graph that is small enough, of a prediction or of the card's own text, and never stale."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from samples import ANNA, OTTO, build
from tiny import tiny_jerex

from modeling_docre.documents import Document
from modeling_docre.hub.card_picture import EXAMPLE, PICTURE, best_example, in_words
from modeling_docre.hub.cards import folder_facts, write_card, write_folder_card

CROWD = build(
    "crowd",
    ["a b c d e f g h i j k l"],
    [("PER", [(0, n, n + 1)]) for n in range(12)],
    [(0, other, "born") for other in range(1, 12)],
)


def texts(picture: Path) -> list[str]:
    return sorted(
        item.text for item in ElementTree.parse(picture).iter() if item.tag.endswith("text") and item.text is not None
    )


def test_the_graph_with_most_relations_that_fits_is_drawn() -> None:
    best: Any = best_example([CROWD, OTTO, ANNA.to_dict()])
    assert best["id"] == "anna", "the crowd is too large for a small picture"
    alone = build("alone", ["a b c d"], [("X", [(0, n, n + 1)]) for n in range(4)], [(3, 1, "born")])
    kept: Any = best_example([alone])
    assert [entity["mentions"][0]["start"] for entity in kept["entities"]] == [1, 3]
    assert [(item["head"], item["tail"]) for item in kept["relations"]] == [(1, 0)]
    assert in_words(kept) == "d – born – b"
    assert best_example([CROWD, build("none", ["a"])]) is None and best_example([]) is None


def test_a_folder_with_predictions_shows_one_of_them(tmp_path: Path) -> None:
    (tmp_path / "validation").mkdir()
    predictions = tmp_path / "validation/predictions.json"
    odd = build("odd", ["x <b>[y](z)</b> ."], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])], [(0, 1, "born")])
    predictions.write_text(json.dumps([odd.to_dict(), CROWD.to_dict()]), encoding="utf-8")
    model = tiny_jerex()
    model.save_pretrained(tmp_path)
    card = write_card(tmp_path, model).read_text(encoding="utf-8")
    assert texts(tmp_path / PICTURE) == ["<b>[y](z)</b> [1]", "born", "x [0]"]
    assert re.findall(r"!\[(.*)\]\(example_graph\.svg\)", card) == [r"x – born – &lt;b&gt;\[y\](z)&lt;/b&gt;"]
    assert "finds in a held-out document" in card
    predictions.write_text("[]", encoding="utf-8")
    assert PICTURE not in write_folder_card(tmp_path).read_text(encoding="utf-8")
    assert not (tmp_path / PICTURE).exists(), "it shows what other weights found"
    assert "example" not in folder_facts(tmp_path)


def test_an_example_of_the_cards_text_is_said_to_be_one(tmp_path: Path) -> None:
    graph = Document.from_dict(ANNA.to_dict() | {"text": EXAMPLE}).to_dict()
    card = write_card(tmp_path, tiny_jerex(), example=graph).read_text(encoding="utf-8")
    assert "finds in this text" in card and f'graph = extract("{EXAMPLE}")' in card
