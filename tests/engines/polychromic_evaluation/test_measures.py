"""Measures per prompt: what all models share, what is not defined, what the rows say."""

import math
from collections import Counter

import numpy as np
import pytest

from engines.contract.metrics import METRICS
from engines.polychromic_evaluation.config import Config
from engines.polychromic_evaluation.measures import measure
from engines.polychromic_evaluation.models import Model
from engines.polychromic_evaluation.rows import measured_rows, notes, write_arrays
from engines.polychromic_evaluation.samples import Answered, Told
from engines.shared.diversity.embeddings import embedder
from engines.shared.diversity.ngrams import rarefied_distinct

CONFIG = Config.model_validate({"base": "b", "data": "d", "samples": 4, "pass_at": [1, 2]})
MODEL = Model("one", "train/one", {"seed": 3, "model": "trained"}, None, "", None)


def answered(texts, valid=None, greedy="we loved that great soup", references=("what a soup",)):
    valid = valid or [True] * len(texts)
    samples = [
        Told(text, 5, True, None if good else "bad")
        for text, good in zip(texts, valid, strict=True)
    ]
    return Answered(
        "p0", "text", tuple(references), tuple(samples), Told(greedy, 5, True, None), 6.0, 4
    )


SHORT = answered(["a b", "a c", "a", ""], [True, True, True, False])
LONG = answered(["a b c d e", "a B c d e", "f g h", "e f g h"], [True, True, False, False])


def measured(**models):
    return measure(CONFIG, models, embedder("hashing"))


def test_rarefied_values_of_all_models_are_of_one_size():
    found, shared = measured(one=[SHORT], two=[LONG])
    assert shared.drawn == {1: [5], 2: [2], 3: [0]}
    words = Counter((word,) for word in "abcdeabcdefghefgh")
    assert found["two"]["distinct_1_rarefied"][0] == rarefied_distinct(words, 5)
    # The smaller set is taken whole.
    assert found["one"]["distinct_1_rarefied"][0] == found["one"]["distinct_1"][0] == 3 / 5
    # No model but one has a run of three words, so nothing can be compared.
    assert math.isnan(found["two"]["distinct_3_rarefied"][0])
    assert found["two"]["distinct_3"][0] == 5 / 9
    assert shared.words == 8


def test_quality_counts_different_valid_texts_whatever_their_case():
    found, _ = measured(one=[SHORT], two=[LONG])
    assert found["one"]["unique_valid"][0] == 3
    assert found["two"]["unique_valid"][0] == 1
    assert found["two"]["valid_share"][0] == 0.5
    assert found["two"]["pass_at_1"][0] == 0.5
    assert found["two"]["pass_at_2"][0] == pytest.approx(5 / 6)
    assert found["one"]["empty_share"][0] == 0.25
    assert found["one"]["reply_words"][0] == 5 / 4


def test_references_are_those_of_the_prompt_and_the_nearest_counts():
    one = answered(["a"] * 4, greedy="🔥 soup", references=("no", "🔥 soup"))
    found, _ = measured(one=[one])
    assert found["one"]["rouge_1"][0] == found["one"]["rouge_2"][0] == 1
    assert found["one"]["rouge_l"][0] == 1
    assert found["one"]["test_cross_entropy"][0] == 1.5


def test_a_set_of_equal_texts_has_no_diversity_and_one_text_has_none_to_tell():
    found, _ = measured(same=[answered(["a b c"] * 4)], alone=[answered(["a b c", "", "", " "])])
    same, alone = found["same"], found["alone"]
    assert same["self_bleu"][0] == 1
    assert same["vendi_share"][0] == pytest.approx(1 / 4)
    assert same["semantic_diversity"][0] == pytest.approx(0, abs=1e-6)
    for name in ("self_bleu", "vendi_share", "semantic_diversity"):
        assert math.isnan(alone[name][0])
    nothing = measured(none=[answered([""] * 4)])[0]["none"]
    for name in ("distinct_1", "distinct_1_rarefied", "ead_1", "compression_ratio"):
        assert math.isnan(nothing[name][0])
    assert nothing["unique_valid"][0] == 1


def test_rows_are_means_over_the_prompts_that_have_a_value(tmp_path):
    found, shared = measured(one=[SHORT, LONG], two=[LONG, LONG])
    measures = found["one"]
    rows = {(row.metric, row.axes.get("k")): row for row in measured_rows(MODEL, measures)}
    assert {metric for metric, _ in rows} <= METRICS.keys()
    third = rows["distinct_3_rarefied", None]
    # At the first prompt one model has no run of three words.
    assert (third.n, third.value, third.spread) == (1, 5 / 9, None)
    assert rows["valid_share", None].value == 0.625
    assert rows["pass_at_k", 2].axes == {"seed": 3, "model": "trained", "k": 2}
    undefined = measured_rows(MODEL, {"self_bleu": np.array([np.nan, np.nan])})[0]
    assert (undefined.value, undefined.error) == (None, "is not defined for any of 2 prompts")
    write_arrays(tmp_path_of(tmp_path), MODEL, ["p0", "p1"], measures)
    with np.load(tmp_path / "models" / "one" / "prompts.npz", allow_pickle=False) as kept:
        assert kept["ids"].tolist() == ["p0", "p1"]
        assert np.array_equal(kept["ead_2"], measures["ead_2"], equal_nan=True)
        assert all(kept[name].dtype == np.float64 for name in measures)
    said = notes(CONFIG, found, shared, 3, "hashing-1024-v1")
    assert "distinct_1_rarefied draws m n-grams" in said[1]
    assert "5 to 17, median 11" in said[1]
    assert "1 prompts have none in some model" in said[3]
    assert "3 prompts were left out" in said[-1]


def tmp_path_of(tmp_path):
    (tmp_path / "models" / "one").mkdir(parents=True)
    return tmp_path


def test_a_checker_that_takes_nearly_everything_is_no_evidence():
    good = [answered(["a b", "c d", "e f", "g h"])] * 4
    poor = [answered(["a b", "c d", "e f", "g h"], [True, True, True, False])] * 4
    found, shared = measured(good=good, poor=poor)
    said = " ".join(notes(CONFIG, found, shared, 0, "hashing-1024-v1"))
    assert "saturated, no evidence: above 0.95 at k = 1 for 1 of 2 models." in said
