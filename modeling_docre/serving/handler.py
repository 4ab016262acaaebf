"""Answers requests on an Inference Endpoint of the Hub. A push puts this file beside the model, where it stands alone.

The service loads the file, builds `EndpointHandler` with the folder of the model, and calls it with the JSON of each
request. It answers an error with status 400 and `{"error": message}`.
"""

from __future__ import annotations

from typing import Any

from transformers import pipeline


class EndpointHandler:
    """The pipeline behind an endpoint.

    Args:
        path: the folder of the model; its code is run.
    """

    def __init__(self, path: str = ""):
        # Whoever starts an endpoint of this repository runs its code already: this file.
        self.extract = pipeline("doc-relation-extraction", model=str(path), trust_remote_code=True)

    def __call__(self, data: dict[str, Any]) -> Any:
        """Extract the graph of one input or of several.

        Args:
            data: `inputs`: a text, a document in words, a document or `{"text": ..., "entities": ...}`, or a list of
                these; optionally `parameters`: arguments of a call of the pipeline, such as `threshold`, `relations`,
                `entities` and `batch_size`. Other keys are refused.

        Returns:
            The graph as a dict, for several inputs a list of them.

        Raises:
            ValueError, TypeError: the request has another form, or the pipeline refuses an input or a parameter; the
                message says which and why.
        """
        if not isinstance(data, dict) or "inputs" not in data:
            raise ValueError('the request has no "inputs"; send {"inputs": text or documents, "parameters": {...}}')
        if unknown := next((key for key in data if key not in ("inputs", "parameters")), None):
            raise ValueError(f'the request has the unknown key "{unknown}"; send "inputs" and "parameters" alone')
        parameters = data.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise ValueError(f'"parameters" is {parameters!r}; send arguments by name, such as {{"threshold": 0.5}}')
        return self.extract(data["inputs"], **{**parameters, "progress": False})
