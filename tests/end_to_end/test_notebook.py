"""docs/notebook.ipynb, executed: its cells run as they stand, on the sweep of docs/own-script.md."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

import orchestrator
from tests.support.own_script import write_files
from tests.support.paths import ROOT

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


def shown(notebook: nbformat.NotebookNode) -> str:
    """All that the cells have printed, shown as text or returned."""
    texts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            texts.append(output.get("text", "") + output.get("data", {}).get("text/plain", ""))
    return "\n".join(texts)


def test_the_notebook_runs_and_draws_the_curves(tmp_path: Path, monkeypatch) -> None:
    write_files(tmp_path)
    monkeypatch.setenv("ORCH_RUNS", str(tmp_path / "runs"))
    # The kernel takes its settings and its history from there.
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(
        notebook, timeout=500, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 1
    run = orchestrator.load_run("curve", runs=tmp_path / "runs")
    losses = {row["job"]: row["value"] for row in run.rows(metric="val_loss")}
    assert len(losses) == 4
    best = min(losses, key=lambda job: losses[job])
    text = shown(notebook)
    assert f"best: {best}" in text
    closed = [gate["gate"] for gate in run.gates() if gate["decision"] == "skip"]
    assert closed
    assert all(f"{name}: skip" in text for name in closed)


def test_the_notebook_holds_no_path_of_a_machine() -> None:
    text = NOTEBOOK.read_text()
    for start in ("/home/", "/tmp/", "/work/", "/root/"):
        assert start not in text
    nbformat.validate(nbformat.reads(text, as_version=4))
