"""The upload form for a profile picture."""

from flask_wtf.file import FileField, FileRequired

from portal.forms import Form


class PictureForm(Form):
    """A picture. Its name and declared type are ignored; only its content counts."""

    picture = FileField("Picture", [FileRequired("Choose a picture.")])
