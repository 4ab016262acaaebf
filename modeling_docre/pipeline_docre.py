"""The pipeline `doc-relation-extraction`."""

from __future__ import annotations

from transformers import Pipeline


class DocRelationExtractionPipeline(Pipeline):
    """First version."""
