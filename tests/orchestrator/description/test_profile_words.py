"""What stands in a profile or a stage becomes one word of a script, or is refused with the reason."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.spec import Options, Resources
from orchestrator.clusters.slurm.script import JobScript, script_text
from orchestrator.description.profile_reader import load_profile
from orchestrator.description.stage_keys.options import OptionsFile, one_word
from orchestrator.errors import CheckError

SCRIPT = JobScript(name="a.b.0123456789", log=Path("/runs/a/log.txt"), command=["true"])


def script(folder: Path, lines: str) -> list[str]:
    """The options of the script of a job with a GPU, by a profile with these lines."""
    path = folder / "site.yaml"
    path.write_text(f"kind: slurm\n{lines}\n")
    profile = load_profile(str(path)).with_options(Options(), 1)
    text = script_text(profile, Resources(gpus=1, cpus=1, memory_gb=4), SCRIPT)
    return [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#S")]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('account: "x\\n#SBATCH --uid=0"', "'account' must be one name"),
        ("account: a b", "'account' must be one name"),
        ("qos: 'normal,high'", "'qos' must be one name"),
        ("partition: a b", "'partition' must be one name"),
        ('partition: "a\\nb"', "'partition' must be one name"),
        ("cluster: 'one,two'", "'cluster' must be one name"),
        ("cluster: ALL", "'cluster' must be one name"),
        ("gpu_type: 'a100,v100'", "'gpu_type' must be one name"),
        ("gpu_type: 'a100:4'", "'gpu_type' must be one name"),
        ("gpu_type: 3090", "put a number in quotes"),
        ("sbatch: {mem per cpu: 2G}", "'mem per cpu' is no name of an option"),
        ("sbatch: {cpus-per-task=8: true}", "'cpus-per-task=8' is no name of an option"),
        ("sbatch: {'': 2}", "'' is no name of an option"),
        ("sbatch: {--: 2}", "'--' is no name of an option"),
        ("sbatch: {x;y: 2}", "'x;y' is no name of an option"),
        ("sbatch: {h: true}", "sbatch must be without 'h'"),
        ("sbatch: {--help: true}", "sbatch must be without '--help'"),
        ("sbatch: {V: true}", "sbatch must be without 'V'"),
        ("environment: {A B: x}", "'A B' is no name of a variable"),
        ("environment: {1A: x}", "'1A' is no name of a variable"),
        ("environment: {A-B: x}", "'A-B' is no name of a variable"),
        ("wrap: ['']", "'wrap' must begin with a program"),
    ],
)
def test_what_would_be_more_or_less_than_a_word_is_refused(
    tmp_path: Path, lines: str, why: str
) -> None:
    with pytest.raises(CheckError) as refused:
        script(tmp_path, lines)
    (line,) = refused.value.lines
    assert why in line
    assert line.startswith(f"{tmp_path / 'site.yaml'}:2: ")


@pytest.mark.parametrize(
    ("lines", "has"),
    [
        ("partition: 'a, ,b,'", ["partition=a,b"]),
        ("partition: ', '", []),
        ("gpu_type: ' a100 '", ["gres=gpu:a100:1"]),
        ("gpu_type: ''", ["gres=gpu:1"]),
        ("qos: ''", []),
        ("account: ' LLM '", ["account=LLM"]),
        ("sbatch: {licenses: []}", []),
        ("sbatch: {Q: true}", ["quiet"]),
        ("sbatch: {hin: nomultithread}", ["hint=nomultithread"]),
        ("sbatch: {container-image: x}", ["container-image=x"]),
    ],
)
def test_what_is_empty_or_spaced_is_as_it_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, has: list[str]
) -> None:
    for name in ("SBATCH_ACCOUNT", "SBATCH_PARTITION", "SBATCH_QOS"):
        monkeypatch.delenv(name, raising=False)
    plain = set(script(tmp_path, "about: nothing"))
    found = set(script(tmp_path, lines))
    assert has == sorted(found - plain) or has == ["gres=gpu:1"]
    assert set(has) <= found
    assert not [line for line in found if line.endswith(("=", "=''"))]


@given(st.text(max_size=20))
def test_a_name_of_slurm_is_a_word_that_a_line_of_a_script_can_hold(text: str) -> None:
    try:
        word = one_word(text)
    except ValueError:
        return
    assert word == text.strip()
    assert len(f"--account={word}".split()) == 1
    assert len(f"--account={word}".splitlines()) == 1


def test_a_stage_is_held_to_the_same(tmp_path: Path) -> None:
    for lines in ({"account": "a b"}, {"qos": 'x"y'}, {"partition": "a\nb"}, {"wrap": [""]}):
        with pytest.raises(ValueError, match="must be"):
            OptionsFile.model_validate(lines)
    assert OptionsFile.model_validate({"partition": " a, b "}).options.partition == "a,b"
