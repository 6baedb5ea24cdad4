"""Mathematics as GURU's published scorer judges it: what its own code gave for pairs of a right
answer and a box."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.data.problems import make_problem, user
from engines.shared.scoring.algebra import is_zero
from engines.shared.scoring.pool import ScoringPool
from engines.shared.scoring.published import normal_form
from engines.shared.scoring.registry import score
from tests.support.scores import boxed

# Right answer, box, published value.
PAIRS: list[tuple[str, str, int]] = [
    ("[1,2]", "(1,2)", 0),
    ("(1,2)", "[1,2]", 0),
    ("(1,2)", "1,2", 1),
    ("(1,2)", r"\{1,2\}", 0),
    ("(1,2)", "(2,1)", 0),
    ("(1,2)", "1<x<2", 0),
    ("(0,1)", "(0, 1.0)", 1),
    (r"\{1,2,3\}", "1,2,3", 0),
    ("1/3", "0.333333", 0),
    ("0.5", "1/2", 1),
    ("0.5", r"\frac{2}{4}", 1),
    ("0.75", r"\frac34", 1),
    (r"\frac{1}{2}", "0.5", 1),
    (r"\frac{1}{2}", r"\frac{2}{4}", 0),
    (r"\frac{1}{2}", "1/2", 1),
    (r"\frac{1}{2}", r"\dfrac12", 1),
    (r"\sqrt{2}", "1.414214", 0),
    (r"\sqrt{8}", r"2\sqrt{2}", 1),
    (r"2\sqrt{2}", r"\sqrt 8", 1),
    (r"\sqrt{2}", "2^{1/2}", 0),
    ("10^3", "1000", 0),
    ("2^{10}", "1024", 0),
    ("8", "2^3", 0),
    ("6", "2*3", 0),
    ("6", r"2 \cdot 3", 0),
    ("6", "5+1", 0),
    ("6", r"\frac{12}{2}", 0),
    ("1 or 2", "2 or 1", 0),
    ("1 or 2", "1, 2", 0),
    ("1 or 2", "1 and 2", 1),
    ("1,2", "2,1", 0),
    ("1, 2", "1,2", 1),
    ("1.5,2", "1.50, 2", 1),
    ("1011_2", "1011", 1),
    ("52_8", "52_7", 1),
    ("52_8", "53_8", 0),
    ("1011_{2}", "1011_2", 1),
    (r"\dfrac{\pi}{2}", r"\pi/2", 1),
    (r"\frac{\pi}{2}", "1.5708", 0),
    (r"2\pi", "6.28", 0),
    (r"2\pi", r"\pi+\pi", 1),
    (r"2\pi", r"2 \pi", 1),
    (r"2\pi", "pi*2", 1),
    (r"\pi", "3.14", 0),
    (r"\text{east}", r"\text{seat}", 0),
    (r"\text{east}", "East", 1),
    (r"\text{(C)}", r"\text{(E)}", 0),
    (r"\text{(C)}", "C", 1),
    (r"\text{Evelyn}", r"\text{Carla}", 0),
    (r"\text{no}", r"\text{on}", 1),
    (r"\text{no}", r"\text{yes}", 0),
    ("PQR", "RQP", 0),
    ("ab", "ba", 1),
    ("xy", "yx", 1),
    ("x+1", "1+x", 1),
    ("x^2-1", "(x-1)(x+1)", 1),
    ("x^2 + 2xy + y^2", "(x+y)^2", 1),
    ("x+y+z", "z+y+x", 0),
    (r"\sin x", r"\cos x", 0),
    ("x", "X", 1),
    ("x", "2x/2", 1),
    ("0.1", r"10\%", 1),
    ("0.1", "10", 1),
    ("10", "0.1", 1),
    ("50", r"50\%", 1),
    (r"50\%", "0.5", 1),
    ("7", "700", 1),
    ("7", "7.0001", 1),
    ("7", "7.01", 0),
    ("7.5", "7.5001", 1),
    ("7.25", r"7\frac14", 1),
    (r"7\frac{1}{4}", "7 1/4", 1),
    (r"7\frac{1}{4}", "29/4", 1),
    ("7.0", "7", 1),
    ("1,000", "1000", 1),
    ("10,000", "10{,}000", 1),
    ("1000", "1 000", 1),
    (r"\$5", "5", 1),
    ("5", r"\$5.00", 1),
    ("5", "x=5", 1),
    ("5", "x = 5", 1),
    ("5", "5.", 1),
    ("5", r"5 \text{ cm}", 1),
    ("5", r"5\text{cm}", 1),
    ("5", "5 cm", 1),
    (r"5 \text{ cm}", r"5 \text{ m}", 1),
    ("5", "5 meters", 1),
    ("5", "5 hours^2", 1),
    ("90", r"90^\circ", 1),
    ("5", "-5", 0),
    ("-5", r"-\frac{10}{2}", 0),
    ("5", "|5|", 0),
    ("5", "5!", 0),
    ("120", "5!", 0),
    ("2 million", "2000000", 0),
    ("2 million", "2*10^6", 1),
    (r"x \in [1,2]", "[1,2]", 0),
    (r"(-\infty, 3]", r"(-\infty,3]", 1),
    (r"(-\infty, 3]", "(-inf,3]", 0),
    (r"[0,\infty)", r"[0,\infty]", 1),
    (r"(1,2) \cup (3,4)", r"(3,4)\cup(1,2)", 0),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "(1,2)", 0),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1\\2 \end{pmatrix}", 1),
    ("3+4i", "4i+3", 1),
    ("14-i", "14.0-1.0i", 1),
    ("e^2", "e*e", 1),
    ("e", "2.71828", 0),
    (r"\frac{3}{x}", "3/x", 1),
    (r"\frac{x+1}{2}", "(x+1)/2", 0),
    (r"\frac{x+1}{2}", "0.5x+0.5", 0),
    (r"0.\overline{3}", r"\frac13", 0),
    (r"3 \text{ or } 4", r"4 \text{ or } 3", 0),
    ("0", "0.00001", 0),
    ("0", "-0", 1),
    ("1e5", "100000", 1),
    ("0.00002", "2e-5", 1),
    ("9", "9^{1}", 0),
    ("9", "", 0),
    (r"6.02 \times 10^{23}", "6.02e23", 0),
    ("1/2", "1/2 or 1/3", 0),
    ("x==2", "x==3", 1),
    ("Point(1,2)", "(1,2)", 0),
    ("(1,2)", "Point(1,2)", 0),
    ("[1,2]", "Interval(1,2)", 1),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\pi/2)", 1),
    ("p - q", "-q + p", 1),
    (r"\text{A and B}", r"\text{B and A}", 0),
    ("0.2[1]", "19/90", 1),
    ("19/90", "0.2[1]+0", 1),
    ("eye(2)", "eye(2)+0", 0),
    ("x", "x or y", 0),
    (r"\ln 2", "ln(2)", 0),
    ("ln(4)", "2ln(2)", 1),
    ("x(2)", "x*2", 1),
    ("2(x+1)", "2x+2", 1),
    ("x|y", "y|x", 0),
    ("1/2", "(1/2)or(1/3)", 0),
    ("5j", "5i", 0),
    ("sqrt(x^2)", "x", 0),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "answer", "published"), PAIRS)
def test_mathematics_has_the_published_value(gold: str, answer: str, published: int) -> None:
    asked = make_problem("math__aime", user("?"), gold)
    assert score(asked, boxed(answer), "guru").value == published


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("5", 1),
        ("The answer is 5.", 0),
        (r"\boxed{4} \boxed{5}", 1),
        (r"\boxed{5} \boxed{", 1),
        (r"\fbox{5}", 1),
        (r"\boxed{6} \fbox{5}", 0),
        (r"\boxed 5", 1),
        (r"\boxed{} 5", 1),
        (r"<think>\boxed{6}</think>\boxed{5}", 1),
        (r"<think>\boxed{5}", 1),
        (r"<think>\boxed{5}</think>6", 0),
        (r"\boxed{\boxed{5}}", 1),
    ],
)
def test_the_answer_is_found_where_the_published_scorer_finds_it(text: str, published: int) -> None:
    assert score(make_problem("math__aime", user("?"), "5"), text, "guru").value == published


def test_numbers_too_large_for_the_published_time_limit_are_not_worked_out() -> None:
    towers = ["9**9**9**9/7", "(9**9**9)!/7", "10**10**10*x", "1/7**9**9**9"]
    asked = make_problem("math__aime", user("?"), "x/7")
    with ScoringPool(workers=1, seconds=20, version="guru") as pool:
        found = pool.score_many([(asked, boxed(tower)) for tower in towers])
    assert [(verdict.value, verdict.status) for verdict in found] == [(0.0, "ok")] * len(towers)


FORMULAS = st.recursive(
    st.sampled_from(["1", "2", "3", "0.5", "x", "y", "pi", "sqrt(2)"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map("".join),
        inner.map("({})".format),
    ),
    max_leaves=5,
)


@settings(deadline=None)
@given(formula=FORMULAS)
def test_a_formula_less_itself_is_zero_and_with_one_more_is_not(formula: str) -> None:
    try:
        finite = abs(eval(formula, {"pi": 3.1, "sqrt": abs, "x": 2.3, "y": 5.7})) < 1e9
    except ZeroDivisionError:
        finite = False
    assert is_zero(f"({formula})-({formula})") or not finite
    assert not (finite and is_zero(f"({formula})-({formula})-1"))


@settings(deadline=None)
@given(text=st.text(alphabet="\\{}$%_^=/.,()[]|&!'\"<>#~ \n\t0123456789abfrcqtextpi\u221a\u03c0"))
def test_no_text_makes_the_published_rules_raise(text: str) -> None:
    for gold in ("5", "\\frac{1}{2}", "(1,2)", "a_b", text.strip() or "0"):
        verdict = score(make_problem("math__aime", user("?"), gold), text, "guru")
        assert verdict.value in (0.0, 1.0)
        assert score(make_problem("math__aime", user("?"), gold), text, "guru") == verdict


@given(whole=st.integers(-99, 99), below=st.integers(1, 99))
def test_all_spellings_of_a_fraction_have_one_normal_form(whole: int, below: int) -> None:
    spellings = [
        f"{whole}/{below}",
        f"\\frac{{{whole}}}{{{below}}}",
        f" \\dfrac {{{whole}}} {{{below}}} ",
    ]
    assert len({normal_form(spelling) for spelling in spellings}) == 1


EVALUATION = """
import sys
from engines.shared.data.problems import make_problem, user
from engines.shared.scoring.registry import score

