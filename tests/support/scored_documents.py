"""Documents for the tests of the metric, from short descriptions of their entities and relations."""

from __future__ import annotations

from typing import Any

from metrics.docre_f1.scores import compute_scores

WORDS = ["Ada", "lives", "in", "London", "and", "Ada", "likes", "London"]


def mention(start: int, end: int | None = None, sentence: int = 0, **more: Any) -> dict[str, Any]:
    return {"sentence": sentence, "start": start, "end": start + 1 if end is None else end, **more}


def entity(kind: str, *mentions: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "mentions": list(mentions)}


def relation(head: int, tail: int, kind: str = "r", **more: Any) -> dict[str, Any]:
    return {"head": head, "tail": tail, "type": kind, **more}


def candidate(head: int, tail: int, scored: bool | None = True, cross: bool | None = None) -> dict[str, Any]:
    return {"head": head, "tail": tail, "scored": scored, "cross": cross}


def document(
    entities: list[dict], relations: list[dict], name: str = "d", sentences: list[list[str]] | None = None
) -> dict[str, Any]:
    return {"id": name, "sentences": sentences or [WORDS], "entities": entities, "relations": relations}


def row_of_entities(count: int) -> list[dict[str, Any]]:
    return [entity("T", mention(number)) for number in range(count)]


def given_scores(predicted: list[dict], gold: dict, **options: Any) -> dict[str, Any]:
    prediction = {"id": gold["id"], "relations": predicted}
    return compute_scores([prediction], [gold], entities_given=True, **options)


def fractions(result: dict[str, Any]) -> dict[str, float]:
    return {
        key: value
        for key, value in result.items()
        if isinstance(value, int | float) and not key.endswith(("support", "documents"))
    }
