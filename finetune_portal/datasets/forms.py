"""What begins an upload: a name and a length, within the limits of the settings."""

from __future__ import annotations

from django import forms
from django.conf import settings

from finetune_portal.web.templatetags.portal import size


class UploadForm(forms.Form):
    filename = forms.CharField(max_length=255)
    size = forms.IntegerField()

    def clean_filename(self) -> str:
        filename = str(self.cleaned_data["filename"])
        if not filename.lower().endswith(".zip"):
            raise forms.ValidationError(
                f"“{filename}” is not a ZIP. Pack the pictures into a .zip and drop it again."
            )
        return filename

    def clean_size(self) -> int:
        length = int(self.cleaned_data["size"])
        if length < 1:
            raise forms.ValidationError("The file is empty. Choose the ZIP again.")
        if length > settings.DATASET_MAX_BYTES:
            limit = size(settings.DATASET_MAX_BYTES)
            raise forms.ValidationError(f"The ZIP is {size(length)}; {limit} is the limit.")
        return length

    @property
    def sentence(self) -> str:
        return " ".join(str(error) for errors in self.errors.values() for error in errors)
