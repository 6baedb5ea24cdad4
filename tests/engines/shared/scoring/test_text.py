"""Where an answer stands in a response, and what is around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.shared.scoring.text import (
    last_boxed,
    literal,
    tagged,
    unfenced,
    unwrapped,
    without_latex,
)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("\\boxed{\\left\\{1,2\\right.}", "\\left\\{1,2\\right."),
        ("\\boxed{\\{1,2\\}}", "\\{1,2\\}"),
        ("\\boxed{[0, 1\\}}", "[0, 1\\}"),
        ("\\boxed{5} as it is in the \\boxed{}", "5"),
        ("\\boxed{5} and \\boxed{ }", "5"),
        ("\\boxed 5", "5"),
        ("$\\boxed x = 5$ so", "x = 5"),
        ("It is \\boxed 42.", "42"),
        ("\\boxed{5}, in \\boxed notation", "5"),
        ("\\fbox {5}", "5"),
        ("\\boxed{\\boxed{5}}", "5"),
        ("\\boxed{\\frac{1}{2}} and \\boxed{open", "\\frac{1}{2}"),
        ("\\boxed{a\\\\{b}}", "a\\\\{b}"),
        ("{ \\boxed{5}", "5"),
        ("\\boxed{open", None),
        ("\\boxed{}", None),
        ("5", None),
    ],
)
def test_the_last_box_that_holds_anything_is_read(text: str, content: str | None) -> None:
    assert last_boxed(text) == content


@given(
    content=st.text("ab12 +-=^_", min_size=1, max_size=8).filter(str.strip),
    before=st.text("ab{}\\ ", max_size=8),
    after=st.text("ab{\\ ", max_size=8),
)
def test_a_closed_box_is_found_whatever_stands_around_it(
    content: str, before: str, after: str
) -> None:
    # Blanks on both sides: no backslash of theirs belongs to the box.
    assert last_boxed(f"{before} \\boxed{{{content}}} {after}") == content.strip()


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("<answer>a</answer><answer>b</answer>", "b"),
        ("<Answer>\na\n</ANSWER>", "a"),
        ('<answer type="list">a</answer >', "a"),
        ("between <answer> and </answer>: <answer>a</answer>", "a"),
        ("between <answer> tags: <answer>a</answer>", "a"),
        ("<answer>a</answer>, no more <answer> </answer>", "a"),
        ("<answer>```json\n[1]\n```</answer>", "[1]"),
        ("<answer>\n~~~\n[1]\n~~~\n</answer>", "[1]"),
        ("<answer>```[1]```</answer>", "[1]"),
        ("<answer>Here:\n```python\n[1]\n```\n</answer>", "[1]"),
        ("<answer></answer>", ""),
        ("<answers>a</answers>", None),
        ("<answer>open", None),
        ("a</answer>", None),
    ],
)
def test_the_last_tag_that_holds_anything_is_read(text: str, content: str | None) -> None:
    assert tagged(text) == content


def test_a_word_in_backticks_is_no_fence() -> None:
    assert unfenced("```Lima```") == "```Lima```"
    assert unfenced("Lima") == "Lima"


@pytest.mark.parametrize(
    "dress",
    [
        "\\text{@}",
        "\\textbf{\\textsf{@}}",
        "\\mathrm{@}",
        "\\boldsymbol{\\mathbf{\\text{@}}}",
        "\\displaystyle @",
        "\\left(@\\right)",
        "$@$",
        "\\text{@}.",
        "\\;@\\,",
        "\\boxed{@}",
        "\\Large @",
    ],
)
def test_type_is_not_part_of_an_answer(dress: str) -> None:
    assert without_latex(dress.replace("@", "Lima")).strip("()") == "Lima"


def test_type_inside_of_type_has_an_end() -> None:
    assert unwrapped("\\text{" * 5 + "a" + "}" * 5) == "a"
    assert unwrapped("\\frac{\\text{a}}{2}") == "\\frac{a}{2}"


def test_literals_at_their_edges() -> None:
    assert literal('{"a": true}') == {"a": True}
    for text in (
        "(" * 5000,
        "-" * 50_000 + "1",
        "[" * 100_000,
        "{}" * 200_000,
        "1 if",
        "9" * 10_000,
    ):
        with pytest.raises(ValueError, match=r"neither a Python nor a JSON value|too many"):
            literal(text)
