"""IFEval: what each of the 25 instructions accepts, strictly and as published, and what is no
gold."""

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.shared.data.problems import Problem, make_problem, user
from engines.shared.scoring.instructions import GURU, STRICT, gold_of, sentences
from engines.shared.scoring.instructions_guru import sentences as published_sentences
from engines.shared.scoring.registry import VERSIONS, score

ENGLISH = "this is a sentence in the english language and nothing else"
FRENCH = "ceci est une phrase de la langue française et rien d'autre"


def problem(truth: Any, **extra: Any) -> Problem:
    return make_problem("ood__ifeval", user("?"), truth, extra_info=extra)


def asks(name: str, **parameters: Any) -> Problem:
    return problem([parameters], instruction_id_list=[name])


FOLLOWING: list[tuple[str, dict[str, Any], str, str]] = [
    # instruction, parameters, a response that follows it, one that does not
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        "GO NOW please",
        "GO now",
    ),
    (
        "change_case:english_capital",
        {},
        "THIS IS A SENTENCE IN THE ENGLISH LANGUAGE AND NOTHING ELSE",
        "This is English",
    ),
    (
        "change_case:english_lowercase",
        {},
        "this is a sentence in the english language and nothing else",
        "This is English",
    ),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say hi."}, "say hi. Hi!", "Hi!"),
    ("combination:two_responses", {}, "One\n******\nTwo", "One\n******\nOne"),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        "[name] and [street]",
        "[name]",
    ),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP.S. More", "Bye."),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.P.S"},
        "Bye.\np. p. s more",
        "P.S. more",
    ),
    ("detectable_format:constrained_response", {}, "My answer is no.", "No."),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}"),
    (
        "detectable_format:multiple_sections",
        {"num_sections": 2, "section_spliter": "SECTION"},
        "SECTION 1 a SECTION 2 b",
        "SECTION 1",
    ),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
        "* one\n- two",
        "* one\n- two\n* three",
    ),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        "*one* and *two*",
        "*one* and * *",
    ),
    ("detectable_format:title", {}, "<<Song>>", "<< >>"),
    ("keywords:existence", {"keywords": ["cat", "dog"]}, "Cats and dogs", "Cats"),
    ("keywords:forbidden_words", {"forbidden_words": ["cat"]}, "category", "A CAT."),
    (
        "keywords:frequency",
        {"keyword": "cat", "frequency": 2, "relation": "at least"},
        "cat, Cat",
        "cat",
    ),
    (
        "keywords:frequency",
        {"keyword": "cat", "frequency": 2, "relation": "less than"},
        "cat",
        "cat cat",
    ),
    (
        "keywords:letter_frequency",
        {"letter": "e", "let_frequency": 2, "let_relation": "at least"},
        "Eel",
        "el",
    ),
    (
        "language:response_language",
        {"language": "de"},
        "Das ist ein Satz in deutscher Sprache, und er ist lang genug.",
        "This one is not.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"first_word": "then", "nth_paragraph": 2, "num_paragraphs": 2},
        "One.\n\nThen, two.",
        "Then",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One\n***\nTwo", "One\n\nTwo"),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "less than"},
        "Dr. A came. He left!",
        "One. Two. Three.",
    ),
    (
        "length_constraints:number_words",
        {"num_words": 3, "relation": "at least"},
        "one two three",
        "one two",
    ),
    ("punctuation:no_comma", {}, "one two", "one, two"),
    (
        "startend:end_checker",
        {"end_phrase": "The end."},
        'So it goes. the end."',
        "The end. Or not",
    ),
    ("startend:quotation", {}, '"All of it"', '"Part" of it'),
]


