"""PCGrad from inner products: against the algorithm on vectors, against TorchJD, against the closed
form for two tasks."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.ppo.update.pcgrad import (
    combine,
    conflict_metrics,
    gramian,
    group_names,
    pcgrad_weights,
    remark_on_groups,
    task_weights,
)

SMALL = {"vocab_size": 11, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 3,
         "num_attention_heads": 2}  # fmt: skip


def literal_pcgrad(vectors, orders):
    """Algorithm 1 of Yu et al. 2020, word for word, on whole vectors."""
    result = torch.zeros_like(vectors[0])
    for i, order in enumerate(orders):
        projected = vectors[i].clone()
        for j in order:
            if j != i and projected @ vectors[j] < 0:
                projected -= (projected @ vectors[j]) / (vectors[j] @ vectors[j]) * vectors[j]
        result += projected
    return result


def split(vector):
    """One vector as the tensors of a model's parameters."""
    return [vector[:3], vector[3:].reshape(-1, 2)]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@settings(max_examples=60, deadline=None)
@given(tasks=st.integers(1, 7), seed=st.integers(0, 2**31), correlation=st.floats(-0.9, 0.9))
def test_weighted_sum_equals_the_literal_algorithm_on_vectors(tasks, seed, correlation):
    torch.manual_seed(seed)
    vectors = torch.randn(tasks, 13, dtype=torch.float64) + correlation * torch.randn(
        13, dtype=torch.float64
    )
    generator = seeded(seed)
    orders = [torch.randperm(tasks, generator=generator).tolist() for _ in range(tasks)]
    weights = pcgrad_weights(gramian([split(vector) for vector in vectors]), seeded(seed))
    # Float64: up to 42 projections of vectors shorter than 20, each a few roundings; a projection
    # that rounding decides is one by almost nothing.
    torch.testing.assert_close(
        weights @ vectors, literal_pcgrad(vectors, orders), rtol=0, atol=1e-10
    )
    assert (weights >= 1 - 1e-12).all()


@pytest.mark.parametrize("seed", range(8))
def test_weights_equal_those_of_torchjd(seed):
    torchjd = pytest.importorskip("torchjd.aggregation")
    generator = seeded(100 + seed)
    vectors = torch.randn(6, 9, dtype=torch.float64, generator=generator)
    products = gramian([split(vector) for vector in vectors])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # TorchJD draws from the global generator
        expected = torchjd.PCGradWeighting()(products)
    found = pcgrad_weights(products, seeded(seed))
    torch.testing.assert_close(
        found, expected.double(), rtol=1e-10, atol=1e-10
    )  # the same in float64


@settings(max_examples=50, deadline=None)
@given(
    a=st.floats(0.1, 10),
    b=st.floats(0.1, 10),
    cosine=st.floats(-0.99, 0.99),
    seed=st.integers(0, 1000),
)
def test_two_tasks_follow_the_closed_form(a, b, cosine, seed):
    cross = cosine * a * b
    weights = pcgrad_weights(
        torch.tensor([[a * a, cross], [cross, b * b]], dtype=torch.float64), seeded(seed)
    )
    expected = [1 - cross / a**2, 1 - cross / b**2] if cross < 0 else [1.0, 1.0]
    # Float64, a few operations.
    torch.testing.assert_close(
        weights, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-12
    )


def gradients_without_conflict():
    generator = seeded(3)
    return [
        [torch.rand(5, generator=generator), torch.rand(4, 3, generator=generator)]
        for _ in range(4)
    ]


def total_of(gradients):
    total = [torch.zeros_like(tensor) for tensor in gradients[0]]
    for gradient in gradients:
        for whole, part in zip(total, gradient, strict=True):
            whole.add_(part)
    return total


@pytest.mark.parametrize("method", ["sum", "pcgrad"])
def test_without_conflict_the_gradient_is_the_plain_sum_bit_for_bit(method):
    gradients = gradients_without_conflict()
    plain, total = total_of(gradients), total_of(gradients)
    combine(total, gradients, [task_weights(method, gramian(gradients), seeded(0))] * 2)
    assert all(torch.equal(a, b) for a, b in zip(plain, total, strict=True))


