"""Who may import whom, and which package alone may know a thing. docs/architecture.md shows the
same as a picture."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter

from tests.support.source_files import (
    ROOT,
    import_graph,
    imported_names,
    modules,
    text_constants,
    tree_of,
)

FLOORS = (
    {"errors", "folders", "node"},
    {"description"},
    {"planning"},
    {"runs"},
    {"clusters"},
    {"lifecycle", "checks"},
    {"views", "scores"},
    {"reproduction", "storage"},
    {"api"},
    {"serve"},
    {"cli"},
)
"""Rooms of orchestrator/, the lowest first. A file imports its own room and lower floors."""

PROGRAMS = {path.parent.name for path in (ROOT / "engines").glob("*/__main__.py")}

LATE_IMPORTS = {
    "rich": "a tenth of a second of every start; a command that prints JSON or plain text needs "
    "none of it",
    "textual": "half a second; only `orch watch` on a terminal draws with it",
    "submitit": "a tenth of a second; only what writes a script needs it",
    "importlib": "the package's own names, which nodes never ask for",
    "urllib": "TLS and all; only a webhook needs it",
    "optuna": "an extra, which loads numpy; only the draw of a search's second round needs it",
    "pyarrow": "an engines package, which a login node may lack",
    "orchestrator.clusters.local.cluster": "of two schedulers a run uses one",
    "orchestrator.clusters.slurm.cluster": "of two schedulers a run uses one",
    "orchestrator.description.joining": "YAML: of the commands that submit, `orch retry` mostly "
    "finds nothing to do and should not load it",
    **dict.fromkeys(
        (
            "orchestrator.lifecycle.sending",
            "orchestrator.lifecycle.batching",
            "orchestrator.lifecycle.dependencies.renewed",
            "orchestrator.lifecycle.notifications",
            "orchestrator.lifecycle.reused.taking",
            "orchestrator.runs.attempts",
            "orchestrator.runs.reuse.bring",
        ),
        "what submits, takes or tells; most looks at a run do none of it, and a person waits",
    ),
    "concurrent": "threads, for several submissions at the same time; most passes make none",
    "shutil": "what breaks a message for a terminal; a look that was kept says nothing",
    "textwrap": "as shutil",
    "pathlib": "the quickest start of `orch` needs a path as text alone",
    "orchestrator.runs.provenance": "git, copies of code and the patterns of secrets: a pass over "
    "a run that submits nothing and tells nobody needs none of it",
}
"""What may be imported inside a function of orchestrator/, and why."""

READS_DESCRIPTIONS = (
    "pydantic and every engine's config: a quarter of a second that TAB and --help save"
)

LATE_IN_CLI = {
    "orchestrator.description": READS_DESCRIPTIONS,
    "orchestrator.planning.planner": READS_DESCRIPTIONS,
    "orchestrator.checks": READS_DESCRIPTIONS,
    "orchestrator.scores": READS_DESCRIPTIONS,
    "orchestrator.reproduction": READS_DESCRIPTIONS,
    "engines.contract": READS_DESCRIPTIONS,
    "importlib.metadata": "only `orch --version` asks for it",
    "orchestrator.cli.json_schemas": READS_DESCRIPTIONS,
    "orchestrator.storage": READS_DESCRIPTIONS,
    "orchestrator.serve": "an HTTP server, and all that it shows",
    "yaml": "a command that only looks at a run reads none",
    "orchestrator.cli": "a look that was kept is printed without a parser of arguments",
    "orchestrator.node.light.utf8": "needed where the locale is not UTF-8 alone",
    "locale": "the same",
    "orchestrator.runs.documents.damage": "the same",
    "orchestrator.views": "drawing imports rich, or textual, where a command may print JSON instead",
}
"""What a command may import late besides, as it is imported for each TAB after its name too."""

LATE_IN_API = {
    **{name: LATE_IN_CLI[name] for name in ("orchestrator.scores", "engines.contract")},
    "orchestrator.views": LATE_IN_CLI["orchestrator.views"],
    "pandas": "a user may have it; the product needs none of it",
    "polars": "as pandas",
}
"""What Python's door to a run may import late besides: loading a run draws and reads nothing."""

LATE_IN = {"cli": (*LATE_IMPORTS, *LATE_IN_CLI), "api": (*LATE_IMPORTS, *LATE_IN_API)}
"""By room; others have ``LATE_IMPORTS`` alone."""

CROWDED = {
    "orchestrator/cli/commands": "one command, one file",
    "engines/shared/scoring": "one kind of answer, one file",
}
"""Folders that are catalogues, and may hold more than twelve files."""


def room(module: str) -> str:
    """The room of a module of orchestrator/."""
    return module.split(".")[1] if "." in module else ""


def floor(module: str) -> int:
    """The floor of a module of orchestrator/."""
    return next(number for number, rooms in enumerate(FLOORS) if room(module) in rooms)


def test_every_room_of_the_orchestrator_has_a_floor() -> None:
    rooms = {room(module) for module in modules("orchestrator") if module != "orchestrator"}
    assert rooms == set().union(*FLOORS)


def test_a_file_of_the_orchestrator_imports_its_own_room_and_lower_floors() -> None:
    wrong = []
    for module, targets in import_graph("orchestrator").items():
        for target in targets - {"orchestrator"}:
            if room(target) != room(module) and floor(target) >= floor(module):
                wrong.append(f"{module} imports {target}")
    assert wrong == []


def test_no_circle_of_files() -> None:
    graph = {
        module: set(targets)
        for module, targets in import_graph("orchestrator", "jobs", "engines").items()
    }
    while leaves := [module for module, targets in graph.items() if not targets]:
        for leaf in leaves:
            del graph[leaf]
        for targets in graph.values():
            targets.difference_update(leaves)
    # What is left is in a circle, or imports one.
    assert graph == {}


