"""Fenced blocks as models write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.shared.scoring.fences import blocks
from engines.shared.scoring.text import fenced


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("```python\na\n```", [("python", "a")]),
        ("So: ```json\n[1]\n```", [("json", "[1]")]),
        ('```json {"a": 1}```', [("json", '{"a": 1}')]),
        ('```{"a": 1}\n```', [("", '{"a": 1}')]),
        ("```5``` and ```[1]```", [("", "5"), ("", "[1]")]),
        ("```python\na``` as asked", [("python", "a")]),
        ("~~~python\na\n```\nb\n~~~", [("python", "a\n```\nb")]),
        ("````md\n```python\na\n```\n````", [("md", "```python\na\n```")]),
        ("1. So\n   ```py\n   if a:\n       b\n   ```\n2. Then", [("py", "if a:\n    b")]),
        ("> ```python\n> if a:\n>     b\n> ```", [("python", "if a:\n    b")]),
        ("- ```\n\ta\n  ```", [("", "a")]),
        ("```{.python .numberLines}\na\n```", [("python", "a")]),
        ('```python title="a b.py" linenos=1\na\n```', [("python", "a")]),
        ("```python solution.py\na\n```", [("python", "a")]),
        ("```Python3.11\r\na\r\n```\r\n", [("Python3.11", "a")]),
        ("```python\na\n\n```python\nb\n```", [("python", "a"), ("python", "b")]),
        ("```python\na", [("python", "a")]),
        ("```json\n[1]\n```\nor\n```json\n[2", [("json", "[1]")]),
        ("a ~~~ b ~~~", []),
        ("done\n```", []),
        ("", []),
    ],
)
def test_blocks(text: str, found: list[tuple[str, str]]) -> None:
    assert fenced(text) == found


def test_a_block_that_must_be_whole_goes_on_past_marks_inside_it() -> None:
    text = "```python\na\n```\nb END\n```\nc"
    assert next(block.content for block in blocks(text)) == "a\n"
    found = blocks(text, lambda _, content: content.rstrip().endswith("END"))
    assert [block.content for block in found] == ["a\n```\nb END\n"]


@given(
    lines=st.lists(st.sampled_from(["a = 1", "if b:", "    c()", "", "# d"]), min_size=1),
    language=st.sampled_from(["python", "py", "Python", "python3", ""]),
    marks=st.sampled_from(["```", "````", "~~~", "~~~~~"]),
    before=st.sampled_from(["", "   ", "> ", "1. ", "- "]),
)
def test_what_is_put_into_a_fence_comes_out(
    lines: list[str], language: str, marks: str, before: str
) -> None:
    # A list's mark stands on the first line only.
    following = before if ">" in before else " " * len(before)
    whole = [before + marks + language, *(following + line for line in lines), following + marks]
    found = blocks("First:\n\n" + "\n".join(whole) + "\n\nDone.")
    assert [(block.language, block.closed) for block in found] == [(language, True)]
    assert found[0].content.rstrip("\n") == "\n".join(lines).rstrip("\n")


@given(text=st.text(alphabet="`~>-1. \npyton{}=\"'", max_size=120))
def test_no_text_makes_it_fail_and_blocks_are_parts_of_it(text: str) -> None:
    for block in blocks(text):
        assert block.content.replace(" ", "").replace(">", "") in text.replace(" ", "").replace(
            ">", ""
        )