@pytest.mark.parametrize(
    ("name", "parameters", "good", "bad"),
    FOLLOWING,
    ids=[f"{k}-{c[0]}" for k, c in enumerate(FOLLOWING)],
)
def test_instructions(name: str, parameters: dict[str, Any], good: str, bad: str) -> None:
    # In parquet files all parameters of all instructions are there, most of them null, and numbers
    # may be floats.
    every = {"num_words": None, "keywords": None} | {
        key: float(n) if isinstance(n, int) else n for key, n in parameters.items()
    }
    asked = problem([every], instruction_id_list=[name])
    for version in VERSIONS:
        assert score(asked, good, version).value == 1.0
        assert score(asked, bad, version).value == 0.0


def test_every_instruction_has_a_case_and_both_versions_know_all() -> None:
    assert {case[0] for case in FOLLOWING} == set(STRICT) == set(GURU)
    assert len(STRICT) == 25


def test_sentences_are_counted_past_abbreviations_and_numbers() -> None:
    assert sentences("Dr. Ho paid 3.50 at 5 p.m. today. Why? Well... because!") == 4
    assert sentences("no full stop") == 1
    assert sentences("") == 0


def test_languages_need_their_library_only_where_nothing_else_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["language:response_language", "punctuation:no_comma"]
    asked = problem([{"language": "de"}, {}], instruction_id_list=names)
    mixed = "Das ist gut und this is good and c'est bon"
    assert len({score(asked, mixed).value for _ in range(10)}) == 1
    monkeypatch.setitem(sys.modules, "langdetect", None)
    assert score(asked, "Das ist ein deutscher Satz, mit Komma.").value == 0.0
    verdict = score(asked, "Das ist ein deutscher Satz.")
    assert (verdict.value, verdict.status) == (None, "error")
    assert "install langdetect" in verdict.detail


@given(
    case=st.sampled_from(FOLLOWING),
    before=st.sampled_from(["", "\n", "\n\n", " \n \n", "<think>hm, 1.\n\n2.</think>", "\r\n"]),
    after=st.sampled_from(["", "\n", "\n\n\n", "  \n", "\r\n"]),
)
def test_blank_lines_and_thinking_around_a_response_change_nothing(
    case: tuple[str, dict[str, Any], str, str], before: str, after: str
) -> None:
    name, parameters, good, bad = case
    asked = asks(name, **parameters)
    assert score(asked, before + good + after).value == 1.0
    assert score(asked, before + bad + after).value == 0.0


