"""What a valid reply is."""

from random import Random

import pytest

from engines.shared.replies.checker import Grammar, Replies, nearness_of, said
from engines.shared.replies.description import GrammarChecker, OnTopic, RepliesChecker
from engines.shared.replies.grammar import draw_prompt, draw_reply
from engines.shared.replies.rows import Reply

TWEET = Reply("1", "The new tram line opens on Monday, at last! https://t.co/x", "About time")
LEARNED = "About time, see you on board"


def replies(**values: object) -> Replies:
    return Replies(RepliesChecker.model_validate(values), [LEARNED], None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I will take it to work every day", None),
        (
            "\U0001f389\U0001f68b\U0001f600\U0001f601\U0001f602\U0001f603\U0001f604\U0001f605 wow",
            None,
        ),
        ("мы поедем на нём вместе завтра", None),
        ("too short", "9 characters"),
        ("   too short          ", "9 characters"),
        ("e\u0301e\u0301e\u0301 a\u0301b", "6 characters"),
        ("word " * 60, "299 characters"),
        ("no no no no no no", "0.17 of its words"),
        ("?!?! ... !!! ??", "has no word"),
        ("the new tram line opens on monday at last", "repeats the text (ROUGE-L 1.00)"),
        ("ABOUT TIME -- see you on board!!", "is a training reply"),
    ],
)
def test_real_replies(text: str, reason: str | None) -> None:
    tweet = Reply("1", "The new tram line opens on Monday, at last!", "x")
    found = replies().check(tweet, text, complete=True)
    assert found is None if reason is None else reason in str(found)


def test_a_reply_that_was_cut_is_none() -> None:
    assert "token limit" in str(replies().check(TWEET, "I will take it to work", complete=False))
    grammar = Grammar(GrammarChecker())
    assert "token limit" in str(grammar.check(TWEET, "", complete=False))
    with pytest.raises(ValueError, match="no topic"):
        grammar.check(TWEET, "x", complete=True)


def test_limits_are_those_of_the_settings() -> None:
    assert replies(shortest=3).check(TWEET, "yes", complete=True) is None
    assert replies(most_overlap=0.1).check(TWEET, "I love the tram line", complete=True)
    assert replies(least_distinct=0.0).check(TWEET, "no no no no no no", complete=True) is None


def test_replies_to_other_texts_are_off_topic_more_often_than_real_ones() -> None:
    random = Random(0)
    prompts = [draw_prompt(random) for _ in range(120)]
    rows = [
        Reply(str(n), prompt.text, draw_reply(random, prompt.topic, narrow=False))
        for n, prompt in enumerate(prompts)
    ]
    limit = OnTopic(least_cosine=0.05)
    settings = RepliesChecker(on_topic=limit, least_distinct=0.0)
    checker = Replies(settings, [], nearness_of(limit))
    # By half the list: another topic in seven of eight cases.
    shuffled = rows[60:] + rows[:60]

    def off(others: list[Reply]) -> int:
        pairs = zip(rows, others, strict=True)
        return sum(
            "not about" in str(checker.check(row, other.reply, complete=True))
            for row, other in pairs
        )

    assert off(shuffled) > off(rows) + 5


def test_words_do_not_hang_on_case_and_punctuation_and_keep_emoji() -> None:
    assert said("Well -- DON'T, \U0001f600!") == ("well", "don't", "\U0001f600")
