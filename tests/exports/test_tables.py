"""A graph in tables: CSV, pandas, Neo4j's import files, JSON Lines."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import pandas
import pytest
from exported import ODD_NAME, element, odd_graph

from modeling_docre.exports.csv_files import DELIMITERS, to_csv, to_neo4j
from modeling_docre.exports.graph import PlainGraph
from modeling_docre.exports.json_lines import to_json_lines
from modeling_docre.exports.tables import COLUMNS, to_pandas, to_tables
from modeling_docre.graphs.elements import Edge, Node

GRAPH = odd_graph()
READ = {"string": str, "int": int, "double": float, "string[]": json.loads}


def test_json_lines_hold_all_of_nodes_and_edges():
    lines = [json.loads(line) for line in to_json_lines(GRAPH).split("\n")[:-1]]
    kinds = {"node": Node, "edge": Edge}
    read = [element(kinds[line["kind"]], line) for line in lines]
    assert tuple(read) == GRAPH.nodes + GRAPH.edges
    assert to_json_lines(PlainGraph()) == ""


def test_csv_is_read_back_by_its_module():
    files = to_csv(GRAPH)
    for name, rows in to_tables(GRAPH)._asdict().items():
        header, *read = csv.reader(io.StringIO(files[f"{name}.csv"], newline=""))
        kinds = [READ[COLUMNS[name][column]] for column in header]
        assert header == list(COLUMNS[name])
        values = [[kind(cell) if cell else None for kind, cell in zip(kinds, row, strict=True)] for row in read]
        assert values == [list(row) for row in rows], name


def test_csv_keeps_line_breaks_of_all_kinds():
    nodes = tuple(replace(GRAPH.nodes[1], name=name) for name in ("\r", "a\rb", "\n", "\r\n", " ", '"', ",", "\0"))
    read = csv.reader(io.StringIO(to_csv(PlainGraph(nodes))["nodes.csv"], newline=""))
    assert [row[1] for row in read][1:] == [node.name for node in nodes]


def test_csv_is_read_back_by_pandas():
    for name, rows in to_tables(GRAPH)._asdict().items():
        text = to_csv(GRAPH)[f"{name}.csv"]
        lists = {column: json.loads for column, kind in COLUMNS[name].items() if kind == "string[]"}
        frame = pandas.read_csv(io.StringIO(text), converters=lists, dtype={"document_id": str})
        read = frame.astype(object).where(frame.notna(), None).values.tolist()
        assert read == [list(row) for row in rows], name


def test_data_frames_hold_the_tables():
    frames = to_pandas(GRAPH)
    for name, rows in to_tables(GRAPH)._asdict().items():
        frame = getattr(frames, name)
        assert list(frame.columns) == list(COLUMNS[name])
        assert frame.astype(object).where(frame.notna(), None).values.tolist() == [list(row) for row in rows]
    assert frames.nodes.dtypes["score"] == "Float64" and frames.evidence.dtypes["char_start"] == "Int64"
    merged = frames.edges.merge(frames.nodes, left_on="tail", right_on="id")
    assert merged["name"].tolist() == ["London", "London", ODD_NAME]
    assert [len(frame) for frame in to_pandas(PlainGraph())] == [0, 0, 0, 0]


def test_tables_refer_to_each_other():
    tables = to_tables(GRAPH)
    for row in tables.support:
        edge = GRAPH.edges[row[1]]
        assert row[2] in {support.document_id for support in edge.support}
    texts = [item.text for edge in GRAPH.edges for support in edge.support for item in support.evidence]
    assert [row[2] for row in tables.evidence] == texts
    assert {row[0] for row in tables.evidence} <= {row[0] for row in tables.support}


def read_neo4j(text: str, delimiter: str) -> tuple[list[tuple[str, str]], list[dict[str, object]]]:
    """Read a file by the rules of `neo4j-admin database import`.

    - The first line is the header: fields `name`, `name:type` or `:KIND`, of which `:ID`, `:LABEL`, `:START_ID`,
      `:END_ID` and `:TYPE` may have a name before the colon. Properties have the type `string` unless they name one.
    - Fields are separated by commas. A field may be quoted; a quote inside is doubled; line breaks are allowed inside
      if `--multiline-fields=true`.
    - An empty field that is not quoted is no value; a quoted one is an empty text.
    - Types that end in `[]` are lists, separated by the array delimiter, which cannot be escaped. So is `:LABEL`.
    - Ids are texts if `--id-type=string`; relationships need both ends and a type.
    """
    header, body = text.split("\n", 1)
    kinds = [re.fullmatch(r"(\w*)(?::([A-Z_]+|int|double|string(?:\[\])?))?", field) for field in header.split(",")]
    fields = [(match[1] or match[2], match[2] or "string") for match in kinds if match]
    assert len(fields) == len(kinds)
    cell = r'(?:"((?:[^"]|"")*)"|([^",\n]*))'
    pattern = re.compile(",".join([cell] * len(fields)) + "\n")
    records, position = [], 0
    while position < len(body):
        match = pattern.match(body, position)
        assert match, body[position : position + 80]
        position = match.end()
        record: dict[str, object] = {}
        for number, (name, kind) in enumerate(fields):
            quoted, bare = match[2 * number + 1], match[2 * number + 2]
            value = quoted.replace('""', '"') if quoted is not None else bare or None
            if value is not None:
                convert = {"int": int, "double": float, "string[]": lambda text: text.split(delimiter) if text else []}
                record[name] = convert.get(kind, str)(value)
        records.append(record)
    return fields, records


def test_neo4j_reads_nodes_and_edges_back():
    files = to_neo4j(GRAPH)
    told = re.search("--array-delimiter='(.*?)'", files["import.sh"])[1]
    delimiter = {name: character for character, name in DELIMITERS.items()}[told]
    assert "--multiline-fields=true" in files["import.sh"] and "--id-type=string" in files["import.sh"]
    fields, nodes = read_neo4j(files["nodes.csv"], delimiter)
    assert [kind for _, kind in fields].count("ID") == 1 and fields[-1] == ("LABEL", "LABEL")
    for node, read in zip(GRAPH.nodes, nodes, strict=True):
        labels = read["LABEL"].split(delimiter)
        assert labels == [node.type] and read["id"] == node.id and read["name"] == node.name
        assert read["aliases"] == list(node.aliases) and read["concept_ids"] == list(node.concept_ids)
        assert (read["documents"], read["mentions"], read.get("score")) == (node.documents, node.mentions, node.score)
    ids = {read["id"] for read in nodes}
    assert len(ids) == len(nodes)
    _, edges = read_neo4j(files["edges.csv"], delimiter)
    for edge, read in zip(GRAPH.edges, edges, strict=True):
        assert {read["START_ID"], read["END_ID"]} <= ids and read["TYPE"]
        assert (read["START_ID"], read["END_ID"], read["TYPE"]) == (edge.head, edge.tail, edge.type)
        assert (read["label"], read.get("score"), read["documents"]) == (edge.label, edge.score, edge.documents)
        assert (read.get("first_seen"), read.get("last_seen")) == (edge.first_seen, edge.last_seen)
        assert read["stated_in"] == [support.document_id for support in edge.support]
        found = [(item.text, f"{s.document_id}:{item.sentence}") for s in edge.support for item in s.evidence]
        assert list(zip(read["evidence"], read["sources"], strict=True)) == found


def test_neo4j_gets_a_separator_that_no_item_contains():
    node = GRAPH.nodes[1]
    for aliases, told in ((("a",), ";"), (("a;b",), "|"), (("a;|",), "¦"), (("a;", "|¦"), "U+001F")):
        files = to_neo4j(PlainGraph((replace(node, aliases=aliases),)))
        assert f"--array-delimiter='{told}'" in files["import.sh"]
    with pytest.raises(ValueError, match=r"contain each of ;, \|, ¦, U\+001F"):
        to_neo4j(PlainGraph((replace(node, aliases=(";|¦\x1f",)),)))
    with pytest.raises(ValueError, match="the empty type"):
        to_neo4j(PlainGraph(GRAPH.nodes, (replace(GRAPH.edges[0], type=""),)))
