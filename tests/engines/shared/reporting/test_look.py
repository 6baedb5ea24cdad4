"""Round ticks, limits by what is drawn, looks that tell arms apart, colours that eyes do."""

import itertools
import math
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engines.shared.reporting.figures import ORANGE, prepare, save
from engines.shared.reporting.look import (
    DASHES,
    LINES,
    SERIES,
    STATES,
    WORDS,
    Look,
    css,
    limits,
    looks_of,
    tick_step,
    ticks,
)

NUMBERS = st.floats(-1e5, 1e5, allow_subnormal=False).map(lambda value: round(value, 4))


@given(st.lists(NUMBERS, min_size=1))
def test_limits_hold_all_values_and_pass_no_end_that_the_values_keep_to(values: list[float]):
    low, high = limits(values)
    assert low <= min(values) <= max(values) <= high
    assert low < high
    if min(values) >= 0:
        assert low >= 0  # a loss has nothing below 0
        if max(values) <= 1 and min(values) < 1:
            assert high <= 1 or max(values) == 0  # a share nothing above 1


def test_limits_leave_some_room():
    assert limits([2.0, 4.0]) == (1.9, 4.1)
    assert limits([0.5, 0.99]) == (0.5 - 0.05 * 0.49, 1.0)
    assert limits([0.0, 0.0]) == (0.0, 0.05)
    assert limits([1.0]) == (0.95, 1.0)
    assert limits([0.2, math.inf]) == limits([0.2])


@given(NUMBERS, st.floats(1e-3, 1e6))
def test_ticks_are_round_few_and_read_as_what_they_are(low: float, span: float):
    high = low + span
    step = tick_step(low, high)
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - one) for one in (1, 2, 5)) < 1e-6
    found = ticks(low, high)
    assert 1 <= len(found) <= 5
    texts = [text for _, text in found]
    assert len(set(texts)) == len(texts)
    for value, text in found:
        assert low - 1e-6 * span <= value <= high + 1e-6 * span
        read = float(text.replace(",", "").replace("\N{MINUS SIGN}", "-"))
        assert abs(read - value) <= step / 1000


def test_the_ticks_of_a_share_of_a_loss_and_of_steps():
    def texts(low: float, high: float) -> list[str]:
        return [text for _, text in ticks(low, high)]

    assert texts(0.117, 0.841) == ["0.2", "0.4", "0.6", "0.8"]
    assert texts(0.0, 0.0345) == ["0.00", "0.01", "0.02", "0.03"]
    assert texts(0, 12_000) == ["0", "5,000", "10,000"]
    assert texts(-5.8, 1.9) == ["\N{MINUS SIGN}4", "\N{MINUS SIGN}2", "0"]


def test_a_baseline_has_the_first_colour_and_seeds_look_alike():
    points = [{"arm": arm, "seed": seed} for arm in ("pcgrad", "baseline") for seed in (0, 1)]
    assert looks_of(points, first=["baseline"]) == [Look(1), Look(1), Look(0), Look(0)]


def test_one_axis_has_the_colours_and_the_other_the_lines():
    points = [{"lr": lr, "width": width} for lr in (1, 2, 3) for width in (4, 8)]
    looks = looks_of(points)
    assert [look.colour for look in looks] == [0, 0, 1, 1, 2, 2]
    assert [look.line for look in looks] == [0, 1, 0, 1, 0, 1]
    preferred = looks_of([{"lr": one["lr"], "arm": one["width"]} for one in points[:4]])
    assert [look.colour for look in preferred] == [0, 1, 0, 1]


def test_an_axis_that_only_some_stages_have_tells_no_colours_apart():
    """Models in all stages, settings of the optimiser in one."""
    points = [{"model": "a"}, {"model": "b"}]
    points += [{"model": model, "arm": arm} for model in "bc" for arm in ("published", "tuned")]
    looks = looks_of(points)
    assert [look.colour for look in looks] == [0, 1, 1, 1, 2, 2]
    assert looks[1] == looks[2] != looks[3]


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 5)), unique=True, max_size=24))
def test_up_to_24_settings_all_look_different(pairs: list[tuple[int, int]]):
    looks = looks_of([{"model": model, "arm": arm} for model, arm in pairs])
    assert len(set(looks)) == len(pairs)


