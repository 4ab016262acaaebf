"""The configuration of KMGRE."""

# No `from __future__ import annotations` here: `@strict` checks the types of options, which must not be strings.
from typing import Literal

from huggingface_hub.dataclasses import strict

from .configuration_given_entities import GivenEntitiesConfig
from .configuration_limits import check_probabilities

EXPECTATION, MAXIMIZATION = "expectation", "maximization"
"""The phases of its training."""


@strict
class KmgreConfig(GivenEntitiesConfig):
    """KMGRE: relations between given entities by their key mention pairs, which a second network points out.

    The defaults are the values of the paper for Revisit-DocRED where it names one; `xi` is 0.1 for DWIE.

    Args:
        key_classifier: whether there is a key instance classifier; without it each mention pair counts as key
            (Table 4, key instance classifier).
        fusion: `"logsumexp"` fuses the logits of the key mention pairs before the decision; `"label_assignment"` trains
            mention pairs one by one and joins their decisions (Table 4, fusion).
        shared_encoder: whether the key instance classifier is a layer on the relation extractor's encoder, which the
            E-step then leaves alone; the paper has two encoders.
        head_norm: how the attention heads of a mention pair's context are joined: `"norm_then_mean"` normalises each
            and averages, `"norm_then_sum"` adds as printed, `"sum_then_norm"` normalises their sum as ATLOP does.
        xi: how far above the mean probability of an entity pair's mention pairs a key one must lie, as a share of
            their range.
        tau_max, tau_base: the threshold of key mention pairs never exceeds `tau_max * (1 - tau_base ** updates)`.
        expectation_updates: updates of the key instance classifier after the warm-up; training counts them here.
        gamma, alpha: focus and weight of the focal loss.
        focal_alpha: `"constant"` multiplies all samples by `alpha`, as printed; `"balanced"` key mention pairs by
            `alpha` and the others by `1 - alpha`, as usual.
        estep_pairs: whose mention pairs train the key instance classifier, those of `"all"` entity pairs or of
            `"related"` ones.
    """

    model_type = "docre-kmgre"

    key_classifier: bool = True
    fusion: Literal["logsumexp", "label_assignment"] = "logsumexp"
    shared_encoder: bool = False
    head_norm: Literal["norm_then_mean", "norm_then_sum", "sum_then_norm"] = "norm_then_mean"
    xi: float | int = 0.15
    tau_max: float | int = 0.5
    tau_base: float | int = 0.999
    expectation_updates: int = 0
    gamma: float | int = 2.0
    alpha: float | int = 0.3
    focal_alpha: Literal["constant", "balanced"] = "constant"
    estep_pairs: Literal["all", "related"] = "all"

    def validate_key_pairs(self) -> None:
        """Refuse values out of range, and a shared encoder without a classifier that shares it."""
        check_probabilities(self, "xi", "tau_max", "tau_base", "alpha")
        for name in ("gamma", "expectation_updates"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; give a number from 0 on")
        if self.shared_encoder and not self.key_classifier:
            raise ValueError("shared_encoder is True and key_classifier is False; there is no classifier to share it")

    @property
    def tau(self) -> float:
        """The highest threshold of key mention pairs so far; 0 keeps all of them (KMGRE section 3.2)."""
        return self.tau_max * (1.0 - self.tau_base**self.expectation_updates)

    def count_updates(self, phase: str, updates: int) -> None:
        """Keep the updates of the E-step, by which the threshold of key mention pairs rises."""
        if phase == EXPECTATION:
            self.expectation_updates = updates
