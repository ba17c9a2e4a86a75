"""How many examples a property test tries: a share of them in the suite, where they are the same in every run."""

from __future__ import annotations

from hypothesis import settings

SHARE = 5
"""The suite tries one example in so many: what they find, they found when the test was written."""


def examples(count: int) -> int:
    """`max_examples` of a property test: ``count`` in the random search (`benchmarks.property_search`)."""
    return count if settings.get_current_profile_name() == "search" else count // SHARE
