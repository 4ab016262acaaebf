"""Makes the component `docre` known to spaCy: `nlp.add_pipe("docre", config={"model": "organisation/name"})`.

spaCy imports this module by an entry point for every pipeline that it makes, also for those without the component. So
it lies outside the package, whose import loads torch and transformers.
"""

from typing import Any, Literal

from spacy.language import Language


@Language.factory(
    "docre",
    assigns=["doc.spans", "doc._.docre_graph", "doc._.docre_entities", "doc._.docre_relations"],
    default_config={
        "model": None,
        "threshold": None,
        "entities": "model",
        "entity_type_map": {},
        "sentences": "auto",
        "batch_size": 8,
    },
)
def make_component(
    nlp: Language,
    name: str,
    model: str | None,
    threshold: float | str | None,
    entities: Literal["model", "spacy"],
    entity_type_map: dict[str, str | None],
    sentences: Literal["auto", "model", "spacy"],
    batch_size: int,
) -> Any:
    """The component; arguments as for `modeling_docre.serving.spacy_component.DocREComponent`."""
    from modeling_docre.serving.spacy_component import DocREComponent

    return DocREComponent(name, model, threshold, entities, entity_type_map, sentences, batch_size)
