"""A mistake in ``reads`` that is mended needs no second training: the same run goes on."""

import json
from pathlib import Path

from tests.support.cli import SMALL, describe, orch

TRAIN = """  train:
    command: ["sh", "-c", "echo ran >> ran; printf '{\\"step\\": 3, \\"loss\\": {n}}' > log-{n}.jsonl"]
    matrix: {n: [1, 2]}
    {reads}{small}
"""


def test_a_path_that_is_mended_is_read_at_the_next_launch(tmp_path: Path) -> None:
    values = []
    for reads in (
        "",
        "reads: {kind: jsonl, path: 'wrong-{n}'}\n    ",
        "reads: {kind: jsonl, path: 'log-{n}.jsonl'}\n    ",
    ):
        describe(tmp_path, TRAIN.replace("{reads}", reads).replace("{small}", SMALL))
        launched = orch(tmp_path, "launch", "trial.yaml", "--cluster", "local", "--watch")
        assert launched.returncode == 0, launched.stdout + launched.stderr
        assert ("train/n=1 and 1 more jobs: read again" in launched.stdout) == ("log" in reads)
        said = orch(tmp_path, "results", "trial", "--json")
        values.append([row["value"] for row in json.loads(said.stdout)["rows"]])
    assert values == [[], [], [1, 2]]
    assert (tmp_path / "ran").read_text() == "ran\n" * 2
    assert len([*(tmp_path / "runs" / "trial").glob("full-*")]) == 1
