"""Whether the provider takes new jobs, as a third party reports it."""

from __future__ import annotations

from datetime import date

from finetune_portal.providers.contract import Availability, Report

# docs/provider-api.md, 16 has the sources. The text is quoted by them from the vendor's documentation.
REPORT = Report(
    availability=Availability.CLOSED,
    said_on=date(2026, 8, 27),
    text="Segmind’s fine-tuning is deprecated and takes no new jobs; existing models can be run until "
    "further notice.",
    source="github.com/api-evangelist/segmind",
)
