"""Attention over sequences of different lengths in shared rectangles, against one by one."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.language_model.layout import PADDING, SHORT, Block, blocks_of
from engines.shared.language_model.packing import packed_attention

CPU = torch.device("cpu")
LENGTHS = st.lists(st.integers(1, 40) | st.integers(SHORT - 2, SHORT + 40), min_size=1)


@settings(deadline=None)
@given(LENGTHS, st.booleans())
def test_blocks_hold_all_sequences_in_order_with_little_padding(lengths, ordered):
    if ordered:
        lengths = sorted(lengths, reverse=True)
    found = blocks_of(lengths, CPU)
    start = 0
    for block in found:
        own = lengths[start : start + block.count]
        start += block.count
        assert (block.length, block.tokens) == (max(own), sum(own))
        padding = block.count * block.length - block.tokens
        assert padding <= PADDING * block.count * block.length
        assert not padding or block.length <= SHORT
    assert start == len(lengths)


def attention(qkv, blocks):
    """(T, heads, width) and its gradient with respect to all of q, k and v."""
    parts = [part.clone().requires_grad_() for part in qkv]
    found, _ = packed_attention(None, *parts, None, blocks=blocks)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    (found.square() * weights.to(found.dtype)).sum().backward()
    return [found.detach(), *(part.grad for part in parts)]


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_a_rectangle_computes_what_each_sequence_does_alone(lengths):
    random = torch.Generator().manual_seed(0)
    # Two heads of keys and values for four of queries.
    qkv = [
        torch.randn(1, heads, sum(lengths), 3, generator=random, dtype=torch.double)
        for heads in (4, 2, 2)
    ]
    together = attention(qkv, [Block.of(lengths, CPU)])
    alone = attention(qkv, [Block.of([length], CPU) for length in lengths])
    for a, b in zip(together, alone, strict=True):
        assert torch.allclose(a, b, atol=1e-12, rtol=0)
