"""Send through Apprise, and parse its addresses: which service, and what of it a page may show.

Only services that make plain calls over http and https are enabled: none that runs a command, opens a file
or a socket of its own, or works in a thread that `network_guard.py` does not see.
"""

from __future__ import annotations

import logging
import re
from functools import cache

from apprise import (
    Apprise,
    AppriseAsset,
    AttachmentManager,
    LogCapture,
    NotificationManager,
    NotifyBase,
    NotifyFormat,
)
from apprise import PersistentStoreMode as Store

from finetune_portal.notifications import network_guard

SERVICES = """
    46elks apprise atalk azure bark betterstack bluesky brevo bulksms bulkvs burstsms chanify clickatell
    clicksend cliq cm d7sms dapnet dingtalk discord dot eight00com emby enigma2 evolution exotel feishu
    firehydrant flock flowtriq fluxer form freemobile gchat github goalert gorush gotify groundmail
    groupme gupshup hassio httpsms humhub ifttt ilert incidentio infobip jira join json kakao kaleyra
    kavenegar kodi kook kumulos lametric lark lauther lfg line mailersend mailgun mastodon misskey mmost
    mobilemessage msg91 msgbird ncloud nctalk nexmo notica notifiarr notifico notifyre ntfy octopush
    onebot onesignal opsgenie pagerduty pagertree parsep pbul pinglet pingram pjet plivo postmark pover
    prowl psafer push pushdeer pushed pushme pushplus pushward pushy qq reddit resend revolt ringc
    rocket ryver schan sendgrid sendpulse serwersms ses seven sfr signal signalgrid signl4 simplepush
    sinch slack smsc smseagle smsmanager smstunnel smtp2go sns sparkpost spike splunk spugpush squadcast
    stackfield strmlabs synology telesign telnyx tgram threema trigv tweet twilio twist viber voipms
    webex wechat wecombot whapi whatsapp workflow wpush wxpusher xmatters xml youlmk zalo zoom zulip
"""
ATTACHMENTS = ("file", "http", "https", "memory")
CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 15.0
STATUS = re.compile(r"error=(\d{3})\b")
RETRYABLE_STATUSES = (408, 429)
HINTS = {401: "Is the token right?", 403: "Is the token right?", 404: "Was its webhook deleted?"}


class SendError(Exception):
    """The service did not take a message. The text is for people, without the address.

    `is_final`: another try would end the same way.
    """

    def __init__(self, text: str, *, is_final: bool = False) -> None:
        super().__init__(text)
        self.is_final = is_final


class AddressError(SendError):
    """The portal cannot send to this address."""

    def __init__(self, text: str) -> None:
        super().__init__(text, is_final=True)


def parse(address: str) -> NotifyBase:
    """The service of an address. Sends nothing and resolves no name. Raises AddressError."""
    _enable_listed_services()
    service = Apprise.instantiate(address, asset=_asset())
    if service is None:
        raise AddressError(
            "The portal cannot send to this address. Copy it whole from the service, "
            "or see “Supported notifications” in the documentation of Apprise."
        )
    # The address itself could ask for longer ones (?rto=), and one slow receiver would delay all others.
    service.socket_connect_timeout, service.socket_read_timeout = CONNECT_TIMEOUT, READ_TIMEOUT
    return service


def send(address: str, *, title: str, body: str) -> None:
    """Send one message. Raises SendError."""
    service = parse(address)
    with network_guard.public_addresses_only() as guard, LogCapture(level=logging.WARNING) as log:
        is_sent = _notify(service, title, body)
        status = STATUS.search(log.getvalue())
    if is_sent:
        return
    if guard.has_blocked:
        text = "This address is inside a private network. An operator can allow it: PORTAL_OUTBOUND_NETWORKS."
        raise SendError(text, is_final=True)
    raise _error_for(str(service.service_name), int(status[1]) if status else 0)


def display_address(service: NotifyBase) -> str:
    """The service, and the host if the service always has one; the rest of an address may be secret."""
    name = str(service.service_name)
    templates: tuple[str, ...] = service.templates
    if not all("{host}" in template for template in templates):
        return name
    return f"{name} at {service.host}" + (f":{service.port}" if service.port else "")


def _notify(service: NotifyBase, title: str, body: str) -> bool:
    try:
        return service.notify(title=title, body=body, body_format=NotifyFormat.TEXT)
    except Exception as exc:  # noqa: BLE001 - each service of Apprise may fail in its own way
        text = f"Apprise failed on this address ({type(exc).__name__}). Please check it."
        raise SendError(text, is_final=True) from None


def _error_for(name: str, status: int) -> SendError:
    if not status:
        return SendError(f"{name} could not be reached, or did not answer in time.")
    text = f"{name} answered with status {status}. {HINTS.get(status, '')}".strip()
    return SendError(text, is_final=400 <= status < 500 and status not in RETRYABLE_STATUSES)


@cache
def _enable_listed_services() -> None:
    """Once a process. Without attachments, no `?template=` can read and send a file of the server."""
    NotificationManager().enable_only(*SERVICES.split())
    AttachmentManager().remove(*ATTACHMENTS, unload=False)


def _asset() -> AppriseAsset:
    return AppriseAsset(
        app_id="Finetune Portal",
        app_desc="Finetune Portal",
        image_url_mask="",
        image_url_logo="",
        storage_mode=Store.MEMORY,
    )
