"""Reads an Apprise address: which service it means, and what of it a page may show.

Only services that are plain calls over http and https are known here: none that runs a command, opens a
file or a socket of its own, or works in a thread that `guard.py` does not see.
"""

from __future__ import annotations

from functools import cache

from apprise import Apprise, AppriseAsset, AttachmentManager, NotificationManager, NotifyBase
from apprise import PersistentStoreMode as Store

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
CONNECT_SECONDS, READ_SECONDS = 5.0, 15.0


class Unreadable(Exception):
    """Not an address that can be sent to; the text says why, for people, without the address."""


def read(address: str) -> NotifyBase:
    """The service behind an address. Nothing is sent or looked up. Raises Unreadable."""
    _only_what_is_listed()
    service = Apprise.instantiate(address, asset=_asset())
    if service is None:
        raise Unreadable(
            "This is not an address that the portal can send to. Copy it whole from the service, "
            "or see “Supported notifications” in the documentation of Apprise."
        )
    # The address itself could ask for longer ones (?rto=), and one slow receiver would hold up all others.
    service.socket_connect_timeout, service.socket_read_timeout = CONNECT_SECONDS, READ_SECONDS
    return service


def shown(service: NotifyBase) -> str:
    """The service and, where it always has one of its own, the host; the rest of an address may be secret."""
    name = str(service.service_name)
    templates: tuple[str, ...] = service.templates
    if not all("{host}" in template for template in templates):
        return name
    return f"{name} at {service.host}" + (f":{service.port}" if service.port else "")


@cache
def _only_what_is_listed() -> None:
    """Once a process. Without attachments, no `?template=` can have a file of the server read and sent."""
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
