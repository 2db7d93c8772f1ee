"""What tells messages out of scope: signs that are each weak, and thresholds that lose a chosen part of the others."""

import numpy as np
import pytest

from bot.nlu.outside import Outside, fit_logistic, groups, signs


def test_the_thresholds_lose_the_chosen_part_of_what_is_in_scope() -> None:
    generator = np.random.default_rng(3)
    outside = np.arange(2000) % 5 == 0
    seen = generator.normal(0, 1, (2000, 3)) + outside[:, None] * [2.0, 1.0, 0.0]
    model = Outside.fit(seen, outside, called=0.01, doubted=0.03)
    shares = np.array([model.share(one) for one in seen])
    assert (shares[~outside] >= model.called).mean() == pytest.approx(0.01, abs=0.002)
    assert (shares[~outside] >= model.doubted).mean() == pytest.approx(0.03, abs=0.002)
    assert (shares[outside] >= model.called).mean() > 0.3
    assert Outside.fit(seen, outside, called=0.01, doubted=0.03) == model


def test_shares_mean_what_they_say() -> None:
    generator = np.random.default_rng(4)
    seen = generator.normal(0, 1, (4000, 2))
    outside = generator.random(4000) < 1 / (1 + np.exp(2 - 2 * seen[:, 0]))
    model = Outside.fit(seen, outside, called=0.01, doubted=0.03)
    shares = np.array([model.share(one) for one in seen])
    assert outside[(shares > 0.4) & (shares < 0.6)].mean() == pytest.approx(0.5, abs=0.08)


def test_near_twins_are_one_group_and_kinds_outside_are_wider() -> None:
    angles = np.radians([0, 10, 60, 90, 130, 170])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    outside = np.array([False, False, False, True, True, True])
    assert groups(vectors, outside).tolist() == [0, 0, 2, 3, 3, 3]


def test_signs_tell_a_sure_message_from_a_stray_one() -> None:
    labels = np.array([0, 0, 1, 1])
    sure = signs(np.array([0.9, 0.1, 0.0]), np.array([0.9, 0.8, 0.1, 0.2]), labels, np.array([0.1]), 2)
    stray = signs(np.array([0.3, 0.3, 0.2]), np.array([0.2, 0.1, 0.2, 0.1]), labels, np.array([0.7]), 2)
    best, margin, score, nearest, near, outside, agreeing = sure - stray
    assert min(best, margin, nearest, near, agreeing) > 0 > max(score, outside)


def test_one_message_in_scope_gives_signs_too() -> None:
    assert np.isfinite(signs(np.array([0.5, 0.5]), np.array([0.4]), np.array([0]), np.array([0.1]), 1)).all()


def test_a_logistic_regression_bears_classes_that_do_not_overlap() -> None:
    weights = fit_logistic(np.array([[-1.0], [-2.0], [1.0], [2.0]]), np.array([False, False, True, True]))
    assert 0 < weights[0] < 10
