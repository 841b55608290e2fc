"""Where a key went that may only stand in the Authorization of queue, tokens and platform API."""

from __future__ import annotations

from tests.fal.server import FakeFal


def misplaced(fal: FakeFal) -> list[str]:
    """The path of each request that shows a key elsewhere, or to the CDN or the webhooks' public keys."""
    paths = []
    for request in list(fal.requests):
        headers = "".join(value for name, value in request.headers.items() if name != "authorization")
        shown = f"{request.path} {request.query} {headers}".encode() + request.body
        if request.service == "cdn" or "jwks" in request.path:
            shown += request.headers.get("authorization", "").encode()
        if fal.key.encode() in shown or fal.admin_key.encode() in shown:
            paths.append(request.path)
    return paths
