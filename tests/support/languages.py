"""Twenty short documents each in German, Arabic and Chinese, and a tiny model with a tokenizer for their words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from modeling_docre.documents import Document
from modeling_docre.modeling_jerex import JerexModel
from modeling_docre.text import document_from_record

SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}


class Corpus(NamedTuple):
    """Templates with places for a person, their short name, a town and an institution, and what fills them."""

    templates: Sequence[str]
    people: Sequence[tuple[str, str]]
    towns: Sequence[str]
    institutions: Sequence[str]


CORPORA = {
    "de": Corpus(
        [
            "{person} wurde in {town} geboren. Seit 2011 arbeitet {short} an der {institution}.",
            "An der {institution} lehrt {person}, z. B. Physik! Geboren wurde {short} in {town}.",
            "„Ich komme aus {town}“, sagt {person}. Heute forscht {short} für die {institution}.",
            "{short} verließ {town} früh. Die {institution} berief {person} erst später.",
        ],
        [
            ("Jürgen Weiß", "Weiß"),
            ("Anke Krüger", "Krüger"),
            ("Paul Möller", "Möller"),
            ("Änne Groß", "Groß"),
            ("Eva Lindt-Hahn", "Lindt-Hahn"),
        ],
        ["Köln", "Görlitz", "Bad Mergentheim", "Fürth"],
        ["Universität Würzburg", "Königsberger Straßenbahn", "Berliner Sternwarte"],
    ),
    "ar": Corpus(
        [
            "ولد {person} عام ١٩٨٠ في {town}. يعمل {short} اليوم في {institution}.",
            "يدرّس {person} في {institution}، وهو من {town}. هل يعود {short} إلى {town}؟",
            "غادر {short} مدينة {town} قديمًا! ثم عمل {person} لدى {institution}.",
            "من {town} جاء {person}. كتب {short} كتابه الأول في {institution}.",
        ],
        [
            ("أحمد منصور", "منصور"),
            ("يوسف الخطيب", "الخطيب"),
            ("سامي حدّاد", "حدّاد"),
            ("عمر بن زيد", "عمر"),
            ("كريم نجّار", "نجّار"),
        ],
        ["القاهرة", "حلب", "بيت لحم", "صنعاء"],
        ["جامعة دمشق", "مكتبة الإسكندرية", "مرصد بغداد"],
    ),
    "zh": Corpus(
        [
            "{person}出生于{town}。{short}现在在{institution}工作。",
            "{institution}的{person}来自{town}！{short}是物理学家。",
            "{short}很早就离开了{town}。后来{person}加入了{institution}。",
            "“我是{town}人。”{person}说。{short}在{institution}教书。",
        ],
        [("李明", "小李"), ("王秀英", "秀英"), ("欧阳建国", "建国"), ("张伟", "老张"), ("陈静", "小陈")],
        ["上海", "哈尔滨", "成都", "乌鲁木齐"],
        ["北京大学", "南京天文台", "广州图书馆"],
    ),
}


def documents(language: str) -> list[Document]:
    """Twenty documents in a language, cut by spaCy's rules for it."""
    return [document_from_record(record, record["id"], language) for record in _records(CORPORA[language])]


def _records(corpus: Corpus) -> Iterator[dict[str, Any]]:
    for number in range(20):
        person, short = corpus.people[number % 5]
        names = {"person": person, "short": short, "town": corpus.towns[(number + number // 5) % 4]}
        names["institution"] = corpus.institutions[(number + number // 5) % 3]
        text, places = "", {name: [] for name in names}
        for piece in re.split(r"(\{\w+\})", corpus.templates[number % 4]):
            if name := piece.strip("{}") if piece.startswith("{") else None:
                places[name].append({"char_start": len(text), "char_end": len(text) + len(names[name])})
            text += names[name] if name else piece
        people = sorted(places["person"] + places["short"], key=lambda mention: mention["char_start"])
        kinds = (("PER", people), ("LOC", places["town"]), ("ORG", places["institution"]))
        relations = [{"head": 0, "tail": 1, "type": "born"}, {"head": 0, "tail": 2, "type": "works"}]
        entities = [{"type": kind, "mentions": mentions} for kind, mentions in kinds]
        yield {"id": f"document {number}", "text": text, "entities": entities, "relations": relations}


def trained_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Word pieces of the texts' own words."""
    tokenizer = Tokenizer(models.WordPiece(unk_token=SPECIAL["unk"]))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=300, special_tokens=list(SPECIAL.values()), show_progress=False)
    )
    ends = ((SPECIAL[name], tokenizer.token_to_id(SPECIAL[name])) for name in ("sep", "cls"))
    tokenizer.post_processor = processors.BertProcessing(*ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{f"{name}_token": token for name, token in SPECIAL.items()}
    )


def untrained_model(language: str, tokenizer: PreTrainedTokenizerFast) -> JerexModel:
    """A JEREX of a language over a tiny random encoder, wide enough in its weights to learn quickly."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    encoder = BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=128, **sizes))
    kinds = {"entity_types": ["PER", "LOC", "ORG"], "relation_types": ["born", "works"]}
    model = JerexModel.from_encoder(encoder, language=language, window_overlap=16, **kinds)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data *= 10
    return model
