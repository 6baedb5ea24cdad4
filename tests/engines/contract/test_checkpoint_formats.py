"""Folders as other programs leave them: whole, half written, damaged, or of another kind. What
cannot be used is told in words, and never ends in a traceback."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from engines.contract import checkpoints
from engines.contract.checkpoint_formats import LATEST, locate
from engines.contract.config import ConfigError
from engines.contract.formats.names import step_in, step_of
from engines.contract.formats.weights import shapes_of, trouble_with


def tensors(folder: Path, name: str = "model.safetensors", **shapes: tuple[int, ...]) -> Path:
    """A safetensors file with tensors of these shapes."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = shapes or {"w": (4,)}
    save_file({key: np.ones(shape, np.float32) for key, shape in wanted.items()}, folder / name)
    return folder


def model(folder: Path) -> Path:
    """A small Hugging Face folder."""
    tensors(folder)
    (folder / "config.json").write_text("{}")
    return folder


def divided(folder: Path, there: tuple[int, ...] = (1, 2), count: int = 2) -> Path:
    """A model in several files, of which some are there, without an index."""
    folder.mkdir(parents=True)
    for number in there:
        tensors(folder, f"model-{number:05}-of-{count:05}.safetensors", **{f"w{number}": (4,)})
    (folder / "config.json").write_text("{}")
    return folder


def index(folder: Path, content: Any) -> None:
    """The index of a model in several files."""
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "model.safetensors.index.json").write_text(text)


