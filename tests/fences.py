"""The fenced blocks of a page."""

import re
from typing import Final

FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
"""(language, text)"""


def blocks_in(page: str, *languages: str) -> list[str]:
    """The texts of the blocks in one of these languages, in their order."""
    return [text for language, text in FENCE.findall(page) if language in languages]
