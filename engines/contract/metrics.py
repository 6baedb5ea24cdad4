"""Every metric that may appear in a result, with its meaning, unit, range and direction.

A name that is not registered here cannot be written into ``results.json``. Reports take a metric's
words and direction from here, checkpoints what ``best`` means.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """How to read a metric's value."""

    about: str
    unit: str
    low: float | None
    high: float | None
    higher_is_better: bool | None
    """None where neither direction is better."""


def share(about: str, higher_is_better: bool | None) -> Metric:
    """A metric between 0 and 1."""
    return Metric(about, "share", 0.0, 1.0, higher_is_better)


METRICS: dict[str, Metric] = {
    # Evaluations of language models.
    "accuracy": share("share of samples judged correct", True),
    "score": share(
        "mean score of the samples, partial credit included where the task has it", True
    ),
    "pass_at_k": share(
        "chance that one of k samples of a problem is correct, without bias from n samples", True
    ),
    "suite_score": share(
        "mean over a suite's tasks of each task's own metric, tasks of one group counted once", True
    ),
    "no_answer_rate": share("share of samples without an answer that could be read", False),
    "out_of_time_rate": share(
        "share of samples that are programs and ran longer than they may; they count as wrong",
        False,
    ),
    "truncated_rate": share("share of samples that hit the token limit", False),
    "response_tokens": Metric("mean length of a response", "tokens", 0.0, None, None),
    # Trainings by reinforcement learning.
    # Without ends: a function of the user's own may give any number.
    "validation_reward_mean": Metric(
        "mean over tasks of the mean validation reward", "reward", None, None, True
    ),
    "validation_reward": Metric("mean validation reward of one task", "reward", None, None, True),
    "train_reward_mean": Metric(
        "mean reward of the rollouts of a step", "reward", None, None, True
    ),
    "conflict_rate": share(
        "share of task pairs whose gradients have a negative inner product", False
    ),
    # Supervised trainings, and what their accuracy is read against.
    "loss": Metric("training loss", "nats", None, None, False),
    "validation_accuracy": share(
        "share of the query's next states predicted on validation machines", True
    ),
    "test_accuracy": share("share of the query's next states predicted on test machines", True),
    "ceiling_accuracy": share(
        "expected accuracy of the exact in-context predictor on the same sequences", True
    ),
    "counting_accuracy": share("accuracy of predicting the most frequent next state so far", True),
    "chance_accuracy": share("accuracy of guessing uniformly", True),
    # No upper end: by luck a model may score above what the exact predictor scores on average.
    "ceiling_share": Metric("test accuracy over ceiling accuracy", "share", 0.0, None, True),
    # Linear probes of a trained network.
    "probe_accuracy": share(
        "share of transitions whose label a linear probe reads from the model's states", True
    ),
    # No direction: it measures how much a probe learns by its own capacity.
    "probe_control_accuracy": share(
        "the same for labels that a random function per sequence gives", None
    ),
    "probe_selectivity": Metric("probe accuracy minus control accuracy", "share", -1.0, 1.0, True),
    "majority_accuracy": share("accuracy of always answering the most frequent label", None),
    "parameters": Metric("trained parameters of one model", "parameters", 0.0, None, None),
    # Questions about cities: each value beside what the best constant answer gets on the same rows.
    "answer_error": Metric(
        "mean absolute error of the answers that could be read, in the task's unit",
        "task's unit",
        0.0,
        None,
        False,
    ),
    "answer_error_with_failures": Metric(
        "mean absolute error, an answer that cannot be read counted with the task's failure value",
        "task's unit",
        0.0,
        None,
        False,
    ),
    "answer_accuracy": share("share of right words among the answers that could be read", True),
    "answer_accuracy_with_failures": share(
        "share of right words, an answer that cannot be read counted as wrong", True
    ),
    "failed_share": share("share of answers that cannot be read", False),
    "constant_error": Metric(
        "mean absolute error of the best constant answer", "task's unit", 0.0, None, None
    ),
    "constant_accuracy": share("share of rows that the best constant answer gets right", None),
    "lead_over_constant": Metric(
        "how much better than the best constant answer, failures counted; above 0 is better",
        "task's unit",
        None,
        None,
        True,
    ),
    "beats_constant": share(
        "1 if the 95 % interval of the lead over the best constant lies above 0, else 0", True
    ),
    # Maps: what linear probes read of places from a model's states, and whether its answers follow.
    "probe_r2": Metric(
        "R2 of a linear probe's readings of a coordinate, on cities it was not fitted on",
        "share",
        None,
        1.0,
        True,
    ),
    "probe_distance": Metric(
        "median distance of a linear probe's readings from the cities",
        "0.1 degree",
        0.0,
        None,
        False,
    ),
    "probe_distance_mean": Metric(
        "mean distance of a linear probe's readings from the cities", "0.1 degree", 0.0, None, False
    ),
    "probe_distance_low": Metric(
        "5 % of the readings lie nearer to their city", "0.1 degree", 0.0, None, None
    ),
    "probe_distance_high": Metric(
        "5 % of the readings lie farther from their city", "0.1 degree", 0.0, None, None
    ),
    "centre_distance": Metric(
        "median distance of the same cities from their mean position", "0.1 degree", 0.0, None, None
    ),
    "causal_share": share(
        "share of answers that follow a city whose state is moved along a probe's direction", True
    ),
    "causal_slope": Metric(
        "change of the answer over the change that the moved city asks for; 1 follows it",
        "share",
        None,
        None,
        None,
    ),
    "validation_loss": Metric(
        "mean negative log-likelihood of the tokens of a right answer, validation questions",
        "nats",
        0.0,
        None,
        False,
    ),
    "validation_exact_match": share(
        "share of validation questions whose greedy answer is the right one, to the last digit",
        True,
    ),
    "steps": Metric("optimiser steps until this checkpoint", "steps", 0.0, None, None),
    # What a report makes of them.
    "normalised_improvement": Metric(
        "how far fine-tuning brought a model on questions about new cities: 0 where its base "
        "began, 1 where the base stands on the cities it knows",
        "share",
        0.0,
        1.5,
        True,
    ),
    "expected_improvement": Metric(
        "the normalised improvement of the better of two specialists", "share", 0.0, 1.5, None
    ),
    "improvement_over_expected": Metric(
        "normalised improvement of a model of two tasks minus that of the better specialist",
        "share",
        -1.5,
        1.5,
        True,
    ),
    "change_by_second_task": Metric(
        "how much better a score is after training on a second task; below 0 is worse",
        "task's unit",
        None,
        None,
        True,
    ),
    "cka": Metric(
        "debiased linear CKA of two models' states, 1 for the same up to rotation and scale",
        "share",
        None,
        1.0,
        None,
    ),
    "procrustes": share(
        "what is left between the shapes of two models' states, 0 for the same shape", None
    ),
    # Replies to short texts.
    "rows": Metric("rows of a split", "rows", 0.0, None, None),
    "prompts": Metric("different texts that the rows of a split answer", "texts", 0.0, None, None),
    # Diversity-aware fine-tuning: the training.
    "cross_entropy": Metric(
        "mean negative log-likelihood of the reply tokens of a step", "nats", 0.0, None, False
    ),
    "validation_cross_entropy": Metric(
        "mean negative log-likelihood of the reply tokens, validation rows; no part of the "
        "diversity term is in it",
        "nats",
        0.0,
        None,
        False,
    ),
    "test_cross_entropy": Metric(
        "mean negative log-likelihood of the reply tokens, test rows", "nats", 0.0, None, False
    ),
    "combined": Metric(
        "cross-entropy minus the weight times the estimated diversity; a number to report, not the "
        "loss whose gradient is used",
        "nats",
        None,
        None,
        None,
    ),
    "set_diversity": Metric(
        "what the term estimates: mean distance of the pairs of a prompt's samples, a pair with an "
        "invalid sample counted as 0 where the term is gated",
        "share",
        0.0,
        2.0,
        True,
    ),
    "sample_distance": Metric(
        "mean distance of the pairs of a prompt's samples, valid or not", "share", 0.0, 2.0, True
    ),
    "gradient_norm_quality": Metric(
        "norm of the gradient of cross-entropy, before clipping", "norm", 0.0, None, None
    ),
    "gradient_norm_diversity": Metric(
        "norm of the gradient of the diversity term, without its weight, before clipping",
        "norm",
        0.0,
        None,
        None,
    ),
    "gradient_cosine": Metric(
        "cosine between what cross-entropy asks for and what the diversity term asks for; below 0 "
        "they are against one another",
        "share",
        -1.0,
        1.0,
        None,
    ),
    "valid_share": share("share of samples that the checker of the data takes", True),
    "sample_tokens": Metric(
        "mean length of a sample drawn in training, its end included", "tokens", 0.0, None, None
    ),
    "cut_share": share("share of samples that reach the token limit without an end", False),
    "lambda_effective": Metric(
        "weight of the diversity term per step; a term that comes every k-th step counts k times",
        "weight",
        0.0,
        None,
        None,
    ),
    "unique_valid": Metric(
        "different valid replies among a prompt's samples, mean over prompts",
        "replies",
        0.0,
        None,
        True,
    ),
    # Diversity-aware fine-tuning: the evaluation, all of them means over prompts.
    "distinct_1": share(
        "different words over all words of a prompt's samples; shorter samples look better", True
    ),
    "distinct_2": share("the same of pairs of neighbouring words", True),
    "distinct_3": share("the same of runs of three words", True),
    "distinct_1_rarefied": share(
        "expected share of different words among as many drawn words as the smallest set has", True
    ),
    "distinct_2_rarefied": share("the same of pairs of neighbouring words", True),
    "distinct_3_rarefied": share("the same of runs of three words", True),
    # No upper end: more different words than uniform draws are expected to show count above 1.
    "ead_1": Metric(
        "different words over those that as many uniform draws would show (EAD); a part of the "
        "bias by length stays",
        "share",
        0.0,
        None,
        True,
    ),
    "ead_2": Metric("the same of pairs of neighbouring words", "share", 0.0, None, True),
    "self_bleu": share(
        "BLEU-4 of each of a prompt's samples against the others; high where they are alike", False
    ),
    "vendi_share": share(
        "effective number of different samples by their embeddings (Vendi score), over all", True
    ),
    "semantic_diversity": Metric(
        "mean of 1 - cosine between the embeddings of a prompt's samples", "share", 0.0, 2.0, True
    ),
    "reply_words": Metric("mean length of a sample", "words", 0.0, None, None),
    "compression_ratio": Metric(
        "bytes of a prompt's samples over those of them compressed; high where they repeat",
        "ratio",
        0.0,
        None,
        False,
    ),
    "rouge_1": share("F1 of the words of the greedy reply and of the reference", True),
    "rouge_2": share("the same of pairs of neighbouring words", True),
    "rouge_l": share(
        "F1 of the longest common subsequence of words of greedy reply and reference", True
    ),
    "win_rate": share(
        "share of comparisons with the baseline that a judge gives to the model, ties as halves",
        True,
    ),
    "empty_share": share("share of a prompt's samples without any word", False),
    "tie_share": share("share of a judge's answers that are ties", None),
    "first_position_share": share(
        "share of a judge's decisions for the reply that it read first; 0.5 is without bias", None
    ),
    "effective_rank": Metric(
        "exponential of the entropy of an adapter's singular values, per layer",
        "rank",
        0.0,
        None,
        None,
    ),
    "spectral_norm": Metric(
        "largest singular value of what an adapter adds to a layer's weight",
        "norm",
        0.0,
        None,
        None,
    ),
    "frobenius_norm": Metric(
        "norm of what an adapter adds to a layer's weight", "norm", 0.0, None, None
    ),
    "relative_change": Metric(
        "an arm's mean of a measure over that of the arm without the diversity term, minus 1; the "
        "axis 'of' names the measure",
        "share",
        None,
        None,
        None,
    ),
    "difference": Metric(
        "an arm's mean of a measure minus that of the arm without the diversity term; the axis "
        "'of' names the measure",
        "measure's unit",
        None,
        None,
        None,
    ),
    # Reports that compare two arms.
    "accuracy_difference": Metric(
        "accuracy of the treatment minus the baseline, paired by problem", "share", -1.0, 1.0, True
    ),
    "score_difference": Metric(
        "score of the treatment minus the baseline, paired by problem", "share", -1.0, 1.0, True
    ),
}


def is_higher_better(name: str, said: str | None = None) -> bool:
    """Whether higher values of a metric are better: what its maker said, else what is registered; a
    metric of which neither is known is ranked as if they were."""
    if said is not None:
        return said == "higher"
    return name not in METRICS or METRICS[name].higher_is_better is not False
