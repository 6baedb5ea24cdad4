"""The page of a run: one file, no network, no script, the same size for ten thousand jobs as for a
hundred."""

import dataclasses
import json
import os
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.description.profile import Profile
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run, waiting
from orchestrator.serve.curves import curves_of
from orchestrator.views.page.curves import Curve, plot, thinned
from orchestrator.views.page.facts import bars, gather, job_curves
from orchestrator.views.page.graph import StageBox, columns, direct_arrows, graph
from orchestrator.views.page.page import page
from orchestrator.views.page.timeline import Bar, counts_at, span_text, timeline
from tests.support.builders import job, planned, run_of
from tests.support.cli import SMALL, orch

VOID = {"meta", "link", "br", "img"}
LINK = re.compile(r"jobs/[\w.%=,-]+/out/report\.html|ran\.html")
OPEN = {"html", "p", "li", "td", "th"}  # the standard lets these end by themselves


class Checker(HTMLParser):
    """Every element is closed where it must be, and nothing is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe", "img"), tag
        for name, value in attrs:
            # The one link leads to a report in the run's own folder.
            assert name != "src", attrs
            assert name != "href" or LINK.fullmatch(value or ""), attrs
            assert name == "xmlns" or not (value or "").startswith("http"), attrs
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        while self.stack[-1] != tag and self.stack[-1] in OPEN:
            self.stack.pop()
        assert self.stack.pop() == tag


def svgs(text: str) -> list[ElementTree.Element]:
    return [
        ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    ]


def bar(number: int, state: JobState = JobState.COMPLETED, job: str | None = None) -> Bar:
    return Bar(
        job=job or f"train/n={number}",
        stage="train",
        submitted=float(number),
        started=number + 5.0,
        ended=number + 50.0,
        state=state,
        hint="<told & more>",
    )


def test_the_page_of_a_real_run_shows_its_death_its_stages_and_its_hours(tmp_path: Path) -> None:
    (tmp_path / "trial.yaml").write_text(
        f"experiment: trial\nabout: a <b>bold</b> claim\nstages:\n  good: {{command: "
        f"'true', {SMALL}}}\n"
        f'  bad: {{command: "sh -c \'echo \\"RuntimeError: 3 < 4\\"; exit 3\'", {SMALL}}}\n'
        f"  last: {{command: 'true', after: [good, bad], {SMALL}}}\n"
    )
    orch(tmp_path, "launch", "trial.yaml", "--cluster", "local", "--watch")
    done = orch(tmp_path, "page")
    assert done.returncode == 0, done.stderr
    text = Path(done.stdout.strip()).read_text()
    checker = Checker()
    checker.feed(text)
    assert set(checker.stack) <= OPEN
    assert "RuntimeError: 3 &lt; 4" in text
    assert "<b>bold" not in text
    assert "1 of 3 completed" not in text
    assert "CPU-minutes" in text
    # The graph, and the timeline for a wide page and for a phone.
    assert len(svgs(text)) == 3
    for word in ("good", "bad", "last", "FAILED", "stopped", "done"):
        assert word in text


def test_ten_thousand_jobs_give_a_drawing_of_the_size_of_a_hundred() -> None:
    few, many = (
        timeline([bar(n) for n in range(100)], 0.0, 200.0),
        timeline([bar(n) for n in range(10_000)], 0.0, 10_100.0),
    )
    assert len(many) < 2 * len(few)
    assert svgs(many)
    assert "10000 jobs" in many


def test_thousands_of_gates_are_counted_behind_the_first_hundred(tmp_path: Path) -> None:
    run = create_run(make_plan(a_sweep(tmp_path)), Profile(kind="local"), tmp_path / "runs")
    facts = gather(run, run.load(), "", run.created)
    decided = [
        {"stage": f"b/seed={n}", "decision": "run" if n % 2 else "skip", "text": f"<loss>: {n}"}
        for n in range(5000)
    ]
    text = page(dataclasses.replace(facts, gates=decided))
    assert text.count("&lt;loss&gt;") == 100
    assert "and 4900 more: 2450 skip, 2450 run" in text
    alike = [{"stage": f"b/seed={n}", "decision": "run", "text": "all"} for n in range(3)]
    once = page(dataclasses.replace(facts, gates=alike))
    assert "<td>b/seed=0 and 2 more</td><td>run</td><td>all</td>" in once
    assert "<h2>Gates</h2>" in once


def test_every_drawing_is_well_formed_whatever_it_shows() -> None:
    bars = [bar(0), bar(1, JobState.FAILED), bar(2, JobState.RUNNING, job="a&b<c")]
    assert svgs(timeline(bars, 0.0, 60.0))
    assert svgs(timeline([bar(n, JobState.FAILED) for n in range(200)], 0.0, 300.0))
    assert "No job" in timeline([], 0.0, 0.0)
    assert svgs(
        plot(
            [
                Curve(label="<arm>", points=[(1.0, 2.0)]),
                Curve(label="b", points=[(1.0, -2.0), (5.0, 3.0)]),
            ],
            "loss",
        )
    )
    assert svgs(plot([Curve(label="flat", points=[(0.0, 0.0)])], "loss"))


def test_a_job_that_died_does_not_cut_the_mean_of_the_others_short() -> None:
    def curve(last: int, died: bool = False) -> Curve:
        return Curve(label="a", points=[(float(x), 1.0) for x in range(last + 1)], died=died)

    def ends(drawn: str) -> list[float]:
        return sorted(
            float(points.split()[-2]) for points in re.findall(r' points="(.*?)"/>', drawn)
        )

    whole = plot([curve(40), curve(40), curve(40)], "loss")
    (_, right) = ends(whole)
    cut = plot([curve(40), curve(40), curve(40), curve(10, died=True)], "loss")
    # The band, the mean, and the one that died by itself.
    assert ends(cut)[-1] == right
    assert len(ends(cut)) == 3
    assert (whole.count("cross"), cut.count("cross")) == (0, 1)
    # What one has beyond the others is a line of its own.
    going = plot([curve(40), curve(20), curve(20)], "loss")
    assert len(ends(going)) == 3
    assert ends(going)[-1] == right


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=8))
def test_stages_stand_right_of_what_they_need_and_no_arrow_says_what_a_longer_way_says(
    needs: list[set[int]],
) -> None:
    stages = [
        StageBox(
            name=str(n),
            counts={JobState.COMPLETED: 1},
            needs=frozenset(str(m) for m in before if m < n),
            gates=frozenset(),
        )
        for n, before in enumerate(needs)
    ]
    column, arrows = columns(stages), {(a, b) for a, b, _ in direct_arrows(stages)}
    assert all(column[a] < column[b] for a, b in arrows)

    def reach(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
        found = set(edges)
        while more := {(a, d) for a, b in found for c, d in edges if b == c} - found:
            found |= more
        return found

    whole = {(name, stage.name) for stage in stages for name in stage.needs}
    assert reach(arrows) == reach(whole)
    assert all(reach(arrows - {arrow}) != reach(arrows) for arrow in arrows)
    assert svgs(graph(stages))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=20))
def test_jobs_at_once_are_as_many_as_a_loop_counts(pairs: list[tuple[float, float]]) -> None:
    spans = [(min(pair), max(pair)) for pair in pairs]
    width = 100 / 240
    counted = [
        sum(int(a / width) <= place <= int(b / width) for a, b in spans) for place in range(240)
    ]
    assert counts_at(spans, 0.0, width)[:239] == counted[:239]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=1000))
def test_thinning_keeps_the_range_and_the_mean(values: list[float]) -> None:
    points = thinned([(float(x), y) for x, y in enumerate(values)])
    assert len(points) <= 160
    assert (
        min(values) - 1e-6
        <= min(y for _, y in points)
        <= max(y for _, y in points)
        <= max(values) + 1e-6
    )


def test_times_read_as_people_say_them() -> None:
    assert [span_text(seconds) for seconds in (0, 30, 75, 90, 7200, 5400, 172_800)] == [
        "0",
        "30 s",
        "1:15 min",
        "1:30 min",
        "2 h",
        "1:30 h",
        "2 d",
    ]


def test_a_completed_job_without_an_exit_record_is_not_drawn_as_one_that_died(
    tmp_path: Path,
) -> None:
    """Its node was lost between the results and the exit record; its results tell when it was
    done."""
    run = create_run(make_plan(a_sweep(tmp_path)), Profile(kind="local"), tmp_path / "runs")
    records = []
    for record, state in zip(
        run.load(), (JobState.COMPLETED, JobState.FAILED, JobState.COMPLETING), strict=True
    ):
        attempt = run.folder / record.folder / "attempt-1"
        attempt.mkdir(parents=True)
        (attempt / "claim.json").write_text(
            json.dumps({"restart": 0, "started": 1000.0, "job_id": "7"})
        )
        records.append(replace(record, attempt=1, token=record.name, state=state))
    results = run.folder / records[0].folder / "out" / "results.json"
    results.parent.mkdir()
    results.touch()
    os.utime(results, (1060.0, 1060.0))
    facts = gather(run, records, "", 1100.0)
    assert [(drawn.state, drawn.ended) for drawn in bars(facts)] == [
        (JobState.COMPLETED, 1060.0),
        (JobState.FAILED, 1000.0),
        (JobState.RUNNING, 1100.0),
    ]
    assert marks_of(page(facts)) == [["ok", "bad", "run"]] * 2
    assert "CPU-minutes" in page(facts)


def marks_of(text: str) -> list[list[str]]:
    """The classes of the bars of both timelines of a page."""
    drawings = [one for one in svgs(text) if "timeline" in one.attrib["aria-label"]]
    return [
        [one.attrib["class"] for one in drawing.iter() if one.tag.endswith("rect")]
        for drawing in drawings
    ]


def test_what_a_person_or_the_cluster_has_stopped_is_not_drawn_as_dead(tmp_path: Path) -> None:
    run = create_run(make_plan(a_sweep(tmp_path)), Profile(kind="local"), tmp_path / "runs")
    states = (JobState.CANCELLED, JobState.PREEMPTED, JobState.TIMEOUT)
    records = []
    for record, state in zip(run.load(), states, strict=True):
        attempt = run.folder / record.folder / "attempt-1"
        attempt.mkdir(parents=True)
        (attempt / "claim.json").write_text(
            json.dumps({"restart": 0, "started": 1000.0, "job_id": "7"})
        )
        ended = replace(record, attempt=1, token=record.name, state=state, ended=1050.0)
        records.append(ended)
    text = page(gather(run, records, "", 1100.0))
    assert marks_of(text) == [["none", "none", "bad"]] * 2
    failed = text.partition("<h2>What failed")[2].partition("<h2>")[0]
    assert failed.count("<li>") == 1
    assert "out of time" in failed
    assert "n 3" in failed


def a_report(run: Run, record: Record, headline: str) -> Record:
    """What a finished report has left."""
    out = run.out_folder(record)
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.html").write_text("<p>all of it")
    document = {"engine": "analysis", "config": {}, "rows": [], "facts": {"headline": headline}}
    (out / "results.json").write_text(json.dumps(document))
    return replace(record, attempt=1, state=JobState.COMPLETED)


def test_the_headline_of_the_report_comes_first_with_a_link_to_it(tmp_path: Path) -> None:
    stages = {
        "train": {"command": "a", "matrix": {"n": [1, 2]}},
        "report": {"command": "b", "after": ["train"]},
    }
    run = create_run(
        planned({"experiment": "e", "stages": stages}, tmp_path), Profile(kind="local"), tmp_path
    )
    *trained, last = run.load()
    records = [*trained, a_report(run, last, "pcgrad < baseline, by 3 points.")]
    text = page(gather(run, records, "", 5.0))
    checker = Checker()
    checker.feed(text)
    assert 'pcgrad &lt; baseline, by 3 points. <a href="jobs/report/out/report.html">' in text
    assert text.index("pcgrad &lt;") < text.index("<h2>")


def test_jobs_stand_with_their_axes_and_final_metrics_and_their_settings_are_folded(
    tmp_path: Path,
) -> None:
    stages = {"train": {"command": "python t.py --lr {lr}", "matrix": {"lr": [0.1, 0.2]}}}
    run = create_run(
        planned({"experiment": "e", "stages": stages}, tmp_path), Profile(kind="local"), tmp_path
    )
    records = []
    for place, record in enumerate(run.load()):
        out = run.out_folder(record)
        out.mkdir(parents=True, exist_ok=True)
        line = {"step": 9, "metrics": {"loss": 0.25 + place}}
        (out / "progress.jsonl").write_text(json.dumps(line) + "\n")
        records.append(replace(record, attempt=1, state=JobState.COMPLETED))
    text = page(gather(run, records, "", 5.0))
    table = text.partition("<h2>Jobs</h2>")[2].partition("</table>")[0]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")[2:]]
    assert [row[1:4] for row in rows] == [["train", "0.1", "0.25"], ["train", "0.2", "1.25"]]
    settings_of = text.partition("Settings of the first job of each stage")[2]
    assert "python t.py --lr 0.1" in settings_of


def a_sweep(folder: Path) -> Path:
    path = folder / "trial.yaml"
    path.write_text(
        "experiment: trial\nstages:\n  a: {command: 'echo {n}', matrix: {n: [1, 2, 3]}}\n"
    )
    return path


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.sampled_from(
            [
                "<script>alert(1)</script>",
                '"><img src=x>',
                "&lt;b&gt;",
                "'",
                "</td></table>",
                "\x00",
            ]
        ),
        min_size=4,
        max_size=4,
    )
)
def test_whatever_jobs_and_people_wrote_is_text(words: list[str]) -> None:
    reason, host, about, trouble = words
    one = replace(waiting(job("a/x", command=("true",))), state=JobState.FAILED, attempt=1)
    died = replace(one, reason=reason, host=host, cause="unknown", died_of=reason)
    run = run_of(job("a/x", command=("true",)))
    shown = dataclasses.replace(
        run,
        plan=dataclasses.replace(run.plan, about=about),
        profile=dataclasses.replace(run.profile, name=host, currency=host, price_per_gpu_hour=1.0),
    )
    text = page(gather(shown, [died], trouble, 5.0))
    checker = Checker()
    checker.feed(text)
    assert set(checker.stack) <= OPEN
    assert "<script" not in text


def test_metrics_that_the_stage_names_are_drawn_before_those_that_are_known(tmp_path: Path) -> None:
    named = {"val_accuracy": {"better": "higher"}, "val_loss": {"better": "lower"}, "seconds": {}}
    stages = {"own": {"command": "a", "metrics": named}, "none": {"command": "b"}}
    run = create_run(
        planned({"experiment": "e", "stages": stages}, tmp_path), Profile(kind="local"), tmp_path
    )
    line = {"lr": 0.1, "loss": 1.0, "seconds": 9.0, "val_loss": 2.0, "val_accuracy": 0.5}
    drawn = {}
    for record in run.load():
        folder = run.out_folder(run.by_name[record.name])
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"step": 1, "metrics": line})
        (folder / "progress.jsonl").write_text(f"{text}\n")
        curves = job_curves(run, replace(record, attempt=1))
        drawn[record.stage] = [metric for metric, _ in curves]
    assert drawn == {"own": ["val_accuracy", "val_loss", "loss"], "none": ["loss"]}


def test_a_job_without_the_axis_that_has_the_colours_is_neutral_and_the_key_says_so(
    tmp_path: Path,
) -> None:
    stages = {
        "warm": {"command": "a"},
        "train": {"command": "b {lr}", "matrix": {"lr": [0.1, 0.2]}},
    }
    run = create_run(
        planned({"experiment": "e", "stages": stages}, tmp_path), Profile(kind="local"), tmp_path
    )
    records = [replace(one, attempt=1, state=JobState.COMPLETED) for one in run.load()]
    for record in records:
        folder = run.out_folder(record)
        folder.mkdir(parents=True)
        lines = (json.dumps({"step": step, "metrics": {"loss": 1 / step}}) for step in (1, 2))
        (folder / "progress.jsonl").write_text("\n".join(lines))
    facts = gather(run, records, "", 0.0)
    warm, train = (plot(facts.curves[stage, "loss"], stage) for stage in stages)
    assert "var(--none)" in warm
    assert "without lr" in warm
    assert re.search(r"var\(--c\d\)", warm) is None
    assert "var(--c1)" in train
    assert "var(--c2)" in train
    assert "var(--none)" not in train
    # The live page draws them alike.
    drawn = {one["job"]: (one["label"], one["colour"]) for one in curves_of(run, records)["curves"]}
    assert drawn == {
        "warm": ("without lr", None),
        "train/lr=0.1": ("lr 0.1", 0),
        "train/lr=0.2": ("lr 0.2", 1),
    }


def test_of_a_training_on_replies_quality_and_diversity_are_drawn_and_no_seconds(
    tmp_path: Path,
) -> None:
    stages = {"train": {"command": "a"}, "own": {"command": "b"}}
    run = create_run(
        planned({"experiment": "e", "stages": stages}, tmp_path), Profile(kind="local"), tmp_path
    )
    # As the engine polychromic writes a step and an evaluation.
    step = {"cross_entropy": 2.0, "learning_rate": 1e-4, "set_diversity": 0.5, "seconds_step": 0.1}
    evaluation = {"validation_cross_entropy": 2.5, "unique_valid": 1.5, "seconds_evaluate": 3.0}
    own = {"seconds_epoch": 3.0, "lr": 0.1, "f1": 0.5, "epoch": 1.0}
    lines = {
        "train": [
            {"phase": "train", "metrics": step},
            {"phase": "validate", "metrics": evaluation},
        ],
        "own": [{"metrics": own}],
    }
    drawn = {}
    for record in run.load():
        folder = run.out_folder(run.by_name[record.name])
        folder.mkdir(parents=True, exist_ok=True)
        texts = [json.dumps({"step": 1, **line}) for line in lines[record.stage]]
        (folder / "progress.jsonl").write_text("\n".join(texts) + "\n")
        drawn[record.stage] = [name for name, _ in job_curves(run, replace(record, attempt=1))]
    assert drawn == {"train": ["validation_cross_entropy", "unique_valid"], "own": ["f1"]}