def test_thousands_of_settings_are_not_held_against_one_another():
    class Counted(int):
        compared = 0
        __hash__ = int.__hash__

        def __eq__(self, other: object) -> bool:
            Counted.compared += 1
            return int.__eq__(self, other)

    looks_of([{"n": Counted(n)} for n in range(2000)], first=[Counted(5)])
    assert Counted.compared < 20 * 2000


def test_the_page_knows_every_colour_on_both_grounds():
    style = css()
    for pair in [*SERIES, *STATES.values()]:
        assert all(style.count(colour) >= 1 for colour in pair)
    assert len(DASHES) == len(LINES)


def linear(colour: str) -> list[float]:
    """Light of red, green and blue, by sRGB."""
    values = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]


def test_words_in_any_colour_are_read_on_white_and_on_the_lightest_dark_page_of_a_browser():
    assert contrast("#000000", "#ffffff") == 21
    assert len(WORDS) == len(SERIES)
    for light, dark in [*WORDS, *STATES.values()]:
        assert contrast(light, "#ffffff") >= 4.5
        assert contrast(dark, "#242424") >= 4.5


def test_a_figure_has_the_colours_of_words_for_words_and_those_of_lines_for_lines(tmp_path: Path):
    prepare()
    from matplotlib import pyplot

    figure, axis = pyplot.subplots()
    axis.plot([0, 1], color=ORANGE)
    axis.text(0, 0, "pcgrad", color=ORANGE)
    svg = save(figure, tmp_path / "one", "caption", "").svg
    (text,) = re.findall(r"<text [^>]*>(?=pcgrad)", svg)
    assert "var(--w2)" in text
    assert "stroke: var(--c2)" in svg
    assert ORANGE not in svg


# Machado, Oliveira and Fernandes 2009, whole severity.
SIGHTS = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}


def times(matrix: tuple, vector: list[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def lab(colour: str, sight: str) -> list[float]:
    """CIELAB of a colour as it is seen, of white D65."""
    seen = [min(1.0, max(0.0, value)) for value in times(SIGHTS[sight], linear(colour))]
    to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    shares = [a / b for a, b in zip(times(to_xyz, seen), (0.9505, 1.0, 1.089), strict=True)]
    f = [s ** (1 / 3) if s > 0.008856 else 7.787 * s + 16 / 116 for s in shares]
    return [116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])]


def contrast(colour: str, ground: str) -> float:
    """By WCAG 2."""
    lights = sorted(
        0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(colour), linear(ground))
    )
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def test_colours_can_be_told_apart_by_the_colour_blind_and_from_the_ground():
    for scheme, ground, least in ((0, "#ffffff", 24), (1, "#121212", 19)):
        colours = [pair[scheme] for pair in SERIES]
        for sight in SIGHTS:
            for first, second in itertools.combinations(colours, 2):
                assert math.dist(lab(first, sight), lab(second, sight)) > least, (first, second)
        assert all(contrast(colour, ground) > 3 for colour in colours)
        # Words are written in these, so they have to be read.
        assert all(contrast(pair[scheme], ground) >= 4.5 for pair in STATES.values())


def test_a_setting_without_a_further_axis_looks_like_the_first_value_of_that_axis():
    trained = [{"lr": lr, "width": width} for lr in (1, 2) for width in (4, 8)]
    one = looks_of([*trained, *({**point, "data": "a"} for point in trained)])
    assert one[:4] == one[4:] == [Look(0, 0), Look(0, 1), Look(1, 0), Look(1, 1)]
    two = looks_of([*trained, *({**point, "data": d} for point in trained for d in "ab")])
    assert two[4::2] == two[:4]
    # The same value of another axis is another thing.
    apart = looks_of([{"lr": 1, "a": 1}, {"lr": 1, "b": 2}, {"lr": 1, "b": 3}, {"lr": 2}])
    assert [look.line for look in apart] == [0, 0, 1, 0]


class Counted(str):
    """A value that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, str(other))

    __hash__ = str.__hash__


def test_thousands_of_settings_are_not_compared_each_with_each():
    values = [Counted(f"v{number}") for number in range(2000)]
    settings = [{"arm": value, "seed": seed} for value in values for seed in (0, 1)]
    looks = looks_of(settings, first=["v7", "none of them"])
    assert Counted.compared < 20 * len(settings)
    # The baseline has the first colour still.
    assert (looks[14].colour, looks[14].line) == (looks[15].colour, looks[15].line)
    few = looks_of(settings[:20], first=["v7", "none of them"])
    assert few[14] == Look(0)