asked = [
    make_problem("math__aime", user("?"), "x"),
    make_problem("table__hitab", user("?"), "5"),
    make_problem("logic__ordering_puzzle_dataset", user("?"), ["a"]),
    make_problem("logic__zebra_puzzle_dataset", user("?"), {"header": ["a"], "rows": [["b"]]}),
    make_problem("simulation__arcagi1", user("?"), [[1]]),
    make_problem("simulation__codeio", user("?"), '"output": 5'),
]
codes = ["1*x+0", "ln('1/0')", "ln('x')", "aa.bb", "x.__class__", "(lambda: 5)()", "print(5)", "ground_truth",
         "__import__('os').getpid()", "[i for i in (5,)][0]", "list(('a',))", "sqrt('5')", "f'{5}'", "id(5)"]
texts = [form % code for code in codes for form in (r"\\boxed{%s}", "<answer>%s</answer>", "%s")]

def judge():
    return [score(problem, text, "guru").value for problem in asked for text in texts]

first = judge()  # imports run code too
seen = []
sys.addaudithook(lambda event, given: seen.append(given[0].co_code) if event == "exec" else None)
assert judge() == first
assert seen == [], len(seen)
assert first.count(None) == 0
print("judged", len(first))
"""


def test_no_answer_is_ever_run() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EVALUATION], capture_output=True, text=True
    )
    assert done.stdout == "judged 252\n", done.stderr
