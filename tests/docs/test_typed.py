"""Type checkers of those who install the package read its types."""

from pathlib import Path

from hatchling.builders.wheel import WheelBuilder


def test_the_wheel_says_that_the_package_has_types():
    builder = WheelBuilder(str(Path(__file__).resolve().parents[2]))
    paths = {Path(item.distribution_path).as_posix() for item in builder.recurse_included_files()}
    assert "modeling_docre/py.typed" in paths
