"""The checkpoints of a followed training: which are on disk, which were deleted, and links that
keep them for jobs that wait."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.contract.checkpoint_formats import Located, locate, trouble_with
from engines.contract.checkpoints import Manifest, fingerprint, named
from engines.contract.config import ConfigError
from jobs.stages import Point, digest
from orchestrator.errors import RunError
from orchestrator.node.system import write_json
from orchestrator.scores.evolution import START, Evolution, Known

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Training:
    """One series of checkpoints."""

    name: str
    axes: Point
    out: Path
    config: dict[str, Any]
    over: bool


def stamp(folder: Path) -> str:
    """Sizes and times of the weight files."""
    return digest(
        [
            [path.name, path.stat().st_size, path.stat().st_mtime_ns]
            for path in sorted(folder.glob("*.safetensors"))
        ]
    )[:16]


def on_disk(training: Training, tell: Tell) -> list[Located]:
    """The complete checkpoints of a training; asked again where one was deleted while it was
    read."""
    for last in (False, False, True):
        try:
            here, troubles = locate(training.out) if training.out.is_dir() else ([], [])
        except FileNotFoundError:
            if last:
                raise
            continue
        break
    if not training.config:  # of our own trainings what is not complete is being written
        for line in troubles:
            tell(line)
    begun = start_of(training)
    return [*([begun] if begun else []), *here]


def look(evolution: Evolution, training: Training, tell: Tell) -> dict[str, Located]:
    """Note every complete checkpoint of a training that is new; returns those that are on disk now,
    by name."""
    found = {one.name: one for one in on_disk(training, tell)}
    before = {one.checkpoint: one for one in evolution.of(training.name)}
    for name, one in found.items():
        mark = "" if one.manifest else stamp(one.model)
        same = name in before and (
            before[name].fingerprint == one.manifest.fingerprint
            if one.manifest
            else before[name].stamp == mark
        )
        if same:
            continue
        if name in before:
            raise RunError(
                f"{one.model}: other weights than those that were scored as '{name}'; "
                "save them under another name"
            )
        if one.manifest is None:
            tell(f"{one.model}: reading the weights for their fingerprint")
        evolution.known.append(
            Known(
                training=training.name,
                axes=training.axes,
                checkpoint=name,
                step=one.step,
                epoch=one.epoch,
                model=str(one.model),
                stamp=mark,
                fingerprint=one.manifest.fingerprint if one.manifest else fingerprint(one.model),
                metrics=one.manifest.metrics if one.manifest else {},
                rank_by=one.manifest.rank_by if one.manifest else None,
            )
        )
    return found


def start_of(training: Training) -> Located | None:
    """The model that a training began with, where it lies on this machine."""
    model = training.config.get("model")
    if isinstance(model, dict):
        try:
            found = named(Path(model["folder"]), model["checkpoint"])
        except ConfigError:
            return None  # the job that makes it is not done
        return Located(START, 0, 0, found.model, found.manifest.format, found.manifest)
    if (
        isinstance(model, str)
        and (Path(model) / "config.json").is_file()
        and not trouble_with(Path(model))
    ):
        return Located(START, 0, 0, Path(model).absolute(), "huggingface")
    return None


def pruned(evolution: Evolution, training: Training, here: dict[str, Located]) -> list[str]:
    """In words: checkpoints that were made, by what is known, and deleted before they were
    scored."""
    known = evolution.of(training.name)
    gone = [
        one.checkpoint
        for one in known
        if one.checkpoint not in here and one.fingerprint not in evolution.scored
    ]
    every, made = (
        training.config.get("checkpoint_every_epochs"),
        [one.epoch for one in known if one.checkpoint != START],
    )
    missed = sorted(set(range(every, max(made), every)) - set(made)) if every and made else []
    told = [f"{training.name}: {name} was deleted before it was scored" for name in gone]
    if missed:
        told.append(
            f"{training.name}: epoch{'s' if len(missed) > 1 else ''} "
            f"{', '.join(map(str, missed))}: deleted before anyone looked "
            "(keep_checkpoints)"
        )
    return told


def take(source: Located | None, print_: str, target: Path, base: Path | None) -> None:
    """Make ``target`` the same checkpoint by hard links (symbolic ones across file systems).
    FileNotFoundError if it is just deleted."""
    if source is None:
        raise FileNotFoundError(target.name)
    draft = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "model").mkdir(parents=True)
    files = {
        path.name: path
        for folder in ([base] if base else [])
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith("model") and path.suffix != ".safetensors"
    }
    files |= {path.name: path for path in source.model.iterdir() if path.is_file()}
    for name, path in files.items():
        link(path.resolve(strict=True), draft / "model" / name)
    if any(not path.exists() for path in files.values()) or trouble_with(draft / "model"):
        raise FileNotFoundError(source.model)
    probe = source.manifest.probe if source.manifest else None
    manifest = Manifest(
        name=target.name,
        step=source.step,
        epoch=source.epoch,
        format="huggingface",
        fingerprint=print_,
        metrics={},
        probe=probe,
    )
    write_json(draft / "manifest.json", manifest.model_dump())
    draft.rename(target)


def link(path: Path, target: Path) -> None:
    """A hard link, or where the file systems differ (or do not have them) a symbolic one."""
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:
        target.symlink_to(path)


def gather(
    folder: Path,
    evolution: Evolution,
    found: dict[str, dict[str, Located]],
    base: Path | None,
    tell: Tell,
) -> None:
    """Links for every part that is not done; of the parts that are, the links go. What was deleted
    meanwhile is forgotten, and told."""
    for part in evolution.parts:
        models = folder / part.folder / "models" / "checkpoints"
        if (folder / part.folder / "out" / "results.json").exists():
            shutil.rmtree(models, ignore_errors=True)
            continue
        models.mkdir(parents=True, exist_ok=True)
        for name, print_ in list(part.checkpoints.items()):
            source = found.get(part.training, {}).get(name)
            try:
                if not (models / name / "manifest.json").exists():
                    take(source, print_, models / name, base)
            except FileNotFoundError:
                tell(f"{part.training}: {name} was deleted before it could be linked")
                evolution.forget(part, name)
    evolution.parts = [part for part in evolution.parts if part.checkpoints]


def usable(
    known: Sequence[Known],
    here: dict[str, Located],
    base: Path | None,
    evolution: Evolution,
    tell: Tell,
) -> list[Known]:
    """Those that are scored, or can be: on disk, with a configuration beside the weights."""
    good = []
    for one in known:
        if one.fingerprint in evolution.scored:
            good.append(one)
        elif (
            one.checkpoint in here and here[one.checkpoint].format == "state_dict" and base is None
        ):
            tell(
                f"{one.model}: weights alone; give the folder that holds their "
                "config.json and tokenizer: --base FOLDER"
            )
        elif one.checkpoint in here:
            good.append(one)
    return good
