"""The parameter checks: what passes, and that a refusal names the parameter, the rule and the value."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest

from cvbow._checks import check_choice, check_flag, check_int, check_real


@pytest.mark.parametrize("value", [3, 4, np.int64(3), np.uint8(200), 10**30])
def test_check_int_takes_integers_from_the_minimum(value: object) -> None:
    check_int("step", value, minimum=3)


@pytest.mark.parametrize("value", [2, -3, 3.0, np.float32(4), True, np.True_, "4", None, float("nan"), [4]])
def test_check_int_refuses(value: object) -> None:
    with pytest.raises(ValueError, match=rf"^step must be an integer >= 3, got {re.escape(repr(value))}$"):
        check_int("step", value, minimum=3)


def test_check_int_takes_none_only_where_it_is_allowed() -> None:
    check_int("max_side", None, minimum=1, none=True)
    with pytest.raises(ValueError, match=r"^max_side must be None or an integer >= 1, got 0$"):
        check_int("max_side", 0, minimum=1, none=True)


@pytest.mark.parametrize("value", [0, 0.0, 1, 2.5, np.float32(1.5), np.int32(2), Fraction(1, 3)])
def test_check_real_takes_numbers_of_a_closed_range(value: object) -> None:
    check_real("tol", value, minimum=0, maximum=2.5)


@pytest.mark.parametrize("value", [-1e-9, 2.6, float("inf"), float("nan"), True, "1", None, 1j, np.array([1.0])])
def test_check_real_refuses(value: object) -> None:
    with pytest.raises(ValueError, match=rf"^tol must be a number >= 0 and <= 2\.5, got {re.escape(repr(value))}$"):
        check_real("tol", value, minimum=0, maximum=2.5)


def test_check_real_without_a_maximum_still_wants_a_finite_number() -> None:
    check_real("sigma", 1e300, minimum=0)
    for value in (float("inf"), float("-inf"), float("nan")):
        with pytest.raises(ValueError, match=r"^sigma must be a number >= 0, got"):
            check_real("sigma", value, minimum=0)


def test_check_real_with_an_open_minimum_leaves_it_out() -> None:
    check_real("sigma", 1e-300, minimum=0, open_minimum=True)
    with pytest.raises(ValueError, match=r"^sigma must be a number > 0, got 0$"):
        check_real("sigma", 0, minimum=0, open_minimum=True)


def test_check_choice_takes_its_choices_alone() -> None:
    check_choice("window", "flat", ("flat", "gaussian"))
    for value in ("Flat", "", None, 0, ["flat"]):
        with pytest.raises(ValueError, match=r"^window must be one of flat, gaussian, got ") as caught:
            check_choice("window", value, ("flat", "gaussian"))
        assert str(caught.value).endswith(repr(value) + ("; did you mean flat?" if value == "Flat" else ""))


def test_check_choice_says_what_was_meant_or_gives_a_hint() -> None:
    with pytest.raises(ValueError, match=r"got 'gausian'; did you mean gaussian\?$"):
        check_choice("window", "gausian", ("flat", "gaussian"), hint="ask")
    with pytest.raises(ValueError, match=r"got 'hann'; ask$"):
        check_choice("window", "hann", ("flat", "gaussian"), hint="ask")


def test_of_many_choices_the_one_that_was_meant_is_told_alone() -> None:
    choices = [f"choice-{number:03}" for number in range(50)]
    with pytest.raises(ValueError, match=r"^window 'coice-007' is unknown; did you mean choice-007\?$"):
        check_choice("window", "coice-007", choices)
    with pytest.raises(ValueError, match=r"^window must be one of choice-000, .*choice-049, got 'hann'$"):
        check_choice("window", "hann", choices)


def test_check_flag_takes_true_and_false_alone() -> None:
    check_flag("root", True)
    check_flag("root", False)
    for value in ("no", 1, 0, None, np.True_):
        with pytest.raises(ValueError, match=rf"^root must be True or False, got {re.escape(repr(value))}$"):
            check_flag("root", value)