def raw(folder: Path, header: bytes, data: bytes = b"", length: int | None = None) -> Path:
    """A Hugging Face folder whose weights have any header."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    begin = struct.pack("<Q", len(header) if length is None else length)
    (folder / "model.safetensors").write_bytes(begin + header + data)
    return folder


def said(folder: Path) -> str:
    """The one thing that is told of a folder in which nothing is found."""
    found, told = locate(folder)
    assert found == []
    (line,) = told
    assert line.startswith(str(folder))
    return line


@pytest.mark.parametrize("there", [(1,), (2,), (1, 3), ()])
def test_a_model_of_which_files_are_still_to_come_is_no_checkpoint(
    tmp_path: Path, there: tuple[int, ...]
) -> None:
    count = 3 if there == (1, 3) else 2
    line = said(divided(tmp_path / "checkpoint-5", there, count))
    if there:
        assert f"{count - len(there)} of {count} weight files are missing" in line
        absent = min({1, 2, 3} - set(there))
        assert f"model-{absent:05}-of-{count:05}.safetensors" in line
    else:
        assert "no safetensors file" in line


def test_a_file_beyond_the_last_is_none_of_the_parts(tmp_path: Path) -> None:
    folder = divided(tmp_path / "x", there=(1, 3), count=2)
    assert "1 of 2 weight files are missing, such as model-00002-of-00002" in said(folder)


def test_an_index_alone_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    index(tmp_path / "x", {"weight_map": {"w": "model-00001-of-00002.safetensors"}})
    assert "weight files are missing" in said(tmp_path / "x")


def test_links_in_a_circle_are_passed_over(tmp_path: Path) -> None:
    model(tmp_path / "checkpoint-5")
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    found, told = locate(tmp_path)
    assert ([one.name for one in found], told) == (["checkpoint-5"], [])


def test_a_model_in_several_files_is_one_when_all_are_there(tmp_path: Path) -> None:
    assert len(locate(divided(tmp_path / "a"))[0]) == 1
    # Counted from 0, and named as torchtune does.
    for number in (0, 1):
        name = f"ft-model-{number:05}-of-00002.safetensors"
        tensors(tmp_path / "b", name, **{f"w{number}": (4,)})
    assert trouble_with(tmp_path / "b") == ""
    index(
        tmp_path / "a",
        {"weight_map": {f"w{n}": f"model-0000{n}-of-00002.safetensors" for n in (1, 2)}},
    )
    assert shapes_of(tmp_path / "a") == {"w1": (4,), "w2": (4,)}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "has no table 'weight_map'"),
        ("null", "has no table 'weight_map'"),
        ({"weight_map": ["model.safetensors"]}, "has no table 'weight_map'"),
        ({"metadata": {}}, "has no table 'weight_map'"),
        ({"weight_map": {}}, "names no file"),
        ({"weight_map": {"w": 3}}, "names 3, which is no file of weights"),
        ({"weight_map": {"w": None}}, "names None, which is no file of weights"),
        ({"weight_map": {"w": "tokenizer.json"}}, "'tokenizer.json', which is no file of weights"),
        (
            {"weight_map": {"w": "optimizer.safetensors"}},
            "'optimizer.safetensors', which is no file",
        ),
        (
            {"weight_map": {"w": "../other/model.safetensors"}},
            "which is no file of weights beside it",
        ),
        ({"weight_map": {"w": ""}}, "names '', which is no file of weights"),
        ("", "cannot be read"),
        ('{"weight_map": {"w": "model.safe', "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ({"weight_map": {"w": "empty.safetensors"}}, "empty.safetensors is empty"),
        ({"weight_map": {"w": "gone.safetensors"}}, "1 of 1 weight files are missing"),
        (
            {"weight_map": {"w": "model.safetensors", "v": "model.safetensors"}},
            "model.safetensors does not hold v",
        ),
        (
            {"weight_map": {"w": "model-00001-of-00002.safetensors"}},
            "1 of 2 weight files are missing, such as model-00002-of-00002.safetensors",
        ),
    ],
)
def test_an_index_that_names_anything_but_whole_weights_is_told(
    tmp_path: Path, content: Any, words: str
) -> None:
    folder = model(tmp_path / "checkpoint-5")
    (folder / "empty.safetensors").touch()
    (folder / "tokenizer.json").write_text("{}")
    tensors(folder, "optimizer.safetensors")
    tensors(folder, "model-00001-of-00002.safetensors")
    index(folder, content)
    assert words in said(folder)


TENSOR = b'{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'


@pytest.mark.parametrize(
    ("header", "length", "words"),
    [
        (b"[]", None, "is a list and not a table of tensors"),
        (b"3", None, "is a int and not a table"),
        (b"", None, "a header that is not JSON"),
        (b"", 10**18, "not as long as its header says"),
        (b"{}", None, "holds no tensor"),
        (b'{"__metadata__": {"format": "pt"}}', None, "holds no tensor"),
        (b'{"w": 3}', None, "entry 'w' describes no tensor"),
        (b'{"w": {"dtype": "F32", "shape": [1]}}', None, "entry 'w' describes no tensor"),
        (
            b'{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}',
            None,
            "describes no tensor",
        ),
        (
            b'{"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}',
            None,
            "describes no tensor",
        ),
        (
            b'{"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
            None,
            "describes no tensor",
        ),
        (
            b'{"w": {"dtype": "F32", "shape": "1", "data_offsets": [0, 4]}}',
            None,
            "describes no tensor",
        ),
        (
            b'{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4.0]}}',
            None,
            "describes no tensor",
        ),
        (b"\xff\xfe\x00", None, "not UTF-8"),
        (b"[" * 100_000, None, "not JSON"),
        (b"9" * 5000, None, "not JSON"),
        (TENSOR[:-3], None, "not JSON"),
        (TENSOR, None, "not as long as its header says"),
    ],
)
def test_a_damaged_header_is_told(
    tmp_path: Path, header: bytes, length: int | None, words: str
) -> None:
    assert words in said(raw(tmp_path / "x", header, length=length))


def test_a_header_that_fits_is_a_checkpoint_and_one_byte_more_or_less_is_not(
    tmp_path: Path,
) -> None:
    assert len(locate(raw(tmp_path / "whole", TENSOR, b"1234"))[0]) == 1
    for data in (b"123", b"12345"):
        assert "not as long" in said(raw(tmp_path / f"{len(data)}", TENSOR, data))
    (model(tmp_path / "empty") / "model.safetensors").write_bytes(b"")
    assert "model.safetensors is empty" in said(tmp_path / "empty")


def entry(shape: list[int], begin: int, end: int, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "length", "words"),
    [
        ({"w": entry([2], 0, 4)}, 4, "'w' has more or fewer bytes than its shape [2] in F32"),
        ({"w": entry([1], 0, 4, "F64")}, 4, "than its shape [1] in F64"),
        ({"w": entry([0], 0, 4)}, 4, "than its shape [0] in F32"),
        ({"w": entry([2**40, 2**40], 0, 4)}, 4, "more or fewer bytes"),
        ({"w": entry([1], 0, 4, 3)}, 4, "describes no tensor"),
        ({"w": {"shape": [1], "data_offsets": [0, 4]}}, 4, "describes no tensor"),
        ({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, 4, "tensors overlap"),
        ({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, 12, "leave bytes out"),
        ({"a": entry([1], 4, 8)}, 8, "leave bytes out"),
        ({"__metadata__": [], "w": entry([1], 0, 4)}, 4, "no table of texts"),
        ({"__metadata__": {"step": 3}, "w": entry([1], 0, 4)}, 4, "no table of texts"),
        ({"b": entry([1], 4, 8), "a": entry([1], 0, 4)}, 8, ""),
        ({"a": entry([0], 0, 0), "b": entry([], 0, 4), "c": entry([7, 0], 4, 4)}, 4, ""),
        ({"w": entry([2], 0, 4, "BF16")}, 4, ""),
        ({"w": entry([8], 0, 4, "F4")}, 4, ""),
        ({"w": entry([1], 0, 8, "C64")}, 8, ""),
    ],
)
def test_a_header_is_whole_where_the_library_reads_it(
    tmp_path: Path, header: dict[str, Any], length: int, words: str
) -> None:
    folder = raw(tmp_path / "x", json.dumps(header).encode(), b"0" * length)
    if words:
        assert words in said(folder)
        with pytest.raises(SafetensorError):
            safe_open(folder / "model.safetensors", "np")
    else:
        assert len(locate(folder)[0]) == 1
        with safe_open(folder / "model.safetensors", "np") as file:
            assert set(file.keys()) == set(header)


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=200, deadline=None)
def test_whatever_is_in_the_files_nothing_is_raised(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, framed: bool
) -> None:
    folder = tmp_path_factory.mktemp("any")
    if framed:
        raw(folder / "a", content)
    else:
        model(folder / "a")
    for name in ("model.safetensors.index.json", "trainer_state.json", "config.json"):
        (folder / "a" / name).write_bytes(content)
    (folder / LATEST).write_bytes(content)
    found, told = locate(folder)
    assert len(told) >= 1 - len(found)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["w", "shape", "data_offsets", "weight_map", "global_step"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@given(json_values)
@settings(max_examples=200, deadline=None)
def test_whatever_the_json_says_nothing_is_raised(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    folder = tmp_path_factory.mktemp("any")
    text = json.dumps(value)
    raw(folder / "a", text.encode())
    for number, name in enumerate(("config.json", "trainer_state.json")):
        (model(folder / f"b{number}") / name).write_text(text)
    index(model(folder / "c"), value)
    locate(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"release", "says 'release', which is no step"),
        (b"20.5", "says '20.5'"),
        (b"-1", "says '-1'"),
        (b"5\n6", r"says '5\n6', which is no step"),
        (b"\xff\xff", "which is no step"),
        (b"step 20", "says 'step 20'"),
    ],
)
def test_an_odd_tracker_of_verl_is_told_and_weights_are_judged_by_themselves(
    tmp_path: Path, text: bytes, words: str
) -> None:
    for step in (10, 20):
        model(tmp_path / f"global_step_{step}" / "actor" / "huggingface")
    (tmp_path / LATEST).write_bytes(text)
    found, (line,) = locate(tmp_path)
    assert [one.step for one in found] == [10, 20]
    assert words in line
    assert line.startswith(f"{tmp_path / LATEST}: ")


def test_the_tracker_of_verl_counts_with_spaces_and_for_a_folder_named_by_itself(
    tmp_path: Path,
) -> None:
    for step in (10, 20):
        model(tmp_path / f"global_step_{step}" / "actor" / "huggingface")
    (tmp_path / LATEST).write_text(" 10\n")
    assert [one.step for one in locate(tmp_path)[0]] == [10]
    assert [one.step for one in locate(tmp_path / "global_step_10")[0]] == [10]
    assert "still being written" in said(tmp_path / "global_step_20")


def test_verls_supervised_trainings_have_no_actor(tmp_path: Path) -> None:
    model(tmp_path / "global_step_7" / "huggingface")
    model(tmp_path / "global_step_8")
    assert [one.step for one in locate(tmp_path)[0]] == [7, 8]


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("epoch_2_step_40_v2", 40),
        ("epoch=2-step=40", 40),
        ("epoch=2-step=40-v1", 40),
        ("checkpoint-500", 500),
        ("checkpoint-500-v2", 500),
        ("v2_checkpoint-500", 500),
        ("checkpoint-epoch3-step500", 500),
        ("global_step_20", 20),
        ("global_step20", 20),
        ("globalstep20", 20),
        ("step=000123", 123),
        ("step-0", 0),
        ("Step 40", 40),
        ("step_10k", 10_000),
        ("1000steps", 1000),
        ("step1000-tokens4B", 1000),
        ("iter_0000100", 100),
        ("hf_iter_20", 20),
        ("epoch_3", 3),
        ("epoch3", 3),
        ("ep3", 3),
        ("qwen2.5-7b-step-300", 300),
        ("step40_qwen2.5-7b", 40),
        ("Qwen2.5-0.5B-checkpoint-12", 12),
        ("llama-3.1-8b-instruct-500", 500),
        ("kl0.1-lr1e-5-step7", 7),
        ("seed42-step7", 7),
        ("sft-20260131-checkpoint-40", 40),
        ("2026-01-31T10-30-00_step_5", 5),
        ("40_v2", 40),
        ("40-7b", 40),
        ("500", 500),
        ("weights-30", 30),
        ("model500", 500),
        ("run3", 3),
    ],
)
def test_the_step_in_a_name(name: str, step: int) -> None:
    assert step_in(name) == step
    assert step_of(name) == step


@pytest.mark.parametrize(
    "name",
    [
        "last", "final", "best", "v2", "model-v2", "qwen2.5-7b", "Qwen2.5-0.5B-Instruct", "lr1e-5",
        "run-2026-01-31", "20260131", "run_20260131-101500", "2026-01-31T10-30-00",
        "checkpoint-20260131", "",
    ],
)  # fmt: skip
def test_a_name_without_a_step_tells_none(name: str) -> None:
    assert step_in(name) is None
    assert step_of(name) == 0


@given(st.integers(0, 10**9), st.sampled_from(["step", "global_step_", "Step=", "iter_", "ckpt-"]),
       st.sampled_from(["", "-v3", "_qwen2.5-7b", "-2026-01-31", "-final"]))  # fmt: skip
def test_a_step_behind_its_word_is_found_whatever_follows(step: int, word: str, end: str) -> None:
    assert step_of(f"{word}{step:07}{end}") == step


def test_what_transformers_noted_of_the_step_beats_the_name(tmp_path: Path) -> None:
    (model(tmp_path / "last") / "trainer_state.json").write_text('{"global_step": 70, "x": NaN}')
    model(tmp_path / "checkpoint-50")
    assert [(one.name, one.step) for one in locate(tmp_path)[0]] == [
        ("checkpoint-50", 50),
        ("last", 70),
    ]


def test_where_nothing_tells_a_step_it_is_said(tmp_path: Path) -> None:
    model(tmp_path / "last")
    assert locate(tmp_path)[1] == []  # alone it has no order to be in
    model(tmp_path / "checkpoint-50")
    found, (line,) = locate(tmp_path)
    assert [(one.name, one.step) for one in found] == [("last", 0), ("checkpoint-50", 50)]
    assert line == (
        f"{tmp_path / 'last'}: neither its name nor trainer_state.json tells a step; it is taken as 0"
    )


def test_a_half_written_checkpoint_of_transformers_is_told_and_its_last_model_is_one(
    tmp_path: Path,
) -> None:
    out = model(tmp_path / "qwen-sft")
    (out / "training_args.bin").touch()
    for step in (10, 20, 30, 40):
        (model(out / f"checkpoint-{step}") / "training_args.bin").touch()
        (out / f"checkpoint-{step}" / "trainer_state.json").write_text(f'{{"global_step": {step}}}')
    (out / "checkpoint-20" / "trainer_state.json").write_text('{"best_metric": nul')
    (out / "checkpoint-30" / "checkpoint-is-incomplete.txt").touch()
    (out / "checkpoint-40" / "config.json").write_text("")
    (out / "runs").mkdir()
    found, told = locate(out)
    # The model at the end of the training, which has no state of its own, is the last.
    assert [(one.name, one.step) for one in found] == [("checkpoint-10", 10), ("qwen-sft", 10)]
    assert [line.partition("complete checkpoint: ")[2] for line in told] == [
        "trainer_state.json is no table in JSON: half written, or damaged",
        "checkpoint-is-incomplete.txt is there while transformers writes",
        "config.json is no table in JSON: half written, or damaged",
    ]


def test_a_config_of_something_else_beside_checkpoints_hides_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"learning_rate": 1}')
    (tmp_path / "recipe_state.pt").touch()
    model(tmp_path / "epoch_1")
    assert [one.name for one in locate(tmp_path)[0]] == ["epoch_1"]
    assert locate(tmp_path)[1] == []


def test_a_link_to_a_checkpoint_beside_it_is_not_listed_twice(tmp_path: Path) -> None:
    model(tmp_path / "checkpoint-10")
    (tmp_path / "last").symlink_to("checkpoint-10")
    assert [one.name for one in locate(tmp_path)[0]] == ["checkpoint-10"]
    model(tmp_path / "elsewhere" / "x")
    (tmp_path / "start").symlink_to(tmp_path / "elsewhere" / "x")
    assert {one.name for one in locate(tmp_path)[0]} == {"checkpoint-10", "start"}


def test_a_link_that_leads_nowhere_is_a_missing_file(tmp_path: Path) -> None:
    folder = model(tmp_path / "a")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(tmp_path / "gone")
    assert "1 of 1 weight files are missing, such as model.safetensors" in said(folder)


def test_state_beside_the_weights_is_neither_read_nor_part_of_their_fingerprint(
    tmp_path: Path,
) -> None:
    folder = model(tmp_path / "checkpoint-5")
    before = checkpoints.fingerprint(folder)
    for name in ("optimizer.safetensors", "tokenizer.safetensors", "adapter_model.safetensors",
                 "random_states_0.safetensors", "model_optimizer.safetensors"):  # fmt: skip
        (folder / name).write_bytes(b"not even one")
    assert trouble_with(folder) == ""
    assert checkpoints.fingerprint(folder) == before
    (folder / "model.safetensors").unlink()
    assert "no safetensors file" in trouble_with(folder)


def test_several_models_in_one_folder_are_not_taken_for_one(tmp_path: Path) -> None:
    folder = tensors(tensors(tmp_path / "a", "epoch_1.safetensors"), "epoch_2.safetensors")
    line = said(folder)
    assert "epoch_1.safetensors and epoch_2.safetensors both hold w" in line


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["adapter_model.safetensors", "adapter_config.json"], "is an adapter (LoRA)"),
        (["adapter_config.json", "config.json"], "is an adapter (LoRA)"),
        (["adapter_model.bin"], "is an adapter (LoRA)"),
        (["0000100_adapters.safetensors"], "is an adapter (LoRA)"),
        (["__0_0.distcp"], ".metadata, which is written last, is not beside it"),
        (["__0_0.distcp", ".metadata"], "dcp_to_torch"),
        (["pytorch_model_fsdp_0/__0_0.distcp", "pytorch_model_fsdp_0/.metadata"], "merge-weights"),
        (["trainer/__0_0.distcp", "trainer/.metadata", "scheduler.pt"], "merge-weights"),
        (["global_step500/zero_pp_rank_0_mp_rank_00_model_states.pt", "zero_to_fp32.py"],
         "zero_to_fp32.py"),
        (["mp_rank_00/model_optim_rng.pt"], "a shard of Megatron"),
        (["checkpoint_metadata.json", "model/model/x.safetensors"], "a file of nanotron"),
        (["model_world_size_2_rank_0.pt", "optim_world_size_2_rank_0.pt"], "verl's model_merger"),
        (["epoch=2-step=40.ckpt"], "epoch=2-step=40.ckpt is a pickle, which is not opened"),
        (["optimizer.pt", "pytorch_model.bin", "config.json"], "pytorch_model.bin is a pickle"),
        (["optimizer.pt", "rng_state_0.pth"], "optimizer.pt is the state of a training"),
        (["model.gguf"], "model.gguf is no safetensors file"),
    ],
)  # fmt: skip
def test_what_other_programs_write_is_named_with_what_to_do(
    tmp_path: Path, files: list[str], words: str
) -> None:
    folder = tmp_path / "step_5"
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    assert words in said(folder)
    # As one of several, too, where each is told by itself.
    assert words in said(tmp_path)
    model(tmp_path / "step_6")
    found, (line,) = locate(tmp_path)
    assert [one.step for one in found] == [6]
    assert line.startswith(f"{folder}: ")


def test_an_adapter_beside_its_whole_model_is_no_hindrance_and_one_inside_is_told(
    tmp_path: Path,
) -> None:
    folder = divided(tmp_path / "epoch_1")
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (folder / name).write_text("{}")
    assert [one.name for one in locate(tmp_path)[0]] == ["epoch_1"]
    name = "base_model.model.layers.0.q_proj.lora_A.weight"
    tensors(tmp_path / "epoch_2", **{name: (2, 4), "w": (4,)})
    assert f"holds an adapter ({name})" in locate(tmp_path)[1][0]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x"}', "nul"])
def test_a_damaged_manifest_is_told_and_the_others_are_found(tmp_path: Path, text: str) -> None:
    for number in (1, 2):
        checkpoints.save(
            tmp_path,
            checkpoints.Description(name=f"e{number}", step=number, epoch=number, metrics={}),
            lambda folder: tensors(folder / "model") and None,
        )
    manifest = tmp_path / "checkpoints" / "e1" / "manifest.json"
    manifest.write_text(text)
    found, (line,) = locate(tmp_path)
    assert [one.name for one in found] == ["e2"]
    assert line.startswith(f"{manifest}: not the manifest of a checkpoint")
    with pytest.raises(ConfigError, match="not the manifest of a checkpoint"):
        checkpoints.complete(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    folder = model(tmp_path / "a" / "checkpoint-5")
    folder.chmod(0)
    try:
        _, told = locate(tmp_path / "a")
    finally:
        folder.chmod(0o700)
    assert told == [f"{folder}: cannot be read (Permission denied)"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("which", [".", LATEST])
def test_nothing_that_may_not_be_read_ends_in_a_traceback(tmp_path: Path, which: str) -> None:
    model(tmp_path / "a" / "global_step_5")
    (tmp_path / "a" / LATEST).write_text("5")
    locked = tmp_path / "a" / which
    locked.chmod(0)
    try:
        found, told = locate(tmp_path / "a")
    finally:
        locked.chmod(0o700)
    (line,) = told
    assert found == []
    assert line.startswith(str(locked))
    assert line.endswith(": cannot be read (Permission denied)")


@pytest.mark.parametrize("name", ["tmp-checkpoint-40", "step_40.tmp", "checkpoint-40_incomplete"])
def test_a_folder_that_is_renamed_when_it_is_whole_is_no_checkpoint_before(
    tmp_path: Path, name: str
) -> None:
    model(tmp_path / name)
    assert "being written" in said(tmp_path / name)
    model(tmp_path / "checkpoint-30")
    found, told = locate(tmp_path)
    assert [one.name for one in found] == ["checkpoint-30"]
    assert len(told) == 1
    model(tmp_path / "x" / "tmp")
    assert len(locate(tmp_path / "x" / "tmp")[0]) == 1
