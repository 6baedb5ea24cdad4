"""The compression ratio of a set."""

import pytest

from engines.shared.diversity.compression import compression_ratio


def test_what_repeats_is_compressed_and_what_does_not_is_not():
    same = ["a rather long reply about trains"] * 10
    different = [f"{number * 7919} {number**5}" for number in range(10)]
    assert compression_ratio(same) > 5 > 2 > compression_ratio(different)
    assert compression_ratio(["half of a pair: \ud83d"]) > 0
    with pytest.raises(ValueError, match="no text"):
        compression_ratio(["", ""])