DIFFERENT: list[tuple[str, dict[str, Any], str, float, float]] = [
    # instruction, parameters, response, strict value, published value
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "less than"},
        "DON'T go",
        1,
        0,  # two words: DO and N'T
    ),
    ("change_case:english_capital", {}, "HELLO WORLD", 1, 0),
    ("change_case:english_capital", {}, "NO, YOU CANNOT.", 1, 0),
    ("change_case:english_capital", {}, "Hello world", 0, 0),
    ("change_case:english_capital", {}, "ПРИВЕТ МИР", 0, 0),
    ("change_case:english_capital", {}, FRENCH.upper(), 0, 1),
    ("change_case:english_lowercase", {}, "roses are red, violets are blue.", 1, 0),
    ("change_case:english_lowercase", {}, "yes.", 1, 0),
    ("change_case:english_lowercase", {}, FRENCH, 0, 0),
    ("change_case:english_lowercase", {}, "12", 0, 0),
    (
        "combination:repeat_prompt",
        {"prompt_to_repeat": "Don't\nstop."},
        "Don\u2019t stop. No.",
        1,
        0,
    ),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say hi."}, "Sure. Say hi.", 0, 0),
    ("combination:two_responses", {}, "one\n*******\ntwo", 0, 1),
    ("combination:two_responses", {}, "One  two\n******\none two", 0, 1),
    ("combination:two_responses", {}, "******\none\n******\ntwo\n******", 1, 1),
    ("detectable_content:number_placeholders", {"num_placeholders": 1}, "[]", 0, 1),
    ("detectable_content:number_placeholders", {"num_placeholders": 1}, "see [1, 2]", 0, 1),
    ("detectable_content:number_placeholders", {"num_placeholders": 1}, "[a](https://b.c)", 0, 1),
    ("detectable_content:number_placeholders", {"num_placeholders": 1}, "[your\nname]", 1, 0),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, 'See "P.S. I Love".', 0, 1),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\n\nP.S.", 0, 1),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\n**P.S.** Hi", 1, 1),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP.P.S. Hi", 0, 1),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\nP.P.S. Hi", 1, 1),
    (
        "detectable_format:constrained_response",
        {},
        "My answer is yes. My answer is no.",
        0,
        1,
    ),
    ("detectable_format:constrained_response", {}, "**My answer is maybe.**", 1, 1),
    ("detectable_format:json_format", {}, '```json\n{"a": NaN}\n```', 0, 1),
    ("detectable_format:json_format", {}, "[Infinity, -Infinity]", 0, 1),
    ("detectable_format:json_format", {}, '~~~json\n{"a": 1}\n~~~', 1, 0),
    ("detectable_format:json_format", {}, '{"a": ' + "9" * 5000 + "}", 1, 0),
    ("detectable_format:json_format", {}, 'Here:\n```json\n{"a": 1}\n```', 0, 0),
    ("detectable_format:json_format", {}, "[" * 100_000, 0, 0),
    (
        "detectable_format:multiple_sections",
        {"num_sections": 2, "section_spliter": "Section"},
        "Section 1\na, see Section 1",
        0,
        1,
    ),
    (
        "detectable_format:multiple_sections",
        {"num_sections": 2, "section_spliter": " Section "},
        "## Section **1**\na\n## Section  2:\nb",
        1,
        0,
    ),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "*one\n-two", 1, 1),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* one\n- two\n---", 1, 0),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "*so it is*\n* one", 1, 0),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "- **a**: b\n* * *", 1, 0),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "*one *two*", 1, 1),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "+ one", 1, 0),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "**Title**\n1. one", 0, 0),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        "***one***",
        0,
        1,
    ),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "2*3*4", 0, 1),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 1},
        "这是*重点*内容",
        1,
        1,
    ),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "* a * b", 0, 1),
    ("detectable_format:title", {}, "**<<A song>>**", 1, 1),
    ("detectable_format:title", {}, "<Song>", 0, 0),
    ("keywords:existence", {"keywords": ["c.t"]}, "cat", 0, 1),
    ("keywords:existence", {"keywords": [" new  york "]}, "In New\nYork", 1, 0),
    ("keywords:forbidden_words", {"forbidden_words": ["C++"]}, "I like C++ a lot", 0, 0),
    ("keywords:forbidden_words", {"forbidden_words": [".net"]}, "I like .NET", 0, 1),
    ("keywords:forbidden_words", {"forbidden_words": ["c.t"]}, "a cat", 1, 0),
    ("keywords:forbidden_words", {"forbidden_words": ["tax"]}, "the _tax_ of", 0, 1),
    ("keywords:forbidden_words", {"forbidden_words": ["tax"]}, "taxes, syntax, tax_id", 1, 1),
    ("keywords:forbidden_words", {"forbidden_words": ["don't"]}, "I don\u2019t", 0, 1),
    ("keywords:forbidden_words", {"forbidden_words": [" rock "]}, "Rock!", 0, 1),
    (
        "keywords:frequency",
        {"keyword": "  word ", "frequency": 2, "relation": "at least"},
        "Word, word.",
        1,
        1,
    ),
    (
        "keywords:frequency",
        {"keyword": "C+", "frequency": 2, "relation": "at least"},
        "C, CC",
        0,
        1,
    ),
    (
        "keywords:letter_frequency",
        {"letter": "#", "let_frequency": 2, "let_relation": "at least"},
        "# a ## bb",
        1,
        1 / 26,  # published: one letter of 26 is drawn; b alone is here twice
    ),
    ("language:response_language", {"language": "de"}, "Das ist gut.", 1, 1),
    ("language:response_language", {"language": "hi"}, "मार्च", 1, 0),
    ("language:response_language", {"language": "hi"}, "Hello", 0, 0),
    ("language:response_language", {"language": "ru"}, "?!", 0, 1),
    ("language:response_language", {"language": "de"}, FRENCH, 0, 0),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        "One is ***very*** long.\n***\nTwo.",
        1,
        0,
    ),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        "***\nOne.***Two.\n***",
        1,
        1,
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One\n****\nTwo", 0, 1),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "less than"},
        "1. Mobile phones ring.\n2. Clocks tick.",
        1,
        0,
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "less than"},
        "1. mobile phones ring.\n2. clocks tick.",
        1,
        1,
    ),
    (
        "length_constraints:number_words",
        {"num_words": 3, "relation": "less than"},
        "हिन्दी भाषा",
        1,
        0,
    ),
    ("punctuation:no_comma", {}, "一\uff0c二", 0, 1),
    ("startend:end_checker", {"end_phrase": "Peace!"}, "So **peace!**", 1, 0),
    ("startend:end_checker", {"end_phrase": "can't wait"}, "I can\u2019t wait\u201d", 1, 0),
    ("startend:end_checker", {"end_phrase": "in India."}, "By main India.", 0, 1),
    ("startend:end_checker", {"end_phrase": "art it."}, "To start it.", 0, 1),
    ("startend:end_checker", {"end_phrase": "Peace!"}, "Peace! Bye", 0, 0),
    ("startend:quotation", {}, "\u201cAll of it\u201d", 1, 0),
    ("startend:quotation", {}, '""', 0, 1),
]


