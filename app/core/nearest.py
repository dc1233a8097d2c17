"""Which word was probably meant by one that there is none of."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str], *, at_least: float = 0.6) -> str | None:
    """The one of these that is most like it, if it is so like, from 0 to 1; None if none is.

    The time that it takes grows with the square of the word: who is given a long one cuts it.
    """
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=at_least)), None)
