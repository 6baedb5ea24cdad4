"""What counts as an answer of what a model wrote."""

import numpy as np

from engines.shared.geography.questions.written import read_written
from engines.shared.geography.vocabulary import END, PADDING, encode


def test_only_a_whole_text_with_its_end_is_an_answer() -> None:
    def line(text: str, end: int | None = END) -> list[int]:
        written = encode(text) + ([] if end is None else [end])
        return (written + [PADDING] * 8)[:8]

    written = np.array(
        [
            line("12"),
            line("0012"),
            line("NE"),
            line(""),
            line("12", None),
            line("12345678", None),
            [*line("12", PADDING)[:2], PADDING, END, PADDING, PADDING, PADDING, PADDING],
        ]
    )
    assert read_written("distance", written).tolist() == [12, 12, -1, -1, -1, -1, -1]
    assert read_written("compass", written).tolist() == [-1, -1, 1, -1, -1, -1, -1]
