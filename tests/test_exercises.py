"""The check of an exercise: it tells, and never raises."""

import random

import numpy as np
import pytest
import torch

from minigpt.exercises import check, seeded


def told(capsys, *raised: Exception) -> str:
    with check("2: count the mistakes", seed=7):
        for error in raised:
            raise error
    return capsys.readouterr().out


def test_a_block_that_holds_is_right(capsys):
    assert told(capsys) == "Exercise 2: count the mistakes: right.\n"


def test_an_assertion_is_told_in_its_own_words(capsys):
    assert (
        told(capsys, AssertionError("row 2 is wrong"))
        == "Exercise 2: count the mistakes: not yet: row 2 is wrong [seed 7]\n"
    )


def test_an_assertion_without_words_still_says_not_yet(capsys):
    assert told(capsys, AssertionError()).endswith("not yet: the result is not what the check expects [seed 7]\n")


def test_an_empty_stub_is_not_done_yet(capsys):
    expected = "Exercise 2: count the mistakes: not done yet: fill in the cell above, run it, then this one\n"
    assert told(capsys, NotImplementedError()) == expected


def test_an_operation_that_pytorch_lacks_is_not_taken_for_an_empty_stub(capsys):
    output = told(capsys, NotImplementedError("'log_softmax' not implemented for 'Long'"))
    assert "not done yet" not in output
    assert "a NotImplementedError: 'log_softmax' not implemented for 'Long'" in output


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("shapes differ"), "not yet: your code stopped with a ValueError: shapes differ ("),
        (IndexError("out of range"), "not yet: your code stopped with an IndexError: out of range ("),
        (RecursionError(), "not yet: your code stopped with a RecursionError ("),
    ],
)
def test_any_other_error_is_told_by_its_name_and_message(capsys, error, words):
    assert words in told(capsys, error)


def test_an_answer_that_leaves_the_program_is_told_too(capsys):
    assert "a SystemExit: 3" in told(capsys, SystemExit(3))


def draws() -> list[float]:
    return [torch.rand(()).item(), np.random.rand(), random.random()]


def test_inputs_are_new_at_each_run_and_the_same_for_the_same_seed():
    drawn = []
    for seed in (7, 7, None, None):
        with check("2: count the mistakes", seed):
            drawn.append(draws())
    assert drawn[0] == drawn[1]
    assert len({tuple(numbers) for numbers in drawn}) == 3


def test_a_check_leaves_other_random_numbers_as_they_were():
    with seeded(3):
        expected = draws()
    with seeded(3):
        with check("2: count the mistakes"):
            draws()
        assert draws() == expected


def test_an_interrupt_still_stops_the_notebook():
    with pytest.raises(KeyboardInterrupt), check("2: count the mistakes"):
        raise KeyboardInterrupt
