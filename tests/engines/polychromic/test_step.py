"""One optimiser step: the same gradient however it is cut, the term's gradient against transformers
and against finite differences, and nothing of the term where its weight is 0."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engines.polychromic.batches import Encoded, Turn, micro_batches, rows_of_step
from engines.polychromic.config import Config
from engines.polychromic.model import Base, Model
from engines.polychromic.objective.sets import advantages
from engines.polychromic.objective.surrogates import collision, gem_loss
from engines.polychromic.sampling import Sampler, Samples
from engines.polychromic.step import Gradient, Setting, Stepper, compared, norm, rate_factor
from engines.shared.language_model.lora import adapt
from engines.shared.language_model.packing import Scorer
from engines.shared.language_model.settings import LoraSettings
from engines.shared.replies.rows import Reply
from tests.support.models import byte_tokenizer, qwen2

END = 256
LENGTHS = (3, 9, 1, 7, 2, 12, 5, 4, 8, 3, 6, 10, 2, 1, 11, 5)
"""Of 16 replies."""
LORA = {"rank": 2, "alpha": 4.0, "dropout": 0.3}


class Odd:
    """Takes every second sample by its length."""

    name, version = "odd", 1

    def check(self, prompt: Reply, text: str, complete: bool) -> str | None:
        odd = (len(text) + len(prompt.prompt) + complete) % 2
        return None if odd else "even"


def config(**changes: object) -> Config:
    term = {"samples": 4, "prompts_per_step": 3, "max_new_tokens": 6, "gate": "none"}
    term |= changes.pop("diversity", {})  # type: ignore[arg-type]
    values = {"model": "m", "data": "d", "lora": LORA, "steps": 9, "learning_rate": 1e-2}
    return Config.model_validate({**values, "diversity": term, **changes})


def turns(lengths: tuple[int, ...]) -> list[Turn]:
    draw = torch.Generator().manual_seed(5)
    found = []
    for length in lengths:
        ids = torch.randint(0, 256, (length % 4 + 2 + length,), generator=draw).tolist()
        found.append((tuple(ids[:-length]), (*ids[-length:-1], END)))
    return found


def stepper(
    settings: Config, vocabulary: int = 257, lengths: tuple[int, ...] = LENGTHS, wide: bool = False
) -> Stepper:
    inner = qwen2(vocab_size=vocabulary, hidden_size=16, eos_token_id=END, bos_token_id=None)
    inner.config.use_cache = False
    if settings.lora is not None:
        adapt(inner, settings.lora, settings.seed)
        # Fresh adapters compute nothing, and no gradient reaches A.
        draw = torch.Generator().manual_seed(3)
        for name, one in inner.named_parameters():
            if "lora_B" in name:
                one.data.normal_(0, 0.3, generator=draw)
    if wide:
        inner.double()
    trained = {name: one for name, one in inner.named_parameters() if one.requires_grad}
    adapted = settings.lora is not None
    device = torch.device("cpu")
    base = Base(Path("m"), "0" * 64)
    model = Model(Scorer(inner), byte_tokenizer(), END, trained, device, base, adapted)
    rows = [Reply(str(place), "x", "y") for place in range(len(lengths))]
    sampler = Sampler(model, settings.diversity, Odd(), settings.seed)
    return Stepper(Setting(settings, model, Encoded(rows, turns(lengths), 0), sampler, 9))


def close(ours: Gradient, theirs: Gradient, relative: float = 1e-6) -> None:
    """Equal up to ``relative`` of the norm of the whole gradient."""
    difference = norm([a - b for a, b in zip(ours, theirs, strict=True)])
    assert difference <= relative * norm(theirs)


def samples_of(made: Stepper, count: int = 3) -> Samples:
    assert made.setting.sampler is not None
    train = made.setting.train
    return made.setting.sampler.draw(train.replies[:count], train.sequences[:count], "train", 0)


def captured(made: Stepper, step: int = 0) -> Gradient:
    """What ``take`` would update with."""
    found: list[Gradient] = []

    def update(gradient: Gradient, rate: float, step: int) -> float:
        found.append(gradient)
        return norm(gradient)

    made.update = update  # type: ignore[method-assign]
    made.take(step)
    return found[0]


@pytest.mark.parametrize("weight", [0.0, 0.7])
@pytest.mark.parametrize("lora", [None, {**LORA, "dropout": 0.0}])
def test_one_sixteen_and_two_micro_batches_give_the_same_loss_and_gradient(
    weight: float, lora: object
) -> None:
    found = {}
    # The 16 rows in 1, 4 and 8 micro-batches, and each alone.
    for tokens in (10_000, 45, 25, 1):
        made = stepper(
            config(lora=lora, micro_batch_tokens=tokens, diversity={"weight": weight}), wide=True
        )
        sequences = made.setting.train.sequences
        batches = len(list(micro_batches(sequences, tokens, torch.device("cpu"))))
        assert batches == {10_000: 1, 45: 4, 25: 8, 1: 16}[tokens]
        rows = list(range(16))
        quality = made.quality([sequences[row] for row in rows])
        total = captured(made)
        found[tokens] = quality.cross_entropy, quality.gradient, total
    loss, gradient, total = found.pop(10_000)
    for own, own_gradient, own_total in found.values():
        assert own == pytest.approx(loss, rel=1e-6)
        close(own_gradient, gradient)
        close(own_total, total)
    # Not the mean over micro-batches of their means: the token count of the whole step.
    plain = made.setting.model.inner
    plain.eval()
    plain.set_attn_implementation("sdpa")
    with torch.no_grad():
        each = [token_losses(plain, turn) for turn in sequences]
    assert loss == pytest.approx(float(torch.cat(each).mean()), rel=1e-5)


def token_losses(plain: torch.nn.Module, turn: Turn) -> torch.Tensor:
    """Negative log-likelihood of a reply's tokens by transformers' own pass, one sequence alone."""
    prompt, reply = turn
    logits = plain(torch.tensor([[*prompt, *reply]])).logits[0, len(prompt) - 1 : -1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(reply), reduction="none")


@pytest.mark.parametrize("gate", ["none", "quality"])
@pytest.mark.parametrize("baseline", ["leave_one_out", "cross_prompt"])
def test_the_term_is_the_score_function_of_each_sample_alone(gate: str, baseline: str) -> None:
    made = stepper(config(diversity={"weight": 1.0, "gate": gate, "baseline": baseline}))
    samples = samples_of(made)
    assert 0 < samples.quality.mean() < 1
    gradient, _ = made.of_samples(samples)
    plain = made.setting.model.inner
    assert not plain.training
    plain.set_attn_implementation("sdpa")
    quality = samples.quality if gate == "quality" else None
    weights = advantages(samples.distances, quality, baseline)  # type: ignore[arg-type]
    wanted = torch.zeros(())
    for own, row in zip(samples.turns, weights.tolist(), strict=True):
        for turn, advantage in zip(own, row, strict=True):
            # Minus log p, times the advantage: the term is added to a loss.
            wanted = wanted + advantage * token_losses(plain, turn).sum() / len(weights)
    close(gradient, list(torch.autograd.grad(wanted, made.parameters)), 1e-5)


def test_samples_share_their_prompt_and_rows_with_dropout_do_not() -> None:
    found = {}
    for sharing in (True, False):
        made = stepper(config(diversity={"weight": 1.0, "prompts_per_step": 3}))
        model, tokens = made.setting.model, []
        model.scorer.sharing = sharing
        model.inner.model.register_forward_pre_hook(
            lambda _module, _arguments, named, seen=tokens: seen.append(
                named["input_ids"].shape[1]
            ),
            with_kwargs=True,
        )
        samples = samples_of(made)
        tokens.clear()
        gradient, _ = made.of_samples(samples)
        of_samples = sum(tokens)
        torch.manual_seed(0)
        turns = [turn for own in samples.turns for turn in own]
        tokens.clear()
        quality = made.quality(turns)
        assert tokens == [sum(len(prompt) + len(reply) for prompt, reply in turns)]
        found[sharing] = gradient, quality, of_samples
    assert found[True][2] < 0.8 * found[False][2]
    close(found[True][0], found[False][0])
    # In training mode the adapters have dropout: the same pass, bit for bit.
    assert found[True][1].cross_entropy == found[False][1].cross_entropy


def test_its_expectation_is_the_derivative_of_the_expected_diversity() -> None:
    """One token of eight, all sets of two enumerated; the derivative by central differences."""
    made = stepper(config(lora=None, diversity={"weight": 1.0}), 8, (2,), wide=True)
    prompt = (1, 2, 3)
    distances = torch.rand(8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    distances = (distances + distances.T).fill_diagonal_(0)
    model = made.setting.model

    def chances() -> torch.Tensor:
        with torch.no_grad():
            hidden = model.scorer.hidden(torch.tensor(prompt), (3,), torch.tensor([2]))
            logits: torch.Tensor = model.inner.get_output_embeddings()(hidden)[0]
        return logits.double().softmax(-1)

    p = chances()
    expected = [torch.zeros_like(one) for one in made.parameters]
    for a, b in itertools.product(range(8), repeat=2):
        pair = torch.tensor([[0.0, distances[a, b]], [distances[a, b], 0.0]]).double()
        samples = Samples(
            [[(prompt, (a,)), (prompt, (b,))]],
            [["", ""]],
            [[True, True]],
            torch.ones(1, 2, dtype=torch.float64),
            pair[None],
        )
        gradient, _ = made.of_samples(samples)
        for total, own in zip(expected, gradient, strict=True):
            total += float(p[a] * p[b]) * own
    draw = torch.Generator().manual_seed(2)
    direction = [torch.randn(one.shape, generator=draw).double() for one in made.parameters]
    values = []
    for sign in (1e-4, -2e-4):
        for one, along in zip(made.parameters, direction, strict=True):
            one.data.add_(along, alpha=sign)
        moved = chances()
        values.append(float(moved @ distances @ moved))
    slope = (values[0] - values[1]) / 2e-4
    ours = -float(sum((a * b).sum() for a, b in zip(expected, direction, strict=True)))
    assert ours == pytest.approx(slope, rel=1e-4)
    assert abs(slope) > 1e-3


def test_twice_the_weight_is_twice_the_term_and_every_kth_step_counts_k_times() -> None:
    base = captured(stepper(config()))
    terms = {}
    for weight, every in ((0.5, 1), (1.0, 1), (0.5, 3)):
        term = {"weight": weight, "every_steps": every}
        total = captured(stepper(config(diversity=term)))
        terms[weight, every] = [a - b for a, b in zip(total, base, strict=True)]
    close(terms[1.0, 1], [2 * one for one in terms[0.5, 1]], 1e-5)
    close(terms[0.5, 3], [3 * one for one in terms[0.5, 1]], 1e-5)
    between = config(diversity={"weight": 0.5, "every_steps": 3})
    for ours, theirs in zip(
        captured(stepper(between), step=1), captured(stepper(config()), step=1), strict=True
    ):
        assert torch.equal(ours, theirs)


def weights_after(settings: Config, steps: int = 4) -> list[torch.Tensor]:
    made = stepper(settings)
    for step in range(steps):
        made.take(step)
    return [one.detach().clone() for one in made.parameters]


def test_weight_0_ends_bit_for_bit_where_a_plain_loop_does() -> None:
    settings = config(weight_decay=0.1)
    made = stepper(settings)
    model = made.setting.model
    optimizer = torch.optim.AdamW(made.parameters, weight_decay=0.1, fused=True)
    for step in range(4):
        rows = rows_of_step(settings, 16, step)
        sequences = [made.setting.train.sequences[row] for row in rows]
        from engines.shared.inference import sample_seed

        torch.manual_seed(sample_seed(settings.seed, "dropout", step))
        model.training(True)
        (batch,) = micro_batches(sequences, 10_000, model.device)
        logprobs = model.scorer(batch.input_ids, batch.lengths, batch.positions, batch.targets, 1.0)
        (-logprobs.sum() / sum(len(reply) for _, reply in sequences)).backward()
        torch.nn.utils.clip_grad_norm_(made.parameters, 1.0, foreach=True)
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * rate_factor(settings, step, 9)
        optimizer.step()
        optimizer.zero_grad()
    for ours, theirs in zip(weights_after(settings), made.parameters, strict=True):
        torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-7)


def test_a_term_too_small_to_be_added_changes_no_bit() -> None:
    """All of the term is there, sampling and scoring too: dropout masks are those of weight 0."""
    plain = weights_after(config())
    for ours, theirs in zip(weights_after(config(diversity={"weight": 1e-30})), plain, strict=True):
        assert torch.equal(ours, theirs)
    other = weights_after(config(diversity={"weight": 0.5}))
    assert not torch.equal(other[0], plain[0])


def test_samples_leave_the_generator_of_torch_alone_and_are_scored_without_dropout() -> None:
    made = stepper(config(diversity={"weight": 1.0}))
    before = torch.get_rng_state()
    made.setting.model.training(True)
    samples = samples_of(made)
    first, _ = made.of_samples(samples)
    again, _ = made.of_samples(samples_of(made))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    # Cross-entropy does drop.
    sequences = made.setting.train.sequences
    losses = {made.quality(sequences).cross_entropy for _ in range(3)}
    assert len(losses) == 3


@pytest.mark.parametrize("objective", ["gem", "collision"])
def test_surrogates_are_what_they_say(objective: str) -> None:
    weight = 0.4
    settings = config(
        lora={**LORA, "dropout": 0.0},
        micro_batch_tokens=40,
        diversity={"weight": weight, "objective": objective},
    )
    made = stepper(settings)
    total = captured(made)
    plain = made.setting.model.inner
    plain.eval()
    plain.set_attn_implementation("sdpa")
    each: list[torch.Tensor] = []
    for prompt, reply in made.setting.train.sequences:
        logits = plain(torch.tensor([[*prompt, *reply]])).logits[0, len(prompt) - 1 : -1]
        targets = torch.tensor(reply)
        if objective == "gem":
            each.append(gem_loss(logits, targets, 1 / (1 + weight)))
        else:
            loss = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
            each.append(loss - weight * collision(logits))
    wanted = torch.autograd.grad(torch.cat(each).mean(), made.parameters)
    close(total, list(wanted), 1e-5)


def test_the_cosine_is_that_of_the_whole_gradients() -> None:
    first, second = (
        [torch.tensor([3.0, 0.0]), torch.tensor([4.0])],
        [
            torch.tensor([0.0, 1.0]),
            torch.tensor([1.0]),
        ],
    )
    found = compared(first, second)
    assert found["gradient_norm_quality"] == pytest.approx(5)
    assert found["gradient_cosine"] == pytest.approx(4 / (5 * 2**0.5))
    assert "gradient_cosine" not in compared(first, [torch.zeros(2), torch.zeros(1)])


def test_the_schedule_is_that_of_transformers() -> None:
    from transformers import get_cosine_schedule_with_warmup

    settings = config(warmup_share=0.3, steps=10)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_cosine_schedule_with_warmup(optimizer, 3, 10)
    for step in range(10):
        assert rate_factor(settings, step, 10) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()


def test_each_epoch_sees_every_row_once_in_an_order_of_its_own() -> None:
    settings = config(batch_size=3, steps=None, epochs=2)
    epochs = [
        list(itertools.chain.from_iterable(rows_of_step(settings, 8, step) for step in steps))
        for steps in (range(3), range(3, 6))
    ]
    assert [sorted(one) for one in epochs] == [list(range(8))] * 2
    assert epochs[0] != epochs[1]


Refused = Callable[[], Config]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"diversity": {"samples": 1}}, "greater than or equal to 2"),
        ({"diversity": {"weight": 1.0, "prompts_per_step": 17}}, "more than batch_size"),
        ({"diversity": {"baseline": "cross_prompt", "prompts_per_step": 1}}, "another prompt"),
        ({"diversity": {"objective": "gem", "every_steps": 2}}, "only score_function"),
        ({"quantization": "nf4", "device": "cpu"}, "needs a GPU"),
        ({"quantization": "nf4", "lora": None}, "needs lora"),
        ({"epochs": 1}, "keep one of the two"),
    ],
)
def test_what_cannot_run_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        config(**changes)


def test_lora_of_the_config_is_that_of_the_document() -> None:
    assert Config.model_validate({"model": "m", "data": "d"}).lora == LoraSettings(
        rank=16, alpha=16.0
    )
