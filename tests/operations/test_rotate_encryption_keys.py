"""`manage.py rotate_encryption_keys`: a new key takes over, and the old one can go (K3, K4)."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.core.management import call_command

from finetune_portal import env
from finetune_portal.accounts.models import User
from finetune_portal.connections import services
from finetune_portal.connections.models import Connection
from finetune_portal.notifications.models import Channel
from finetune_portal.web import encryption

SECRET = "GEZDGNBVGY3TQOJQ"


@pytest.fixture
def encrypted(alice: User, dana: User, settings: Any) -> list[str]:
    """A key, an admin key, an address and two second factors; and the codes."""
    settings.ENCRYPTION_KEYS = ["the first key"]
    services.built_in()
    services.add(name="a", base_url="https://api.segmind.com", key="sk-0123456789", actor=dana)
    fal = services.add(name="b", provider="fal", key="a-key:0123456789", actor=dana)
    services.change_admin_key(fal, "an-admin-key:0123456789", actor=dana)
    Channel.objects.create(
        owner=alice, kind="email", display_address="a", encrypted_address=encryption.encrypt(alice.email)
    )
    TOTP.activate(alice, SECRET)
    return RecoveryCodes.activate(alice).get_unused_codes()


def rotate(command: str = "rotate_encryption_keys") -> tuple[str, int]:
    output = StringIO()
    with pytest.raises(SystemExit) as end:
        call_command(command, stdout=output)
    return output.getvalue(), int(end.value.code or 0)


def test_the_old_key_can_go(encrypted: list[str], alice: User, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = ["the second key", "the first key"]
    assert rotate() == ("6 encrypted again, 0 cannot be decrypted.\n", 0)
    settings.ENCRYPTION_KEYS = ["the second key"]
    assert encryption.decrypt(Connection.objects.get(name="a").encrypted_key) == "sk-0123456789"
    fal = Connection.objects.get(name="b")
    assert encryption.decrypt(fal.encrypted_key) == "a-key:0123456789"
    assert encryption.decrypt(fal.encrypted_admin_key) == "an-admin-key:0123456789"
    assert encryption.decrypt(Channel.objects.get().encrypted_address) == alice.email
    app, codes = (Authenticator.objects.get(type=kind) for kind in ("totp", "recovery_codes"))
    assert encryption.decrypt(app.data["secret"]) == SECRET
    assert RecoveryCodes(codes).get_unused_codes() == encrypted


def test_the_command_of_version_0_1_still_works(encrypted: list[str], settings: Any) -> None:
    settings.ENCRYPTION_KEYS = ["the second key", "the first key"]
    assert rotate("reseal") == ("6 encrypted again, 0 cannot be decrypted.\n", 0)


def test_what_cannot_be_decrypted_is_named_and_left_alone(encrypted: list[str], settings: Any) -> None:
    before = Connection.objects.get(name="a").encrypted_key
    settings.ENCRYPTION_KEYS = ["the second key"]
    output, status = rotate()
    assert status == 1
    assert output.startswith("0 encrypted again, 6 cannot be decrypted.\n  connection ")
    assert Connection.objects.get(name="a").encrypted_key == before


def test_a_key_file_that_was_emptied_is_lost_and_not_a_key_that_everyone_knows(tmp_path: Path) -> None:
    path = tmp_path / "sealing-key"
    path.touch()
    made = env.made_once(path)
    assert len(made) > 40
    assert env.made_once(path) == made