@pytest.mark.parametrize(
    ("name", "parameters", "text", "strict", "published"),
    DIFFERENT,
    ids=[f"{k}-{c[0]}" for k, c in enumerate(DIFFERENT)],
)
def test_readers_and_the_published_checks(
    name: str, parameters: dict[str, Any], text: str, strict: float, published: float
) -> None:
    asked = asks(name, **parameters)
    assert score(asked, text).value == strict
    assert score(asked, text, "guru").value == pytest.approx(published)


FIRST = [
    # response, strict value, published value
    ("Hello there.\n\nTwo.", 1, 1),
    ("hello, there.\n\nTwo.", 1, 1),
    ("**Hello** there.\n\nTwo.", 1, 0),
    ("\u201cHello,\u201d he said.\n\nTwo.", 1, 0),
    ("\u2018Hello\u2019 there.\n\nTwo.", 1, 0),
    ("Hello: there.\n\nTwo.", 1, 0),
    ("# Hello\nthere.\n\nTwo.", 1, 0),
    ("- Hello—there.\n\nTwo.", 1, 0),
    ("_Hello_ there.\n\nTwo.", 1, 0),
    ("\n\n\nHello there.\n\n\n\nTwo.\n\n", 1, 0),
    ("Hello there.\r\n\r\nTwo.", 1, 0),
    ("Hello there.\n \nTwo.", 1, 0),
    ("Hello-world there.\n\nTwo.", 0, 0),
    ("Helloes there.\n\nTwo.", 0, 0),
    ("Say hello.\n\nTwo.", 0, 0),
    ("Hello there.\nTwo.", 0, 0),
    ("Hello there.\n\nTwo.\n\nThree.", 0, 0),
]


@pytest.mark.parametrize(("text", "strict", "published"), FIRST)
def test_the_first_word_of_a_paragraph(text: str, strict: float, published: float) -> None:
    asked = asks(
        "length_constraints:nth_paragraph_first_word",
        first_word="hello",
        nth_paragraph=1,
        num_paragraphs=2,
    )
    assert score(asked, text).value == strict
    assert score(asked, text, "guru").value == published


