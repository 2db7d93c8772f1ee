"""Number words."""

import pytest

from bot.nlu.numbers import quantity


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("15", 15),
        ("fifteen", 15),
        ("twenty-one", 21),
        ("a couple of", 2),
        ("an", 1),
        ("a hundred and five", 105),
        ("two thousand", 2000),
        ("many", None),
    ],
)
def test_quantity(words: str, value: int | None) -> None:
    assert quantity(words) == value
