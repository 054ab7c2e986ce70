"""Forms for managing people."""

from wtforms import HiddenField, SearchField, SelectChoice, SelectField
from wtforms.validators import Length

from portal.forms import Form


class PeopleForm(Form):
    """The people to list."""

    class Meta:
        """A GET form: it changes nothing."""

        csrf = False

    q = SearchField("Search", [Length(max=120)])
    role = SelectField(
        "Role",
        choices=[
            SelectChoice("", "Any"),
            SelectChoice("member", "Member"),
            SelectChoice("viewer", "Viewer"),
            SelectChoice("admin", "Admin"),
            SelectChoice("owner", "Owner"),
        ],
        default="",
    )
    state = SelectField(
        "State",
        choices=[
            SelectChoice("", "Any"),
            SelectChoice("active", "Active"),
            SelectChoice("deactivated", "Deactivated"),
        ],
        default="",
    )


class RoleForm(Form):
    """A new role."""

    role = SelectField(
        "What they may do",
        choices=[
            SelectChoice("member", "Member: no staff pages"),
            SelectChoice("viewer", "Viewer: sees what became of invitations"),
            SelectChoice("admin", "Admin: issues codes, looks after members"),
            SelectChoice("owner", "Owner: everything"),
        ],
    )


class RequirementForm(Form):
    """Whether all staff must use 2FA: yes if `required` is sent at all."""

    required = HiddenField()
