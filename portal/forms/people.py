"""What staff send about people."""

from wtforms import HiddenField, SearchField, SelectChoice, SelectField
from wtforms.validators import Length

from portal.forms import Form


class PeopleForm(Form):
    """Whom to show."""

    class Meta:
        """It changes nothing, and its answers stand in the URL."""

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
    """Another role for somebody."""

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
    """Whether all staff need a second step: on if `required` is sent at all."""

    required = HiddenField()
