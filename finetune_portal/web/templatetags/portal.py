"""Template tags and filters: sizes, durations, learning rates, initials, icons, scripts. No queries."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal

from django import template
from django.forms import BaseForm, BoundField
from django.template import Context
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from finetune_portal.web import looks
from finetune_portal.web.sizes import size
from finetune_portal.web.static import integrity

register = template.Library()
register.filter(size)


@register.filter
def grouped(value: int | None) -> str:
    """Format a count: 12,500."""
    return "–" if value is None else f"{value:,}"


@register.filter
def duration(value: timedelta | None) -> str:
    """Format a duration by its two largest units: 4 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if value is None:
        return ""
    seconds = max(0, round(value.total_seconds()))
    parts = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    words: list[str] = []
    for unit, length in parts:
        count, seconds = divmod(seconds, length)
        if count or (unit == "s" and not words):
            words.append(f"{count} {unit}")
        elif words:
            break
    return " ".join(words[:2])


@register.filter
def rate(value: float | None) -> str:
    """Format a learning rate without float noise: 0.0004, 1e-05."""
    return "–" if value is None else f"{value:.10g}"


@register.filter("credits")
def credits_text(value: float) -> str:
    """Format credits to the cent, rounded down, so that no page names more than there is: 1,234.56 or 128."""
    cents = Decimal(repr(value)).quantize(Decimal("0.01"), ROUND_FLOOR)
    return f"{cents:,}".removesuffix(".00")


@register.filter
def bad_fields(form: BaseForm) -> list[BoundField]:
    """The visible fields with errors, in the order of the form."""
    return [field for field in form.visible_fields() if field.errors]


@register.filter
def initials(name: str) -> str:
    words = [word for word in name.replace("@", " ").replace(".", " ").split() if word]
    return "".join(word[0] for word in words[:2]).upper()


@register.simple_tag(takes_context=True)
def look(context: Context) -> str:
    """The look that this browser chose: system, light or dark. An error page may have no request."""
    request = context.get("request")
    return looks.chosen(request) if request else "system"


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """Render an icon of the sprite, hidden from screen readers: a word or a hidden label stands beside it."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>',
        extra,
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
def script(name: str, *, defer: bool = False) -> SafeString:
    """Render a script element with its SRI digest: an ES module, or a classic script with `defer`."""
    attributes = {"src": static(name), "integrity": integrity(name), "type": "" if defer else "module"}
    pairs = ((name, value) for name, value in attributes.items() if value)
    joined = format_html_join(" ", '{}="{}"', pairs)
    return format_html("<script {}{}></script>", joined, " defer" if defer else "")
