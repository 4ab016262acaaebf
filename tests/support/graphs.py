"""A graph as the pipeline returns it, with an overlap and relations of all kinds."""

from __future__ import annotations

TEXT = "Ada Lovelace <b> & Ada\nwas born in London."


def mention(start: int, end: int) -> dict:
    return {"char_start": start, "char_end": end, "name": TEXT[start:end]}


def graph(**changes) -> dict:
    """A graph with an overlap: "Ada" inside "Ada Lovelace" is another entity."""
    relations = [(0, 2, "P19", "place of birth", 0.5), (2, 0, "P1", None, 0.75), (0, 2, "P2", "home", None)]
    whole = {
        "text": TEXT,
        "token_offsets": [[[0, 3], [4, 12], [13, 16], [17, 18], [19, 22]], [[23, 26], [35, 41], [41, 42]]],
        "entities": [
            {"type": "PER", "mentions": [mention(0, 12), mention(19, 22)]},
            {"type": "NAME", "mentions": [mention(0, 3)]},
            {"type": "LOC", "mentions": [mention(35, 41)]},
        ],
        "relations": [
            {"head": head, "tail": tail, "type": kind, "label": label, "score": score, "evidence": [0, 1]}
            for head, tail, kind, label, score in relations
        ],
    }
    del whole["relations"][1]["label"]  # absent and None mean the same
    return whole | changes