def test_method_sum_leaves_conflicting_gradients_untouched_bit_for_bit():
    generator = seeded(5)
    gradients = [[torch.randn(7, generator=generator)] for _ in range(6)]
    plain, total = total_of(gradients), total_of(gradients)
    products = gramian(gradients)
    assert (products < 0).any()
    combine(total, gradients, [task_weights("sum", products, seeded(0))])
    assert torch.equal(plain[0], total[0])
    combine(total, gradients, [task_weights("pcgrad", products, seeded(0))])
    assert not torch.equal(plain[0], total[0])


def test_same_generator_gives_same_weights_and_the_global_generators_do_not_matter():
    vectors = torch.randn(6, 4, dtype=torch.float64, generator=seeded(11))
    products = vectors @ vectors.T
    torch.manual_seed(1)
    random.seed(1)
    first = pcgrad_weights(products, seeded(7))
    state = torch.get_rng_state()
    torch.manual_seed(2)
    random.seed(2)
    assert torch.equal(first, pcgrad_weights(products, seeded(7)))
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())
    assert any(
        not torch.equal(first, pcgrad_weights(products, seeded(other))) for other in range(20)
    )


def test_a_task_without_gradient_is_harmless():
    gradients = [
        [torch.zeros(4)],
        [torch.tensor([1.0, -1, 0, 2])],
        [torch.tensor([-1.0, 0.5, 1, -1])],
    ]
    products = gramian(gradients)
    weights = pcgrad_weights(products, seeded(0))
    assert weights[0] == 1.0
    assert torch.isfinite(weights).all()
    metrics = conflict_metrics(["a", "b", "c"], {"all": products}, {"all": weights})
    assert metrics["cosine/a|b"] == 0.0
    assert metrics["conflict_rate"] == pytest.approx(1 / 3)


def test_gramian_does_not_depend_on_how_parameters_are_cut_into_chunks(monkeypatch):
    gradients = [[torch.randn(50, generator=seeded(task)).bfloat16()] for task in range(3)]
    whole = gramian(gradients)
    monkeypatch.setattr("engines.ppo.update.pcgrad.CHUNK", 7)
    # Float64: sums of 50 terms, added up in another order.
    torch.testing.assert_close(gramian(gradients), whole, rtol=1e-12, atol=1e-12)


def test_norm_ratio_is_the_length_of_the_result_relative_to_the_sum():
    vectors = torch.tensor([[1.0, 0.0], [-0.5, 1.0]], dtype=torch.float64)
    products = gramian([[vector] for vector in vectors])
    weights = pcgrad_weights(products, seeded(0))
    expected = (weights @ vectors).norm() / vectors.sum(0).norm()
    assert conflict_metrics(["a", "b"], {"all": products}, {"all": weights})[
        "norm_ratio"
    ] == pytest.approx(float(expected))


def parameters_of(architecture):
    """The names of the parameters of a small model, and where its layers are."""
    import transformers as hf

    names = {
        "GPT2": lambda: hf.GPT2LMHeadModel(
            hf.GPT2Config(vocab_size=11, n_positions=8, n_embd=8, n_layer=3, n_head=2)
        ),
        "GPTNeoX": lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**SMALL)),
        "Llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**SMALL, num_key_value_heads=2)),
        "Qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**SMALL, num_key_value_heads=2)),
        "OPT": lambda: hf.OPTForCausalLM(
            hf.OPTConfig(vocab_size=11, hidden_size=8, word_embed_proj_dim=8, ffn_dim=8,
                         num_hidden_layers=3, num_attention_heads=2, max_position_embeddings=8)
        ),
        "Mixtral": lambda: hf.MixtralForCausalLM(
            hf.MixtralConfig(**SMALL, num_key_value_heads=2, num_local_experts=2)
        ),
        "MPT": lambda: hf.MptForCausalLM(
            hf.MptConfig(d_model=8, n_heads=2, n_layers=3, max_seq_len=8, vocab_size=11)
        ),
        "T5": lambda: hf.T5EncoderModel(
            hf.T5Config(vocab_size=11, d_model=8, d_kv=4, d_ff=8, num_layers=3, num_heads=2)
        ),
    }  # fmt: skip
    return [name for name, _ in names[architecture]().named_parameters()]


