"""The check of an exercise: it tells, and never raises."""

import pytest

from minigpt.exercises import check


def told(capsys, *raised: Exception) -> str:
    with check("2: count the mistakes"):
        for error in raised:
            raise error
    return capsys.readouterr().out


def test_a_block_that_holds_is_right(capsys):
    assert told(capsys) == "Exercise 2: count the mistakes: right.\n"


def test_an_assertion_is_told_in_its_own_words(capsys):
    assert told(capsys, AssertionError("row 2 is wrong")) == "Exercise 2: count the mistakes: not yet: row 2 is wrong\n"


def test_an_assertion_without_words_still_says_not_yet(capsys):
    assert told(capsys, AssertionError()).endswith("not yet: the result is not what the check expects\n")


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


def test_an_interrupt_still_stops_the_notebook():
    with pytest.raises(KeyboardInterrupt), check("2: count the mistakes"):
        raise KeyboardInterrupt