def test_a_paragraph_after_blank_lines_is_the_one_that_is_asked_for() -> None:
    asked = asks(
        "length_constraints:nth_paragraph_first_word",
        first_word="then",
        nth_paragraph=1,
        num_paragraphs=2,
    )
    for text in ("\n\nThen one.\n\nTwo.", "<think>hm</think>\n\nThen one.\n\nTwo."):
        assert score(asked, text).value == 1.0
        assert score(asked, text, "guru").value == 0.0


def test_numerals_of_lists_are_no_sentences() -> None:
    for text, count in {
        "1. mobile phones\n2. clocks": 1,
        "1. Mobile phones ring.\n2. Clocks tick.": 2,
        "**1.** Mobile phones ring.\n  **2.** Clocks tick.": 2,
        "Two things: 1. mobile phones, 2. clocks.": 1,
        "They ring. 2. Clocks tick. 3. All do.": 3,
        "a. one thing\nb. another": 1,
        "ii. Two.\niii. Three.": 2,
        "It began in 1999. Then it ended.": 2,
        "It was 5. It is 6.": 2,
    }.items():
        assert sentences(text) == count, text


def test_sentences_as_punkt_divides_them() -> None:
    # Counts of NLTK 3.10's Punkt with its English model.
    for text, count in {
        "Dr. Ho paid 3.50 at 5 p.m. today. Why? Well... because!": 3,
        "1. Mobile phones ring. 2. clocks tick.": 3,
        'Say "Is it?". Now.': 2,
        "I live in the U.S. The food is good.": 2,
        "J. R. Smith left! (He did.) end": 3,
        "": 0,
        "no full stop": 1,
    }.items():
        assert published_sentences(text) == count, text


def test_a_keyword_that_is_no_pattern_cannot_be_judged_as_published() -> None:
    asked = asks("keywords:existence", keywords=["(a"])
    assert score(asked, "so (a) it is").value == 1.0
    verdict = score(asked, "so (a) it is", "guru")
    assert (verdict.value, verdict.status) == (None, "error")
    assert "(a" in verdict.detail


NO_GOLDS: list[tuple[Any, dict[str, Any], str]] = [
    # ground truth, extra_info, what the message names
    ([{}], {}, "instruction_id_list"),
    (None, {"instruction_id_list": ["punctuation:no_comma"]}, "None"),
    ("", {"instruction_id_list": ["punctuation:no_comma"]}, "no answer can equal"),
    ([], {"instruction_id_list": []}, "no answer can equal"),
    ([{}, {}], {"instruction_id_list": ["punctuation:no_comma"]}, "1 names"),
    ([{}], {"instruction_id_list": ["new:one"]}, "new:one"),
    ([{}], {"instruction_id_list": [["new"]]}, "new"),
    ([3], {"instruction_id_list": ["punctuation:no_comma"]}, "not an object"),
    ([None], {"instruction_id_list": ["startend:end_checker"]}, "end_phrase is None"),
    ([{"end_phrase": " "}], {"instruction_id_list": ["startend:end_checker"]}, "not a text"),
    ([{"keywords": []}], {"instruction_id_list": ["keywords:existence"]}, "list of words"),
    ([{"forbidden_words": ["a", ""]}], {"instruction_id_list": ["keywords:forbidden_words"]}, "a"),
    (
        [{"num_words": 2.5, "relation": "at least"}],
        {"instruction_id_list": ["length_constraints:number_words"]},
        "2.5, not a count",
    ),
    (
        [{"num_words": float("nan"), "relation": "at least"}],
        {"instruction_id_list": ["length_constraints:number_words"]},
        "not a count",
    ),
    (
        [{"num_words": 2, "relation": "at most"}],
        {"instruction_id_list": ["length_constraints:number_words"]},
        "at most",
    ),
    (
        [{"first_word": "a", "num_paragraphs": 2, "nth_paragraph": 3}],
        {"instruction_id_list": ["length_constraints:nth_paragraph_first_word"]},
        "no paragraph 3 of 2",
    ),
]


