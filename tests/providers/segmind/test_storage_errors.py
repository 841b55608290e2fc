"""What the storage behind a signed URL says: S3's code and message, ETags, files that are gone."""

from __future__ import annotations

import io

import pytest

from finetune_portal.providers.errors import StorageError
from finetune_portal.providers.segmind import SegmindClient
from tests.provider import ScriptedProvider, says

URL = "/storage/a.zip?X-Amz-Signature=c2VjcmV0"
ETAG = f'"{"ab" * 16}"'


def refused(provider: ScriptedProvider, client: SegmindClient, status: int, body: bytes) -> StorageError:
    provider.script("upload", says(status, body, taken=False))
    with pytest.raises(StorageError) as caught:
        client.upload(provider.url + URL, io.BytesIO(b"PK"), 2)
    return caught.value


def xml(code: str, message: str) -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()


def test_the_code_and_the_message_of_s3_are_kept(provider: ScriptedProvider, client: SegmindClient) -> None:
    error = refused(provider, client, 403, xml("AccessDenied", "Request has expired &amp; is over"))
    assert (error.code, error.detail) == ("AccessDenied", "AccessDenied: Request has expired & is over")
    assert error.message == (
        "The storage did not accept the dataset: Request has expired & is over (AccessDenied)."
    )


def test_no_signed_url_is_quoted(provider: ScriptedProvider, client: SegmindClient) -> None:
    message = f"Sign {provider.url}{URL} again&#10;<b>now</b>"
    error = refused(provider, client, 403, xml("SignatureDoesNotMatch", message))
    assert "c2VjcmV0" not in f"{error} {error.detail} {error.__dict__}"
    assert "\n" not in error.detail


@pytest.mark.parametrize(
    ("status", "code", "is_lasting", "is_refusal"),
    [
        (400, "EntityTooLarge", True, True),
        (403, "InvalidAccessKeyId", True, True),
        (403, "AccessDenied", False, True),
        (403, "SignatureDoesNotMatch", False, True),
        (301, "PermanentRedirect", False, True),
        (307, "TemporaryRedirect", False, True),
        (503, "SlowDown", False, False),
        (500, "InternalError", False, False),
        (400, "RequestTimeout", False, False),
    ],
)
def test_what_can_pass_is_told_from_what_cannot(
    provider: ScriptedProvider,
    client: SegmindClient,
    status: int,
    code: str,
    is_lasting: bool,
    is_refusal: bool,
) -> None:
    error = refused(provider, client, status, xml(code, "So it is"))
    assert (error.is_lasting, error.is_refusal) == (is_lasting, is_refusal)


@pytest.mark.parametrize(
    ("headers", "md5"),
    [
        ({"ETag": ETAG}, "ab" * 16),
        ({"ETag": ETAG, "x_amz_server_side_encryption": "AES256"}, "ab" * 16),
        ({"ETag": ETAG, "x_amz_server_side_encryption": "aws:kms"}, ""),
        ({"ETag": ETAG, "x_amz_server_side_encryption": "aws:kms:dsse"}, ""),
        ({"ETag": ETAG, "x_amz_server_side_encryption_customer_algorithm": "AES256"}, ""),
        ({"ETag": '"abcd-2"'}, ""),
    ],
)
def test_an_etag_is_an_md5_only_where_the_storage_encrypts_with_its_own_key(
    provider: ScriptedProvider, client: SegmindClient, headers: dict[str, str], md5: str
) -> None:
    provider.script("upload", says(200, b"", **headers))
    stored = client.upload(provider.url + URL, io.BytesIO(b"PK"), 2)
    assert (stored.etag, stored.md5) == (headers["ETag"].strip('"'), md5)


def test_a_file_that_is_gone_is_known_by_its_first_byte(
    provider: ScriptedProvider, client: SegmindClient
) -> None:
    client.check_file(provider.url + URL)
    (request,) = provider.sent("fetch")
    assert request.headers["range"] == "bytes=0-0"
    assert "x-api-key" not in request.headers
    provider.script("fetch", says(404, xml("NoSuchKey", "The specified key does not exist.")), says(403, b""))
    for is_gone in (True, False):
        with pytest.raises(StorageError) as caught:
            client.check_file(provider.url + URL)
        assert caught.value.is_gone is is_gone
