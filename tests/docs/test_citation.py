"""`CITATION.cff` names the papers that the model classes cite."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

import modeling_docre
from modeling_docre import SYSTEMS

CITATION = yaml.safe_load((Path(__file__).resolve().parents[2] / "CITATION.cff").read_text(encoding="utf-8"))


def test_it_cites_this_package():
    assert CITATION["cff-version"] == "1.2.0" and CITATION["title"].startswith("modeling_docre")
    assert CITATION["version"] == modeling_docre.__version__ and CITATION["license"] == "Apache-2.0"


def test_it_cites_each_paper_as_its_class_does():
    papers = {paper["title"]: paper for paper in CITATION["references"]}
    for model in SYSTEMS.values():
        cited = dict(re.findall(r"(\w+) = \{(.*)\}", model.citation))
        if cited["title"] == CITATION["title"]:  # the system of this package, which has no paper
            assert cited["author"] == CITATION["authors"][0]["name"] and cited["note"] == "joint"
            continue
        paper = papers.pop(cited["title"])
        authors = [f"{author['family-names']}, {author['given-names']}" for author in paper["authors"]]
        assert authors == cited["author"].split(" and ")
        assert str(paper.get("year", "")) == cited.get("year", "")
        assert "url" not in cited or paper["url"] == cited["url"]
    assert not papers
