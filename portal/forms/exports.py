"""The export form."""

from uuid import UUID

from wtforms import BooleanField, HiddenField, RadioField, SelectChoice
from wtforms import validators as must
from wtforms.validators import Optional

from portal.forms.batches import SelectionForm


class ExportForm(SelectionForm):
    """A batch, a selection or neither, and the format. The history query is submitted beside it."""

    batch = HiddenField(validators=[Optional(), must.UUID()])
    format = RadioField(
        "As",
        choices=[
            SelectChoice("csv", "CSV"),
            SelectChoice("xlsx", "XLSX, for spreadsheets"),
        ],
        default="csv",
    )
    codes = BooleanField("With the codes")

    @property
    def batch_id(self) -> UUID | None:
        """The batch, if any."""
        return UUID(self.batch.data) if self.batch.data else None
