"""Whether entities of different texts are one thing, by type and names.

Names that differ in case, accents, plural, British spelling or the way their words are joined are one name.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from .documents import Document

PERSONS = frozenset({"PER", "PERS", "PERSON", "PEOP", "PEOPLE"})
UNNAMED = frozenset(
    {"NUM", "NUMBER", "CARDINAL", "ORDINAL", "QUANTITY", "PERCENT", "MONEY", "TIME", "DATE", "DURATION"}
)

_GREEK = {chr(code): unicodedata.name(chr(code)).split()[-1].lower() for code in range(0x3B1, 0x3CA)}
_LINKING = frozenset({"of", "the", "and"})
_SALTS = frozenset({"hydrochloride", "hcl", "hydrobromide", "mesylate", "maleate", "besylate", "tartrate"})
_BETWEEN_WORDS = re.compile(r"(?<!\d) | (?!\d)")  # 1 2 is not 12
_ENDINGS = (("oses", "osis"), ("eses", "esis"), ("ies", "y"), ("s", ""))


class Name(NamedTuple):
    """What the spellings of a name have in common: its words in basic form, written together, for one entity type."""

    type: str
    key: str
    short: bool
    """Whether it looks like an abbreviation or a symbol."""


class Spelling(NamedTuple):
    """A name as a document writes it, the number of these mentions, and of those that also mention another entity."""

    text: str
    mentions: int
    shared: int


@dataclass(frozen=True, slots=True)
class LocalEntity:
    """What merging reads of an entity of a document; spellings are sorted by falling count, then text."""

    type: str
    id: str | None
    score: float | None
    spellings: tuple[Spelling, ...]


def local_entities(document: Document) -> list[LocalEntity]:
    """What merging reads of each entity, in the order of the document."""
    spans = Counter(span for e in document.entities for span in {(m.sentence, m.start, m.end) for m in e.mentions})
    result = []
    for entity in document.entities:
        counts: dict[str, tuple[int, int]] = {}
        for m in entity.mentions:
            text = " ".join((m.name or document.mention_text(m)).split())
            mentions, shared = counts.get(text, (0, 0))
            counts[text] = mentions + 1, shared + (spans[m.sentence, m.start, m.end] > 1)
        spellings = (Spelling(text, *numbers) for text, numbers in counts.items())
        ranked = tuple(sorted(spellings, key=lambda item: (-item.mentions, item.text)))
        result.append(LocalEntity(entity.type, entity.id or None, entity.score, ranked))
    return result


def is_short(text: str) -> bool:
    """Whether a name looks like an abbreviation or a symbol, of up to four characters: `NATO`, `5-HT`, `K`."""
    return " " not in text and (len(text) <= 2 or (len(text) <= 4 and sum(map(str.isupper, text)) >= 2))


@lru_cache(2**14)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a name in basic form: without case, accents, plural and possessive; none if it has no letter."""
    text = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    text = unicodedata.normalize("NFC", re.sub("[\u0300-\u036f]|['’]s\\b", "", text))
    words = re.findall(r"[^\W_]+", "".join(_GREEK.get(letter, letter) for letter in text))
    if not any(map(str.isalpha, "".join(words))):
        return ()
    words = [word for word in words if word not in _LINKING] or words
    words = words[:-1] if len(words) > 1 and words[-1] in _SALTS else words
    return tuple(map(_basic_form, words))


def _basic_form(word: str) -> str:
    """The word without plural, in American spelling, without a final e."""
    if not word.isalpha() or len(word) < 4:
        return word
    if not word.endswith(("ss", "us", "is")):
        ending, singular = next((pair for pair in _ENDINGS if word.endswith(pair[0])), ("", ""))
        word = word.removesuffix(ending) + singular
    word = re.sub("(?<=.)[ao]e", "e", word).replace("ph", "f")
    word = re.sub("(?<=...)our$", "or", word)
    return word[:-1] if len(word) > 6 and word.endswith("e") else word


