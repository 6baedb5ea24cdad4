"""The grammar makes replies that it takes itself, and takes nothing else."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.replies.grammar import (
    CLASSES,
    TOPICS,
    all_words,
    draw_prompt,
    draw_reply,
    fault,
    first_words,
)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), narrow=st.booleans())
def test_replies_are_valid_on_their_own_topic_alone(seed: int, narrow: bool) -> None:
    random = Random(seed)
    prompt = draw_prompt(random)
    reply = draw_reply(random, prompt.topic, narrow)
    assert fault(reply, prompt.topic) is None
    assert all("not about" in str(fault(reply, topic)) for topic in TOPICS if topic != prompt.topic)
    words = reply.split()
    assert set(words) <= set(all_words())
    assert words[0] in first_words()
    # Any word left out, and two neighbours exchanged, are noticed.
    place = random.randrange(len(words))
    assert fault(" ".join(words[:place] + words[place + 1 :]), prompt.topic)
    if words[place - 1] != words[place]:
        words[place - 1], words[place] = words[place], words[place - 1]
        assert fault(" ".join(words), prompt.topic)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no order"),
        ("we loved that great soup", "no order"),
        ("we loved that great rain today", "'rain' is not about food"),
        ("my soup and your soup are great", "'soup' comes twice"),
        ("we loved that great soup today .", "no order"),
    ],
)
def test_faults_are_said_in_words(text: str, said: str) -> None:
    assert said in str(fault(text, "food"))


def test_words_have_one_meaning() -> None:
    nouns = [noun for choices in TOPICS.values() for noun in choices]
    others = [word for choices in CLASSES.values() for word in choices]
    assert len({*nouns, *others}) == len(nouns) + len(others)


def test_narrow_replies_say_the_same_far_more_often_than_uniform_ones() -> None:
    def different(narrow: bool) -> int:
        random = Random(0)
        return len({draw_reply(random, "food", narrow) for _ in range(500)})

    assert different(False) > 400
    assert different(True) < 200
