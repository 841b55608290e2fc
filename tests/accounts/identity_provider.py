"""Two OpenID Connect identity providers, a real one and a scripted one, and a browser's part."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from django.test import Client

from tests.e2e.conftest import answers
from tests.ports import free_port
from tests.waiting import until


@dataclass
class IdentityProvider:
    port: int = field(default_factory=free_port)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add_user(self, subject: str, **claims: Any) -> None:
        answer = requests.put(f"{self.issuer}/users/{subject}", json=claims, timeout=30)
        answer.raise_for_status()

    def authorize(self, address: str, subject: str) -> str:
        """Sign in at the identity provider. Return the path that it sends the browser back to."""
        answer = requests.post(address, data={"sub": subject}, allow_redirects=False, timeout=30)
        assert answer.status_code == 302, answer.text
        back = urlsplit(answer.headers["Location"])
        return f"{back.path}?{back.query}"


@contextmanager
def running_identity_provider() -> Iterator[IdentityProvider]:
    provider = IdentityProvider()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(provider.port), "--require-nonce"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        discovery = f"{provider.issuer}/.well-known/openid-configuration"
        until(lambda: answers(discovery), why="the identity provider answers")
        yield provider
    finally:
        process.terminate()
        process.wait(timeout=10)


@cache
def key(name: str) -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@dataclass
class ScriptedIdentityProvider:
    """Answers correctly, but for the deviations that `prepare` gets."""

    issuer: str = ""
    claims_supported: tuple[str, ...] = ()
    answers: dict[str, Any] = field(default_factory=dict)

    def prepare(self, deviations: dict[str, Any]) -> None:
        now = int(time.time())
        valid = {"iss": self.issuer, "sub": "s-1", "aud": "portal", "iat": now, "exp": now + 600, "nonce": ""}
        claims = {
            name: value
            for name, value in {**valid, **deviations}.items()
            if name in (*valid, "auth_time") and value is not None
        }
        token = self._signed(claims, deviations.get("signed", ""))
        self.answers["/token"] = {"access_token": "a", "token_type": "Bearer", "id_token": token}
        user = {"sub": deviations.get("userinfo_sub", "s-1"), "email": "erin@example.com", "name": "Erin"}
        self.answers["/userinfo"] = user
        self.discover(deviations.get("discovered_issuer", self.issuer))

    def discover(self, issuer: str) -> None:
        paths = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
        document: dict[str, object] = {
            f"{name}_endpoint": f"{self.issuer}/{path}" for name, path in paths.items()
        }
        document |= {
            "issuer": issuer,
            "jwks_uri": f"{self.issuer}/keys",
            "claims_supported": self.claims_supported,
        }
        self.answers["/.well-known/openid-configuration"] = document
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key("own").public_key()))
        self.answers["/keys"] = {"keys": [{**public, "kid": "1", "alg": "RS256", "use": "sig"}]}

    def _signed(self, claims: dict[str, Any], how: str) -> str:
        match how:
            case "no token":
                return ""
            case "not at all":
                return jwt.encode(claims, None, algorithm="none", headers={"kid": "1"})
            case "with the client's secret":
                return jwt.encode(claims, "s" * 32, algorithm="HS256", headers={"kid": "1"})
            case "by another key":
                return jwt.encode(claims, key("foreign"), algorithm="RS256", headers={"kid": "1"})
        return jwt.encode(claims, key("own"), algorithm="RS256", headers={"kid": "1"})


@contextmanager
def scripted_identity_provider() -> Iterator[ScriptedIdentityProvider]:
    scripted = ScriptedIdentityProvider()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.dumps(scripted.answers[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        scripted.issuer = f"http://127.0.0.1:{server.server_port}"
        scripted.discover(scripted.issuer)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield scripted
        server.shutdown()


def authorization_url(client: Client, **data: str) -> str:
    """Press the button. Return the URL that the page redirects to."""
    html = client.post("/login/oidc/", data).content.decode()
    return html.partition('content="0;url=')[2].partition('"')[0].replace("&amp;", "&")


def query_of(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def enable_single_sign_on(settings: Any, issuer: str) -> None:
    oidc = settings.SOCIALACCOUNT_PROVIDERS["oidc"]
    app = {
        **oidc["APP"],
        "client_id": "portal",
        "secret": "s",
        "settings": {"server_url": issuer},
    }
    settings.SOCIALACCOUNT_PROVIDERS = {"oidc": {**oidc, "APP": app}}
    settings.OIDC_ISSUER, settings.OIDC_NAME = issuer, "Keycloak"
    settings.PORTAL_URL = "http://testserver"
