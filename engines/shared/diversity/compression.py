"""How well the texts of a set are compressed together: what they repeat costs nothing.

In: texts. Out: a ratio. Called by evaluations.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence


def compression_ratio(texts: Sequence[str]) -> float:
    """Bytes of the texts, one a line, over their bytes in zlib's deflate at level 9; high where
    they repeat themselves (Shaib et al. 2024, arXiv 2403.00553, section 2, who use gzip's longer
    head).

    Rises with the amount of text: compare sets of about one size. Below 1 for a few words.
    ValueError for no text at all.
    """
    # A lone half of a surrogate pair has no UTF-8, and a tokenizer may decode to one.
    raw = "\n".join(texts).encode("utf-8", "surrogatepass")
    if not any(texts):
        raise ValueError("the compression ratio of no text is not defined")
    return len(raw) / len(zlib.compress(raw, 9))
