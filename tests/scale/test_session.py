"""Ray for one piece of work: what is said when it does not start."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("ray")

from modeling_docre.scale.session import ray_session


def test_a_machine_too_busy_for_ray_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, raised, message in (
        (Exception("The current node timed out during startup."), TimeoutError, r"Ray did not start .* --address auto"),
        (ConnectionError("timed out"), ConnectionError, r"^timed out"),
        (Exception("no port"), Exception, r"^no port"),
    ):

        def init(error: Exception = error, **_: Any) -> None:
            raise error

        monkeypatch.setattr("ray.init", init)
        with pytest.raises(raised, match=message), ray_session():
            pass
