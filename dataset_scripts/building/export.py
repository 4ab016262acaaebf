"""Exports a corpus as a dataset repository: Parquet files and a card, which `load_dataset` opens without code."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import datasets
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import CommitInfo, DatasetCard, DatasetCardData, HfApi
from huggingface_hub.errors import HFValidationError, HTTPError
from huggingface_hub.utils import validate_repo_id

from .builder import DocumentBuilder, config_options
from .row_features import document_features
from .statistics import corpus_statistics, statistics_table

_CARD = """---
{front}
---

# {name}

{description}

{homepage}Every row is one document in the shared format: `sentences` holds the words, `entities` the entities with
their mentions as half-open word offsets within a sentence, `relations` the directed relations between positions of
`entities`. Fields that this corpus does not have are null. Written from the {origin} by `python -m {module}`
(config `{config}`{options}).

## Statistics

{table}

## Labels

Entity types: {entity_types}

| relation type | label |
| --- | --- |
{relation_types}
{citation}"""


def main(builder_class: type[DocumentBuilder], arguments: Sequence[str] | None = None) -> None:
    """The command line of every builder: prepare the corpus, export it with its card, and optionally push it."""
    parser = _parser(builder_class)
    options = parser.parse_args(arguments)
    if options.push_to_hub is not None:
        try:
            validate_repo_id(options.push_to_hub)
        except HFValidationError as error:
            parser.error(f"--push_to_hub {options.push_to_hub}: {error}")
    values = {option.name: getattr(options, option.name) for option in config_options(builder_class)}
    values = {name: value for name, value in values.items() if value is not None}
    builder = builder_class(options.cache_dir, config_name=options.config, data_dir=options.data_dir, **values)
    statistics = export(builder, Path(options.out), options.num_proc)
    print(statistics_table(statistics))
    if options.push_to_hub is not None:
        try:
            print(push(Path(options.out), options.push_to_hub, private=options.private).commit_url)
        except (HTTPError, OSError) as error:
            raise SystemExit(
                f"{options.push_to_hub} was not pushed: {error}\nThe dataset is complete in {options.out}; push it "
                f"later by `hf upload {options.push_to_hub} {options.out} --repo-type dataset`"
            ) from error


def push(folder: Path, repo_id: str, private: bool | None = None) -> CommitInfo:
    """Push an exported corpus to the Hub as one commit; Parquet files of an earlier export are replaced.

    Args:
        folder: the folder that `export` wrote.
        repo_id: the repository, "organisation/name"; created if it does not exist.
        private: whether a new repository is private; None means the organisation's default.

    Raises:
        HTTPError: the Hub refuses or cannot be reached; then the repository is unchanged.
    """
    api = HfApi()
    repo_id = api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True).repo_id
    return api.upload_folder(
        repo_id=repo_id,
        repo_type="dataset",
        folder_path=folder,
        allow_patterns=["README.md", "data/*.parquet"],
        delete_patterns=["data/*.parquet"],
        commit_message="Upload the corpus",
    )


def export(builder: DocumentBuilder, folder: Path, num_proc: int | None = None) -> dict[str, dict[str, int]]:
    """Prepare a corpus and write `data/<split>-00000-of-00001.parquet` and `README.md` into `folder`.

    Returns:
        The statistics of each split, as the card prints them.
    """
    builder.download_and_prepare(num_proc=num_proc)
    splits = builder.as_dataset()
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name, split in splits.items():
        split.to_parquet(folder / _file(name))
    statistics = {name: corpus_statistics(split) for name, split in splits.items()}
    dataset_card(builder, statistics).save(folder / "README.md")
    return statistics


def dataset_card(builder: DocumentBuilder, statistics: dict[str, dict[str, int]]) -> DatasetCard:
    """The card of a prepared corpus; its front matter names the Parquet files and the features of the rows.

    Args:
        builder: a builder after `download_and_prepare`.
        statistics: for each split, its `corpus_statistics`.
    """
    labels = builder.relation_labels()
    text = _CARD.format(
        front=_front_matter(builder).to_yaml(),
        name=builder.NAME,
        description=(type(builder).__doc__ or "").strip().replace("\n    ", "\n"),
        homepage=f"Source: {builder.HOMEPAGE}\n\n" if builder.HOMEPAGE else "",
        origin="files of the corpus" if builder.config.data_dir is None else "files of a local folder",
        module=f"dataset_scripts.{builder.NAME}",
        config=builder.config.name,
        options="".join(f", `{name}={value}`" for name, value in _changed_options(builder)),
        table=statistics_table(statistics),
        entity_types=", ".join(builder.entity_types()),
        relation_types="\n".join(f"| {name} | {labels.get(name, '')} |" for name in builder.relation_types()),
        citation=f"\n## Citation\n\n{builder.CITATION}\n" if builder.CITATION else "",
    )
    return DatasetCard(text)


def _changed_options(builder: DocumentBuilder) -> Iterator[tuple[str, object]]:
    """The options that differ from those of the named config; a file is shown by its name."""
    named = builder.builder_configs[builder.config.name]
    for option in config_options(type(builder)):
        value = getattr(builder.config, option.name)
        if value != getattr(named, option.name):
            yield option.name, Path(value).name if option.metadata.get("file") else value


def _front_matter(builder: DocumentBuilder) -> DatasetCardData:
    data = DatasetCardData(
        language="en",
        license=builder.LICENSE,
        pretty_name=builder.NAME,
        tags=["relation-extraction", "document-level-relation-extraction"],
    )
    files = [{"split": name, "path": _file(name)} for name in builder.info.splits]
    MetadataConfigs({"default": {"data_files": files}}).to_dataset_card_data(data)
    info = datasets.DatasetInfo(features=document_features(), splits=builder.info.splits)
    datasets.info.DatasetInfosDict({"default": info}).to_dataset_card_data(data)
    return data


def _file(split: str) -> str:
    return f"data/{split}-00000-of-00001.parquet"


def _parser(builder_class: type[DocumentBuilder]) -> argparse.ArgumentParser:
    configs = {config.name: config.description or "" for config in builder_class.BUILDER_CONFIGS}
    parser = argparse.ArgumentParser(
        prog=f"python -m dataset_scripts.{builder_class.NAME}",
        description=f"Write {builder_class.NAME} as Parquet files with a dataset card.",
    )
    parser.add_argument("--out", required=True, help="folder of the dataset repository; made if it does not exist")
    parser.add_argument("--push_to_hub", metavar="ORGANISATION/NAME", help="also push it to this repository on the Hub")
    parser.add_argument("--private", action="store_true", default=None, help="make a new repository private")
    parser.add_argument("--data_dir", help="folder with the files of the corpus (default: download them)")
    parser.add_argument(
        "--config",
        choices=list(configs),
        default=builder_class.DEFAULT_CONFIG_NAME,
        help="; ".join(f"{name}: {text}" if text else name for name, text in configs.items()),
    )
    hints = get_type_hints(builder_class.BUILDER_CONFIG_CLASS)
    for option in config_options(builder_class):
        parser.add_argument(f"--{option.name}", help=option.metadata.get("help"), **_argument(hints[option.name]))
    parser.add_argument("--cache_dir", help="folder for downloads and prepared data (default: that of `datasets`)")
    parser.add_argument("--num_proc", type=int, help="number of processes for download and preparation")
    return parser


def _argument(hint: Any) -> dict[str, Any]:
    """The arguments of `add_argument` for an option of this type; without the flag, the named config decides."""
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if get_origin(hint) is Literal:
        return {"choices": get_args(hint)}
    return {"type": int if hint is int else str}
