"""Tests of modeling_docre/hub/setup_metric.py; what it installs and where is tested in test_metric_installation.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeling_docre.hub import metric as metric_cache
from modeling_docre.hub import setup_metric


def test_the_command_prints_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(metric_cache, "modules_cache", lambda: tmp_path)
    setup_metric.main()
    assert (Path(capsys.readouterr().out.strip()) / "docre_f1.py").is_file()


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(metric_cache, "modules_cache", lambda: tmp_path / "file")
    with pytest.warns(RuntimeWarning, match="cannot be written"), pytest.raises(SystemExit) as left:
        setup_metric.main()
    assert left.value.code == 1 and not capsys.readouterr().out