# Python 3.12 has the first in place of two others, of which one is the second.
STANDARD = {*sys.stdlib_module_names, "_sha2", "_sha256"}


def test_the_node_package_needs_itself_and_the_standard_library_alone() -> None:
    wrong = []
    for module, path in modules("orchestrator").items():
        if room(module) != "node":
            continue
        for name, line, _ in imported_names(path):
            top = name.split(".")[0]
            if top not in STANDARD and not name.startswith("orchestrator.node."):
                wrong.append(f"{path.relative_to(ROOT)}:{line} {name}")
    assert wrong == []


def test_the_orchestrator_knows_of_engines_only_their_contract_and_two_doors() -> None:
    allowed = (
        "engines.contract.",
        "engines.shared.data.preparation.",
        "engines.shared.reporting.",
    )
    wrong = []
    for module, path in modules("orchestrator").items():
        for name, line, _ in imported_names(path):
            if name.startswith("engines.") and not name.startswith(allowed):
                wrong.append(f"{module}:{line} {name}")
    assert wrong == []


def test_engines_import_the_contract_what_is_shared_and_themselves() -> None:
    wrong = []
    for module, targets in import_graph("engines").items():
        parts = module.split(".")
        if len(parts) < 2:
            continue
        allowed = {"contract"} if parts[1] == "contract" else {"contract", "shared", parts[1]}
        for target in targets - {"engines"}:
            if target.split(".")[1] not in allowed:
                wrong.append(f"{module} imports {target}")
    assert wrong == []


def test_the_contract_imports_little() -> None:
    allowed = {"pydantic", "pydantic_core", "yaml", "engines", *sys.stdlib_module_names}
    late = {"pyarrow", "torch", "safetensors"}
    wrong = []
    for module, path in modules("engines").items():
        if module.startswith("engines.contract"):
            for name, line, inside in imported_names(path):
                top = name.split(".")[0]
                if top not in allowed and not (inside and top in late):
                    wrong.append(f"{module}:{line} {name}")
    assert wrong == []


def texts(*packages: str) -> list[tuple[str, str, int]]:
    """File, text and line of every text constant in the packages."""
    return [
        (str(path.relative_to(ROOT)), text, line)
        for path in modules(*packages).values()
        for text, line in text_constants(path)
    ]


def test_no_engine_reads_the_private_files_of_the_orchestrator() -> None:
    private = re.compile(r"\b(exit|claim|job|state|plan)\.json\b|attempt-")
    assert [found for found in texts("engines") if private.search(found[1])] == []


def test_the_programs_of_the_scheduler_are_named_in_one_package() -> None:
    programs = {"sbatch", "squeue", "sacct", "scontrol", "sinfo", "sacctmgr", "scancel"}
    allowed = (
        "orchestrator/clusters/slurm/",
        "orchestrator/node/",
        # Sources of a record's state are named like the programs, in state files too.
        "orchestrator/runs/sources.py",
        # So is a key of the profile; and without a profile it counts whether the program is here.
        "orchestrator/description/profile",
    )
    wrong = [
        found
        for found in texts("orchestrator")
        if found[1] in programs and not found[0].startswith(allowed)
    ]
    assert wrong == []


def test_submitit_is_imported_in_one_file() -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in modules("orchestrator", "engines", "jobs").values()
        for name, _, _ in imported_names(path)
        if name.split(".")[0] == "submitit"
    }
    assert users == {"orchestrator/clusters/slurm/script.py"}


def test_the_layout_of_a_run_is_spelled_in_one_package() -> None:
    layout = re.compile(r"^attempt-|/attempt-|\bexit\.json$|/out/|^out$")
    wrong = [
        found
        for found in texts("orchestrator")
        if layout.search(found[1])
        and not found[0].startswith(("orchestrator/runs/", "orchestrator/node/"))
    ]
    assert wrong == []


def test_imports_inside_functions_are_listed_with_their_reason() -> None:
    wrong = []
    for module, path in modules("orchestrator").items():
        if room(module) == "node":
            continue
        late = LATE_IN.get(room(module), (*LATE_IMPORTS,))
        for name, line, inside in imported_names(path):
            if inside and not f"{name}.".startswith(tuple(f"{allowed}." for allowed in late)):
                wrong.append(f"{path.relative_to(ROOT)}:{line} {name}")
    assert wrong == []


def test_no_decision_hangs_on_the_text_of_a_reason() -> None:
    """Reasons are sentences for people: only what shows them may look at their words."""
    wrong = []
    for module, path in modules("orchestrator", "jobs").items():
        if module.startswith("orchestrator.views"):
            continue
        for node in ast.walk(tree_of(path)):
            compared = []
            if isinstance(node, ast.Compare):
                compared = [node.left, *node.comparators]
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("startswith", "endswith", "isupper", "find", "partition")
            ):
                compared = [node.func.value]
            if any(
                isinstance(part, ast.Attribute) and part.attr in ("reason", "why")
                for part in compared
            ):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}")
    assert wrong == []


def test_no_folder_holds_more_than_twelve_files() -> None:
    counts = Counter(
        str(path.parent.relative_to(ROOT))
        for path in modules("orchestrator", "jobs", "engines").values()
        if path.name != "__init__.py"
    )
    assert {folder: n for folder, n in counts.items() if n > 12 and folder not in CROWDED} == {}


def test_a_package_only_says_what_it_is() -> None:
    """``__init__.py`` hold a docstring and at most the names that an engine hands on."""
    wrong = [
        str(path.relative_to(ROOT))
        for path in modules("orchestrator", "engines").values()
        if path.name == "__init__.py" and len(tree_of(path).body) > 5
    ]
    assert wrong == []