def own_names(entity: LocalEntity) -> dict[Name, set[tuple[str, ...]]]:
    """The names that tell what an entity is, each with its spellings as words; the main name comes first.

    Mentions of another entity tell nothing, nor do numbers and times, nor single words for a person. The main name is
    the most frequent one that is not an abbreviation; if several are as frequent, the longest of them.
    """
    counts: dict[Name, int] = {}
    words_by_name: dict[Name, set[tuple[str, ...]]] = {}
    kind = entity.type.upper()
    for text, count, shared in entity.spellings if kind not in UNNAMED else ():
        words = words_of(text)
        if count > shared and len(words) > (kind in PERSONS):
            name = _name_of(entity.type, text)
            counts[name] = counts.get(name, 0) + count - shared
            words_by_name.setdefault(name, set()).add(words)
    ranked = sorted(counts, key=lambda name: (name.short, -counts[name], -len(name.key), name))
    return {name: words_by_name[name] for name in ranked}


@lru_cache(2**14)
def _name_of(kind: str, text: str) -> Name:
    return Name(kind, _BETWEEN_WORDS.sub("", " ".join(words_of(text))), is_short(text))


def same_things(
    entities: Sequence[LocalEntity], texts: Sequence[int], linked: Iterable[tuple[int, int]] = ()
) -> list[int]:
    """Which entities of texts about the same are one thing, as a number for each entity.

    Entities with one main name are one; here a single word that is written with a capital letter names a person, too.
    Different names mean one thing if more entities have both than there are texts that use them for two entities. An
    abbreviation also stands for the one name with these initials, a single word for the one person whose name has it.

    Args:
        entities: local entities of all texts.
        texts: number of each entity's text.
        linked: positions of two entities of different texts that share a mention.
    """
    uncapitalised = {text for entity in entities for text, _, _ in entity.spellings if text.islower()}
    names = [_names_in(entity, uncapitalised) for entity in entities]
    keys: dict[Any, int] = {}
    numbers = [keys.setdefault(next(iter(own), position), len(keys)) for position, own in enumerate(names)]
    used = [set[int]() for _ in keys]  # the texts of each name
    uses: defaultdict[Name, Counter[int]] = defaultdict(Counter)  # of each name as another one's alias
    for own, number, text in zip(names, numbers, texts, strict=True):
        used[number].add(text)
        for alias in list(own)[1:]:
            uses[alias][number] += 1
    for number, own in dict(zip(numbers, names, strict=True)).items():
        for hint in _hints(own):
            uses[hint][number] += 1
    votes = Counter[tuple[int, int]]()
    for alias, counts in uses.items():
        [(main, count)] = counts.most_common(1)
        if alias in keys and 2 * count > counts.total():
            votes[min(keys[alias], main), max(keys[alias], main)] += count
    for one, other in set(linked):
        votes[min(numbers[one], numbers[other]), max(numbers[one], numbers[other])] += 1
    groups = list(range(len(keys)))
    for (one, other), count in sorted(votes.items(), key=lambda item: (-item[1], item[0])):
        kept, gone = sorted((_root(groups, one), _root(groups, other)))
        if kept != gone and count > len(used[kept] & used[gone]):
            groups[gone] = kept
            used[kept] |= used[gone]
    return [_root(groups, number) for number in numbers]


def _names_in(entity: LocalEntity, uncapitalised: Collection[str]) -> dict[Name, set[tuple[str, ...]]]:
    """An entity's names where all texts are about the same."""
    names = own_names(entity)
    for text, _, _ in entity.spellings if entity.type.upper() in PERSONS else ():
        words = words_of(text)
        if len(words) == 1 < len(text) and text[0].isupper() and text.lower() not in uncapitalised:
            names.setdefault(Name(entity.type, words[0], False), {words})
    return names


def _hints(names: Mapping[Name, Iterable[tuple[str, ...]]]) -> set[Name]:
    """What may stand for the main name: its initials, the words of a person's name."""
    hints = set()
    for name, spelled in list(names.items())[:1]:
        for words in (words for words in spelled if len(words) > 1 and not name.short):
            if name.type.upper() in PERSONS:
                hints |= {Name(name.type, word, False) for word in words}
            else:
                hints.add(Name(name.type, "".join(word[0] for word in words), len(words) <= 4))
    return hints


def _root(groups: Sequence[int], number: int) -> int:
    while groups[number] != number:
        number = groups[number]
    return number