@pytest.mark.parametrize(
    ("architecture", "layers", "blocks"),
    [
        ("GPT2", "transformer.h", {"attn", "ln_1", "ln_2", "mlp"}),
        ("GPTNeoX", "gpt_neox.layers",
         {"attention", "input_layernorm", "mlp", "post_attention_layernorm"}),
        ("Llama", "model.layers",
         {"self_attn", "input_layernorm", "mlp", "post_attention_layernorm"}),
        ("Qwen2", "model.layers",
         {"self_attn", "input_layernorm", "mlp", "post_attention_layernorm"}),
        ("OPT", "model.decoder.layers",
         {"self_attn", "self_attn_layer_norm", "fc1", "fc2", "final_layer_norm"}),
        ("Mixtral", "model.layers",
         {"self_attn", "input_layernorm", "mlp", "post_attention_layernorm"}),
        ("MPT", "transformer.blocks", {"attn", "ffn", "norm_1", "norm_2"}),
        ("T5", "encoder.block", {"layer.0", "layer.1"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "wrapped",
    ["", "module.", "_orig_mod.", "base_model.model.", "_fsdp_wrapped_module.", "inside"],
)
def test_whatever_the_layers_are_called_each_is_one_group(architecture, layers, blocks, wrapped):
    names = parameters_of(architecture)
    inside = [name for name in names if name.startswith(f"{layers}.")]
    outside = len(names) - len(inside)
    prefix = "" if wrapped == "inside" else wrapped
    names = [prefix + name for name in names]
    if wrapped == "inside":  # as FSDP and checkpointing of activations wrap each layer
        for number in range(3):
            plain, longer = f"{layers}.{number}.", f"{layers}.{number}._fsdp_wrapped_module."
            names = [name.replace(plain, f"{longer}_checkpoint_wrapped_module.") for name in names]
    groups = group_names(names, "layer")
    assert len(set(groups)) == 3 + outside
    kept = "base_model.model." if wrapped == "base_model.model." else ""
    of_layers = {f"{kept}{layers}.{number}" for number in range(3)}
    assert of_layers <= set(groups)
    for name, group in zip(names, groups, strict=True):
        assert (group in of_layers) == (f"{layers}." in name)
    modules = set(group_names(names, "module"))
    assert {f"{layer}.{block}" for layer in of_layers for block in blocks} <= modules
    assert len(modules) == 3 * len(blocks) + outside
    assert remark_on_groups(names, "layer") == ""


def test_a_model_that_is_a_list_of_layers_has_them_as_groups():
    # torch.nn.Sequential, and pipelines of DeepSpeed, have nothing in front of the number.
    names = ["0.wte.weight", "1.attn.weight", "1.mlp.weight", "module.2.attn.weight", "3.weight"]
    assert group_names(names, "layer") == ["0", "1", "1", "2", "3"]
    assert group_names(names, "module") == ["0.wte", "1.attn", "1.mlp", "2.attn", "3.weight"]
    assert remark_on_groups(names, "layer") == ""
    # A list of parameters has no layers: the number is the parameter itself.
    assert group_names(["prompts.0", "0"], "layer") == ["prompts.0", "0"]


def test_names_without_layers_are_told_where_groups_follow_them():
    names = ["embedding.weight", "body.weight", "head.0"]
    assert group_names(names, "layer") == names
    assert remark_on_groups(names, "layer") == (
        "mtl.group: layer: no layers were found in the names of the parameters (such as "
        "embedding.weight): each of the 3 parameters is a group of its own"
    )
    assert remark_on_groups(names, "global") == ""
    assert set(group_names(names, "global")) == {"all"}
