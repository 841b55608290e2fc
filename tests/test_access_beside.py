"""Who may call the three endpoints beside Django, which neither its URLconf nor its middleware knows.

The table is complete by introspection of asgi.py. Besides those of test_access.py there are alice as she is
after a demotion and after she was switched off, and a token in a header, which opens none of them.
"""

from __future__ import annotations

import uuid
from importlib import import_module

import pytest
import requests

from finetune_portal.accounts import services
from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.services import start_upload
from finetune_portal.gateway import upload_urls
from finetune_portal.gateway.models import PersonalToken
from tests.cookies import session_cookie
from tests.gateway.api_client import token_of
from tests.people import person
from tests.web_server import WebServer, session_of

WHO = ("anonymous", "token", "viewer", "alice", "bob", "admin", "demoted", "off")
TABLE = {
    ("GET", "/live/"): (401, 401, 200, 200, 200, 200, 200, 401),
    ("PATCH", "/uploads/<alice's>/"): (401, 401, 403, 204, 404, 404, 403, 401),
    ("PUT", "/finetune/uploads/<signed for alice's token>"): (200, 200, 200, 200, 200, 200, 403, 403),
}
TUS = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}


@pytest.mark.filterwarnings("ignore:No directory at")  # the static files are not packed here
def test_every_endpoint_has_its_line() -> None:
    asgi = import_module("finetune_portal.asgi")
    assert len(asgi.BESIDE_DJANGO) == len(TABLE)
    for method, path, _ in asgi.BESIDE_DJANGO:
        assert [line for line in TABLE if line[0] == method and path.fullmatch(line[1])], path


def test_everyone_gets_what_the_table_says(web: WebServer) -> None:
    admin, alice = person("dana", "admin"), person("alice", "maker")
    token = PersonalToken.objects.get(owner=token_owner(alice))
    cookies = {
        "viewer": session_of(person("charlie", "viewer")),
        "alice": session_of(alice),
        "bob": session_of(person("bob", "maker")),
        "admin": session_of(admin),
    }
    got: dict[tuple[str, str], list[int]] = {line: [] for line in TABLE}
    for who in WHO:
        if who == "demoted":
            services.set_role(alice, User.Role.VIEWER, actor=admin)
        elif who == "off":
            services.deactivate(alice, actor=admin)
        headers = {"x-api-key": token_of(admin, "train")} if who == "token" else {}
        session = cookies.get(who, cookies["alice"] if who in WHO[-2:] else "")
        headers["Cookie"] = f"{session_cookie(web.url)}={session}"
        for line in TABLE:
            got[line].append(status(web, line, headers, alice, token))
    assert {line: tuple(statuses) for line, statuses in got.items()} == TABLE


def token_owner(owner: User) -> User:
    token_of(owner, "train")
    return owner


def status(
    web: WebServer, line: tuple[str, str], headers: dict[str, str], alice: User, token: PersonalToken
) -> int:
    """One call, each with an upload of its own."""
    method, path = line
    body = b""
    if method == "PATCH":
        dataset = start_upload(owner=alice, filename="night.zip", size=8)
        path, headers, body = f"/uploads/{dataset.key}/", {**headers, **TUS}, b"PK"
    elif method == "PUT":
        path = upload_urls.presigned_url("", upload_urls.UploadGrant(uuid.uuid4(), token.pk, "night.zip"))
        body = b"P" * 100
    with requests.request(method, web.url + path, data=body, headers=headers, stream=True, timeout=60) as got:
        assert got.status_code == 200 or got.headers["X-Request-ID"]
        return got.status_code


def test_another_sites_page_gets_nothing(web: WebServer) -> None:
    alice = person("alice", "maker")
    dataset = start_upload(owner=alice, filename="night.zip", size=8)
    for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        headers = {"Cookie": f"{session_cookie(web.url)}={session_of(alice)}", **foreign}
        assert requests.get(f"{web.url}/live/", headers=headers, timeout=30).status_code == 403
        piece = requests.patch(
            f"{web.url}/uploads/{dataset.key}/", data=b"PK", headers={**headers, **TUS}, timeout=60
        )
        assert piece.status_code == 403
    assert Dataset.objects.get().received == 0
