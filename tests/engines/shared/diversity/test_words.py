"""Tokens of texts in any script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.shared.diversity.words import unicode_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (" \n\t\u200b", []),
        ("I don't, don\u2019t!", ["i", "don't", ",", "don't", "!"]),
        ("...", ["..."]),
        ("so!!! good?!", ["so", "!!!", "good", "?", "!"]),
        ("@Ada_L loves #AI", ["@ada_l", "loves", "#ai"]),
        ("3.5 of 1,000 at 12:30.", ["3.5", "of", "1,000", "at", "12:30", "."]),
        ("Привет, мир", ["привет", ",", "мир"]),
        ("日本語だ", ["日", "本", "語", "だ"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("wow🔥🔥", ["wow", "🔥", "🔥"]),
        ("👨\u200d👩\u200d👧👍🏽🇩🇪1\ufe0f\u20e3", ["👨\u200d👩\u200d👧", "👍🏽", "🇩🇪", "1\u20e3"]),
        ("\u2764\ufe0f \u2764", ["\u2764", "\u2764"]),
        ("Stra\u00dfe STRASSE", ["strasse", "strasse"]),
        ("e\u0301 \u00e9", ["\u00e9", "\u00e9"]),
    ],
)
def test_tokens_of_texts_in_any_script(text, tokens):
    assert unicode_tokens(text) == tokens


@given(st.text())
def test_every_visible_character_is_in_a_token_and_splitting_again_changes_nothing(text):
    tokens = unicode_tokens(text)
    assert all(tokens)
    assert unicode_tokens(" ".join(tokens)) == tokens
    assert bool(tokens) or not any(letter.isalnum() for letter in text)
