"""The forms of projects: a name, and who becomes a member."""

from __future__ import annotations

from typing import Any, cast

from django import forms

from finetune_portal.accounts.models import User
from finetune_portal.projects import access
from finetune_portal.projects.models import Project
from finetune_portal.web.forms import InlineForm
from finetune_portal.web.names import NameField

NAME_TAKEN = "Another project has this name."
NO_PROJECT = "None: the whole team’s"
NOT_JOINED = "You are not a member of this project. Select another one."


class ProjectForm(forms.Form):
    """A name that no other project has, whatever its case."""

    name = NameField(max_length=60, error_messages={"required": "Enter a name for the project."})


class ProjectField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not generic at run time
    """A project that the person works on, or none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=Project.objects.none(), required=False, empty_label=NO_PROJECT, **kwargs)
        self.error_messages["invalid_choice"] = NOT_JOINED

    def offer_to(self, user: User) -> None:
        self.queryset = access.joined(user).order_by("folded_name")


class MoveForm(InlineForm):
    """Where something is to belong: a project that the person works on, or none."""

    project = ProjectField()

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast("ProjectField", self.fields["project"]).offer_to(user)


class MemberForm(forms.Form):
    person: forms.ModelChoiceField[User] = forms.ModelChoiceField(
        queryset=User.objects.none(),
        label="Person",
        empty_label="Select a person",
        error_messages={
            "required": "Select who is to become a member.",
            "invalid_choice": "This person is a member already, or has left the team.",
        },
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        members = project.members.values("user")
        people = User.objects.filter(is_active=True).exclude(pk__in=members).order_by("name", "pk")
        cast("forms.ModelChoiceField[User]", self.fields["person"]).queryset = people
