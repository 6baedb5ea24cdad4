"""The evaluation: every model answers once, its replies are kept and measured, then compared.

In: the config and the output folder, perhaps with replies of an earlier start. Out: everything
below ``models/``, ``judge.jsonl`` where a judge is asked, and ``results.json``, written last.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError, same_config
from engines.contract.files import write_json
from engines.contract.program import Interrupted, Stop
from engines.contract.results import Row, write_results
from engines.polychromic_evaluation.config import Config
from engines.polychromic_evaluation.generation import Answering
from engines.polychromic_evaluation.judge.comparing import Judge, Verdicts, baselines
from engines.polychromic_evaluation.measures import Measures, measure
from engines.polychromic_evaluation.models import Model, Models, find_models
from engines.polychromic_evaluation.prompts import Prompts, read_prompts
from engines.polychromic_evaluation.rows import (
    judge_notes,
    judged_rows,
    measured_rows,
    model_facts,
    notes,
    spectrum_rows,
    write_arrays,
)
from engines.polychromic_evaluation.samples import folder_of
from engines.polychromic_evaluation.spectra import as_json, spectra_of
from engines.shared.diversity.embeddings import embedder
from engines.shared.replies.checker import checker_of
from engines.shared.replies.rows import read_manifest

BEGUN = "evaluation.json"
"""Says of which models, with which config, the finished replies are."""


def evaluate(config: Config, out: Path, stop: Stop) -> None:
    """Answer what is not yet answered, measure, and write the results."""
    started = time.monotonic()
    models = find_models(config)
    manifest = read_manifest(config.data)
    checker = checker_of(manifest, config.data)
    prompts = read_prompts(config, models.base.folder)
    # Everything that can be wrong is looked for before vLLM is started.
    embed = embedder(config.embedder)
    judge = None
    if config.judge is not None:
        baselines(models.all, config.judge)
        judge = Judge(config.judge, out)
    check_begun(config, out, models)
    answering = Answering(config, models, prompts, checker)
    replies = answering.answer_all(out, stop)
    served = answering.adapter_rank is not None
    # The judge takes its time, and needs no engine.
    del answering
    verdicts = judge.compare(models.all, replies, stop) if judge is not None else None
    if stop.requested:
        raise Interrupted("all replies are kept; start it again")
    measures, shared = measure(config, replies, embed)
    rows = write_models(out, models, prompts, measures, verdicts)
    said = notes(config, measures, shared, prompts.too_long, embed.name)
    said += judge_notes(verdicts) if verdicts is not None else []
    facts: dict[str, Any] = {
        **made_with(config, models, prompts),
        "notes": [*said, *models.missing],
        "rarefied_to": {str(n): drawn for n, drawn in shared.drawn.items()},
        "vocabulary": shared.words,
        "embedder": embed.name,
        "checker": {"name": checker.name, "version": checker.version},
        "template": manifest.template.model_dump(),
        "adapters": "served beside the base" if served else "merged in float32, if there are any",
        "judge": judge_facts(config, verdicts),
    }
    write_results(out, "polychromic_evaluation", config, rows, time.monotonic() - started, facts)


def made_with(config: Config, models: Models, prompts: Prompts) -> dict[str, Any]:
    """Who answered how many prompts."""
    return {
        "models": [model_facts(model) for model in models.all],
        "prompts": len(prompts),
        "left_out": prompts.too_long,
        "samples": config.samples,
        "versions": versions(),
    }


def check_begun(config: Config, out: Path, models: Models) -> None:
    """Note whose replies these are; ConfigError if an earlier start asked others, or in another
    way."""
    path = out / BEGUN
    now = {model.name: model.fingerprint for model in models.all}
    if not path.exists():
        write_json(path, {"config": config.model_dump(mode="json"), "fingerprints": now})
        return
    try:
        begun = json.loads(path.read_text())
        earlier = begun["fingerprints"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); delete {out} and start again"
        ) from error
    same_config(config, begun["config"], path)
    if earlier != now:
        changed = sorted(name for name in earlier | now if earlier.get(name) != now.get(name))
        raise ConfigError(
            f"{path}: {', '.join(changed)}: has other weights than when this was begun; give a new "
            "--out folder"
        )


def write_models(
    out: Path,
    models: Models,
    prompts: Prompts,
    measures: dict[str, Measures],
    verdicts: Verdicts | None,
) -> list[Row]:
    """What belongs to each model, on disk and as rows."""
    rows: list[Row] = []
    ids = [prompt.id for prompt in prompts.all]
    for model in models.all:
        own = dict(measures[model.name])
        rows += measured_rows(model, own)
        judged = verdicts.models.get(model.name) if verdicts is not None else None
        if verdicts is not None and judged is not None:
            own["win_rate"] = judged.win_rate
            rows += judged_rows(model, judged, verdicts.ended)
        rows += adapter_rows(out, model)
        write_arrays(out, model, ids, own)
    return rows


def adapter_rows(out: Path, model: Model) -> list[Row]:
    """What an adapter adds, layer by layer; nothing of a whole model."""
    if not model.is_adapter:
        return []
    spectra = spectra_of(model.folder)
    write_json(folder_of(out, model) / "spectra.json", as_json(spectra))
    return spectrum_rows(model, spectra)


def judge_facts(config: Config, verdicts: Verdicts | None) -> dict[str, Any] | None:
    """Who judged, and at what price."""
    if config.judge is None or verdicts is None:
        return None
    return {
        "model": config.judge.model,
        "against": dict(config.judge.against),
        "budget": config.judge.budget,
        "most": verdicts.most,
        "spent": verdicts.spent,
        "ended": verdicts.ended,
        "answers": {
            name: {
                "first": judged.for_first,
                "second": judged.for_second,
                "tie": judged.ties,
                "unread": judged.unread,
            }
            for name, judged in verdicts.models.items()
        },
    }


def versions() -> dict[str, str]:
    """Versions of what decides the replies."""
    from importlib.metadata import version

    import vllm

    found = {name: version(name) for name in ("torch", "transformers")}
    return {**found, "vllm": str(vllm.__version__)}
