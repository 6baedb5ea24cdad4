"""World maps in small language models, whole: every job of the published plans with tiny models,
from the description to a report that says that nothing was learned."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.support.cli import jobs, orch, states, until
from tests.support.private_slurm import PrivateSlurm

JOBS = {
    "ftwb1": {
        "data": 1,
        "base": 3,
        "evaluate-base": 3,
        "finetune": 21,
        "evaluate": 21,
        "maps": 21,
        "report": 1,
    },
    "one seed of ftwb1": {
        "data": 1,
        "base": 1,
        "evaluate-base": 1,
        "finetune": 7,
        "evaluate": 7,
        "maps": 7,
        "report": 1,
    },
    "pftset": {
        "data": 1,
        "base": 7,
        "evaluate-base": 7,
        "pft": 42,
        "evaluate": 42,
        "maps": 42,
        "report": 1,
    },
}
SETS = {
    "ftwb1": "models 24: trained 24, evaluated 24 (360 of 360 sets), extracted 21 of 21",
    "one seed of ftwb1": "models 8: trained 8, evaluated 8 (120 of 120 sets), extracted 7 of 7",
    "pftset": "models 49: trained 49, evaluated 49 (392 of 392 sets), extracted 42 of 42",
}


def assert_whole(folder: Path, name: str) -> None:
    """Every job of the plan has completed, the inventory says so, and the report concludes that
    nothing was learned."""
    found = jobs(folder)
    assert set(states(found).values()) == {"COMPLETED"}, states(found)
    assert Counter(row["stage"] for row in found.values()) == JOBS[name]
    assert SETS[name] in orch(folder, "status").stdout
    shown = orch(folder, "report")
    assert shown.returncode == 0, shown.stderr
    assert "Nothing learned" in shown.stdout
    run = next((folder / "runs").glob(f"{name.split()[-1]}/*"))
    assert len(list(run.glob("jobs/maps.*/out/map.svg"))) == JOBS[name]["maps"]
    for results in run.glob("jobs/evaluate.*/out/results.json"):
        rows = json.loads(results.read_text())["rows"]
        tests = {
            (row["axes"]["task"], row["axes"]["cities"])
            for row in rows
            if row["axes"].get("split") == "test"
        }
        kinds = Counter(cities for _, cities in tests)
        # Seven sets of known cities, seven with new ones, and one of all tasks.
        assert kinds["no_atlantis"] == kinds["multi_task"] == 7
        assert kinds["atlantis_required"] == (0 if name == "pftset" else 7)
        # The best constant answer stands beside every score.
        metrics = {row["metric"] for row in rows}
        assert {"constant_error", "constant_accuracy", "beats_constant"} <= metrics
    assert "geonames.org" in (run / "jobs/data/out/world/ATTRIBUTION.md").read_text().lower()


@pytest.mark.long  # minutes of both cores; on Slurm one seed of it runs in every test run
@pytest.mark.timeout(1500)
def test_ftwb1_on_this_machine_from_launch_to_a_report_that_nothing_was_learned(
    tmp_path: Path,
) -> None:
    arguments = ("launch", "ftwb1", "--preset", "smoke", "--cluster", "local")
    result = orch(tmp_path, *arguments, "--watch", timeout=1400)
    assert result.returncode == 0, result.stdout + result.stderr
    assert_whole(tmp_path, "ftwb1")
    # A hole is filled, and nothing else is done again.
    run = next((tmp_path / "runs").glob("ftwb1/*"))
    hole = run / "jobs/maps.seed-2_trained-angle/out"
    (hole / "results.json").unlink()
    status = orch(tmp_path, "status", "--rescan").stdout
    assert "extracted 20 of 21" in status
    orch(tmp_path, "retry", "--job", "maps/seed=2,trained=angle", timeout=600)
    until(tmp_path, lambda now: now["maps/seed=2,trained=angle"]["state"] == "COMPLETED")
    attempts = Counter(row["attempt"] for row in jobs(tmp_path).values())
    assert attempts == {1: 70, 2: 1}


GATE = (
    "{metric: beats_constant, of: evaluate-base, "
    'where: {seed: "{seed}", task: "{trained}"}, at_least: 1}'
)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_base_that_learned_nothing_is_named_and_an_override_is_kept(tmp_path: Path) -> None:
    launch = ("launch", "ftwb1", "--preset", "smoke", "--cluster", "local", "--watch")
    keys = ("base.matrix.seed=[1]", f"finetune.when={GATE}", "evaluate.pack=1", "maps.pack=1")
    more = [word for key in keys for word in ("--set", key)]
    more += ["--set", "evaluate.at_once=null", "--set", "maps.at_once=null"]
    assert orch(tmp_path, *launch, *more, timeout=1000).returncode == 0
    found = states(jobs(tmp_path))
    assert Counter(found.values()) == {"SKIPPED": 21, "COMPLETED": 4}
    job = "finetune/seed=1,trained=compass"
    why = orch(tmp_path, "why", job).stdout
    assert "beats_constant of evaluate-base (seed=1, task=compass)" in why
    assert "evaluate-base/seed=1: 0, misses it" in why
    assert "skipped" in orch(tmp_path, "status").stdout
    said = orch(tmp_path, "override", job, "--run", "--reason", "to see what nothing gives")
    assert said.returncode == 0, said.stderr
    assert orch(tmp_path, *launch, *more, timeout=1000).returncode == 0
    found = states(jobs(tmp_path))
    done = [name for name, state in found.items() if state == "COMPLETED" and "compass" in name]
    assert done == [job, "evaluate/seed=1,trained=compass", "maps/seed=1,trained=compass"]
    assert "to see what nothing gives" in orch(tmp_path, "why", job).stdout


@pytest.mark.long
def test_pftset_on_this_machine_from_launch_to_a_report(tmp_path: Path) -> None:
    arguments = ("launch", "pftset", "--preset", "smoke", "--cluster", "local")
    result = orch(tmp_path, *arguments, "--watch", timeout=3000)
    assert result.returncode == 0, result.stdout + result.stderr
    assert_whole(tmp_path, "pftset")


@pytest.mark.long
def test_a_small_model_learns_compass_and_has_a_map_of_its_cities(tmp_path: Path) -> None:
    launch = ("launch", "ftwb1", "--preset", "learn", "--cluster", "local", "--watch")
    assert orch(tmp_path, *launch, timeout=3000).returncode == 0
    (asked,) = (tmp_path / "runs").glob("ftwb1/*/jobs/evaluate-base.*/out/results.json")
    scores = {}
    for row in json.loads(asked.read_text())["rows"]:
        if row["axes"] == {"task": "compass", "cities": "no_atlantis", "split": "test"}:
            scores[row["metric"]] = row["value"]
    # Of three seeds; nothing learned is the constant.
    assert scores["answer_accuracy_with_failures"] >= 0.7
    assert scores["constant_accuracy"] < 0.4
    (taken,) = (tmp_path / "runs").glob("ftwb1/*/jobs/maps-base.*/out/results.json")
    probes: dict[tuple[str, str], list[float]] = {}
    for row in json.loads(taken.read_text())["rows"]:
        axes = row["axes"]
        if row["metric"] == "probe_r2" and axes.get("control") == "none":
            probes.setdefault((axes["network"], axes["coordinate"]), []).append(row["value"])
    for coordinate in ("x", "y"):
        assert max(probes["trained", coordinate]) > 0.2
        assert max(probes["untrained", coordinate]) < 0.05


@pytest.mark.slurm
@pytest.mark.timeout(1800)
def test_ftwb1_on_slurm_in_packs_whose_jobs_take_turns(slurm: PrivateSlurm, tmp_path: Path) -> None:
    arguments = ("launch", "ftwb1", "--preset", "smoke", "--cluster", slurm.profile)
    # The other two seeds are the same jobs again.
    arguments += ("--set", "base.matrix.seed=[1]")
    result = orch(tmp_path, *arguments, "--no-watch", timeout=300)
    assert result.returncode == 0, result.stderr
    until(tmp_path, lambda now: now["report"]["state"] == "COMPLETED", seconds=1500)
    assert_whole(tmp_path, "one seed of ftwb1")
    found = jobs(tmp_path)
    shared = {row["id"] for row in found.values() if row["stage"] == "finetune"}
    assert len(shared) == 1