@pytest.mark.parametrize(("truth", "extra", "hint"), NO_GOLDS)
def test_what_is_no_gold_is_refused_whatever_the_response(
    truth: Any, extra: dict[str, Any], hint: str
) -> None:
    asked = problem(truth, **extra)
    with pytest.raises(ValueError, match=r"."):
        gold_of(asked)
    for version in VERSIONS:
        for text in ("Plain, with the sign.", "  "):
            verdict = score(asked, text, version)
            assert (verdict.value, verdict.status) == (None, "error")
            assert hint in verdict.detail


@given(
    text=st.text(alphabet="aAé1 .,!?*-_#[]<>\"'\u201c\u201d\u2019{}()\n\r\t`~+|:हि一", max_size=60),
    case=st.sampled_from(FOLLOWING),
)
def test_no_text_makes_a_check_fail(text: str, case: tuple[str, dict[str, Any], str, str]) -> None:
    asked = asks(case[0], **case[1])
    for version in VERSIONS:
        verdict = score(asked, text, version)
        assert verdict.value in (0.0, 1.0)
        assert verdict == score(asked, text, version)


FIRST = "length_constraints:nth_paragraph_first_word"
HELLO = {"first_word": "hello", "nth_paragraph": 1, "num_paragraphs": 2}
OTHER_DRESSES: list[tuple[str, dict[str, Any], str, float]] = [
    *((FIRST, HELLO, f"{start}\n\nTwo.", 1) for start in ("1. Hello", "\u2014Hello", "... Hello")),
    (FIRST, HELLO, "\u200bHello\n\nTwo.", 1),
    (FIRST, HELLO, "1. Oh hello\n\nTwo.", 0),
    ("keywords:existence", {"keywords": ["ice cream"]}, "**ice** cream", 1),
    ("keywords:existence", {"keywords": ["well-being"]}, "well\u2011being", 1),
    ("keywords:existence", {"keywords": ["stra\u00dfe"]}, "STRASSE", 1),
    ("keywords:existence", {"keywords": ["**"]}, "a**b", 1),
    ("keywords:forbidden_words", {"forbidden_words": ["ice cream"]}, "ice **cream**", 0),
    ("keywords:forbidden_words", {"forbidden_words": ["cat"]}, "cat*dog", 0),
    (
        "keywords:frequency",
        {"keyword": "ice cream", "frequency": 1, "relation": "less than"},
        "ice **cream**",
        0,
    ),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write it."}, "> Write it.\n\nSo", 1),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write it."}, '**"Write it."** So', 1),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write it."}, "Sure. Write it.", 0),
    ("detectable_format:constrained_response", {}, "My answer is **yes**.", 1),
    ("detectable_format:constrained_response", {}, "My answer is **yes**. My answer is no.", 0),
    ("detectable_format:json_format", {}, '`{"a": 1}`', 1),
    ("detectable_format:json_format", {}, '````json\n{"a": 1}\n````', 1),
    ("detectable_format:json_format", {}, "{\u201ca\u201d: 1}", 0),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "> * a\n-5 degrees", 1),
    ("detectable_content:number_placeholders", {"num_placeholders": 1}, "- [x] done", 0),
    ("detectable_content:number_placeholders", {"num_placeholders": 1}, "[x] marks [y]", 1),
]


@pytest.mark.parametrize(("name", "parameters", "text", "value"), OTHER_DRESSES)
def test_instructions_are_followed_as_a_reader_sees_it(
    name: str, parameters: dict[str, Any], text: str, value: float
) -> None:
    assert score(asks(name, **parameters), text).value == value


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("He lives in the U.K. She does not.", 2),
        ("He left at 5 p.m. Then it rained.", 2),
        ("He left at 5 p.m. on Monday.", 1),
        ("J. R. R. Tolkien met Dr. Then.", 1),
        ('"Why?" he asked. "Why?" He asked.', 3),
        ("What a day\u2026 Yes.", 2),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, count: int) -> None:
    assert sentences(text) == count
