"""Variables of version 0.1 still work, and the new name wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune_portal import env


@pytest.mark.parametrize(
    ("new", "old"),
    [("PORTAL_ENCRYPTION_KEYS", "PORTAL_SEALING_KEYS"), ("PORTAL_PROVIDER_URLS", "PORTAL_UPSTREAMS")],
)
def test_the_old_name_counts_until_the_new_one_is_set(
    new: str, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(old, "old")
    assert env.secret(new) == "old"
    monkeypatch.setenv(new, "new")
    assert env.secret(new) == "new"


def test_so_does_the_old_name_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys"
    path.write_text("first second\n", encoding="utf-8")
    monkeypatch.setenv("PORTAL_SEALING_KEYS_FILE", str(path))
    assert env.secret("PORTAL_ENCRYPTION_KEYS") == "first second"
