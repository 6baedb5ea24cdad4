"""Children in the queue of this machine, where a parent is submitted again."""

from pathlib import Path

from tests.support.cli import SMALL, describe, jobs, orch, over, states, until

ONE_FAILS = (
    "sh -c 'if [ {n} = 1 ]; then test -e again && sleep 1; "
    "else until [ -e go ]; do sleep 0.1; done; fi'"
)


def test_a_child_of_packs_waits_for_the_member_that_was_submitted_again(tmp_path: Path) -> None:
    file = describe(
        tmp_path,
        f'  a: {{command: "{ONE_FAILS}", matrix: {{n: [1, 2]}}, pack: 2, {SMALL}}}\n'
        f'  b: {{command: "{ONE_FAILS}", matrix: {{n: [3, 4]}}, pack: 2, {SMALL}}}\n'
        f"  c: {{command: touch after, after: [a, b], {SMALL}}}\n"
        f"  d: {{command: test -e after, after: [c], {SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", file, "--cluster", "local").returncode == 0
    found = until(tmp_path, lambda now: now["a/n=1"]["state"] == "FAILED")
    assert (found["c"]["state"], found["d"]["state"]) == ("PENDING", "PENDING")
    (tmp_path / "again").touch()
    retried = orch(tmp_path, "retry", "--job", "a/n=1")
    assert retried.returncode == 0, retried.stderr
    assert jobs(tmp_path)["c"]["attempt"] == 2
    (tmp_path / "go").touch()
    assert set(states(until(tmp_path, over)).values()) == {"COMPLETED"}
