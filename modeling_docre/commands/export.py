"""`docre export`: writes the encoder of a model for ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .process import without_progress_bars


def export(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of a saved model.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Round the weights to 8-bit integers: faster and smaller, not exact.")
    ] = False,
) -> None:
    """Write a model's encoder for ONNX Runtime.

    The files appear in the folder, in onnx/, and docre push takes them along. In Python they are used by
    pipeline(..., model_kwargs={"backend": "onnx"}), or "onnx-int8". Needs the extra onnx.

    \b
    Examples:
      docre export outputs/jerex_sample
      docre export outputs/jerex_sample --int8
    """
    import modeling_docre.hub.registration  # noqa: F401 (the model's class is looked up by its name)
    from modeling_docre.hub.onnx_export import export_encoders

    with without_progress_bars():
        files = export_encoders(folder, int8)
    for file in files:
        print(file)
