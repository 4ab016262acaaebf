"""How real processes end: interrupted, with a closed pipe, in a locale without UTF-8."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from modeling_docre import JerexConfig
from modeling_docre.commands.process import Backends, describe
from modeling_docre.encoder_onnx import BACKENDS

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "modeling_docre"]
PLAIN = {"PYTHONPATH": str(REPOSITORY)}
posix = pytest.mark.skipif(os.name != "posix", reason="signals and named pipes of POSIX")


@posix
def test_an_interrupted_command_says_so_in_one_line(tmp_path):
    pipe = tmp_path / "text.txt"
    os.mkfifo(pipe)
    # A shell starts jobs in the background deaf to the signal.
    hearing = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command = [*COMMAND, "extract", "--file", pipe]
    process = subprocess.Popen(command, env=PLAIN, stderr=subprocess.PIPE, preexec_fn=hearing)
    with pipe.open("w"):  # opens as soon as the command reads
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"docre: interrupted\n")


@posix
def test_a_closed_pipe_ends_quietly():
    for unbuffered in ({}, {"PYTHONUNBUFFERED": "1"}):
        reading, writing = os.pipe()
        os.close(reading)
        command = [*COMMAND, "--help"]
        done = subprocess.run(command, env=PLAIN | unbuffered, stdout=writing, stderr=subprocess.PIPE)
        os.close(writing)
        assert (done.returncode, done.stderr) == (141, b"")


def test_output_is_utf8_in_any_locale(tmp_path):
    variables = PLAIN | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (tmp_path / "a.jsonl").write_text('{"title": "Łódź"}', encoding="utf-8")
    done = subprocess.run([*COMMAND, "extract", "--file", "a.jsonl"], env=variables, capture_output=True, cwd=tmp_path)
    assert done.returncode == 1 and "title is 'Łódź'" in done.stderr.decode("utf-8")


def test_what_went_wrong_is_said_with_the_path():
    assert describe(OSError(28, "No space left on device", "graph.json")) == "graph.json: No space left on device"
    assert describe(ValueError("threshold is 2")) == "threshold is 2"
    assert describe(KeyError("x")).startswith("KeyError: 'x' (docre --debug")
    assert describe(ValueError()).startswith("ValueError:")
    with pytest.raises(Exception, match="relation_threshold") as wrong:
        JerexConfig(relation_threshold=2.0)
    assert describe(wrong.value).startswith("relation_threshold is 2.0")


def test_the_backends_of_the_command_line_are_those_of_the_models():
    assert tuple(Backends) == BACKENDS
