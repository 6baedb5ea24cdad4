"""The private Slurm of the tests itself."""

import shutil
import time

import pytest

from tests.support.private_slurm import PrivateSlurm


def test_a_program_that_dies_at_its_start_is_quoted_at_once() -> None:
    private = PrivateSlurm()
    try:
        private.daemon("sh", "-c", "echo 'error: cannot load the accounting plugin' >&2; exit 7")
        began = time.monotonic()
        with pytest.raises(RuntimeError, match="exit code 7: error: cannot load the accounting"):
            private.wait("slurmdbd", ["false"])
        assert time.monotonic() - began < 20  # not START_SECONDS
    finally:
        shutil.rmtree(private.folder)


def test_a_program_that_was_ended_on_purpose_is_not_missed() -> None:
    private = PrivateSlurm()
    try:
        private.daemon("sleep", "60")
        assert private.end("sleep") == ["sleep", "60"]
        private.wait("what stays", ["true"])
        assert private.processes == []
    finally:
        shutil.rmtree(private.folder)
