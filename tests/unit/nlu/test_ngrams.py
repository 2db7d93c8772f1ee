"""N-grams: what counts as the same text, and weights of unit length."""

import math

import pytest

from bot.nlu.ngrams import NgramOptions, NgramVectorizer, normalise


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("REFUND me", "refund me"),
        ("don’t", "don't"),
        ("pleeeeease", "pleease"),
        ("mail a@b.example", "mail  xemail "),
        ("INV-2005", " xinvid "),
        ("the 0107 one", "the 0000 one"),
        ("charged $15.00", "charged  xmoney "),
        ("+1 415 555 0107", " xphone "),
    ],
)
def test_spellings_that_mean_the_same_are_made_the_same(written: str, same: str) -> None:
    assert normalise(written) == same


def test_words_and_characters_are_blocks_of_unit_length() -> None:
    vectorizer = NgramVectorizer.fit(["cancel my number", "cancel the plan", "my plan"], NgramOptions(min_texts=1))
    names = list(vectorizer.vocabulary)
    indices, weights = vectorizer.transform("cancel my plan")
    for kind in "wc":
        block = [weight for index, weight in zip(indices, weights, strict=True) if names[index][0] == kind]
        assert math.sqrt(sum(weight**2 for weight in block)) == pytest.approx(1)


def test_unknown_text_has_no_features() -> None:
    vectorizer = NgramVectorizer.fit(["cancel", "refund"], NgramOptions(min_texts=1))
    assert vectorizer.transform("ЖЖЖ") == ([], [])


def test_the_vocabulary_does_not_depend_on_the_order_of_texts() -> None:
    texts = ["cancel my number", "refund my number", "hello there"]
    options = NgramOptions()
    assert NgramVectorizer.fit(texts, options).vocabulary == NgramVectorizer.fit(texts[::-1], options).vocabulary


def test_a_matrix_row_is_the_text_alone() -> None:
    vectorizer = NgramVectorizer.fit(["cancel my number", "cancel my plan"], NgramOptions())
    matrix = vectorizer.matrix(["cancel my", "", "plan number"])
    indices, weights = vectorizer.transform("cancel my")
    assert matrix.shape == (3, len(vectorizer.vocabulary))
    assert matrix[0].toarray()[0][indices] == pytest.approx(weights)
    assert matrix[1].nnz == 0
