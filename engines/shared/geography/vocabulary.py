"""The tokens: one per character, 98 in all.

``<pad>`` 0, ``<unk>`` 1, ``<bos>`` 2, ``<eos>`` 3, then the 94 printable ASCII characters but the
space, in the order of their codes. Which number a character has decides nothing but the fresh row
of the embedding that it gets.
"""

from __future__ import annotations

PADDING, UNKNOWN, BEGIN, END = 0, 1, 2, 3
SPECIAL = ("<pad>", "<unk>", "<bos>", "<eos>")
CHARACTERS = "".join(chr(code) for code in range(ord("!"), ord("~") + 1))
TOKENS = (*SPECIAL, *CHARACTERS)
SIZE = len(TOKENS)
FIRST_CHARACTER = len(SPECIAL)
NUMBER = {token: number for number, token in enumerate(TOKENS)}


def encode(text: str) -> list[int]:
    """Tokens of a text, without ``<bos>`` and ``<eos>``; a character that has none is
    ``<unk>``."""
    return [NUMBER.get(character, UNKNOWN) for character in text]


def decode(tokens: list[int]) -> str:
    """The text in front of the first ``<eos>`` or ``<pad>``."""
    characters = []
    for token in tokens:
        if token in (END, PADDING):
            break
        characters.append(TOKENS[token])
    return "".join(characters)
