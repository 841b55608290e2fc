"""How many examples hypothesis tries: in `make test` few and the same each time, in `make test-slow` many."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("few", max_examples=20, derandomize=True, database=None, deadline=None)
settings.register_profile("many", max_examples=200, deadline=None, print_blob=True)
settings.load_profile("few")  # before any test is read; `--hypothesis-profile many` loads the other one


def are_many() -> bool:
    """Whether this is the long share, as in `make test-slow`."""
    return settings.get_current_profile_name() == "many"


def examples(many: int) -> int:
    """Return `many` in `make test-slow`, an eighth of it in `make test`: for tests with their own number."""
    return many if are_many() else max(many // 8, 5)
