"""What people send as their picture."""

from flask_wtf.file import FileField, FileRequired

from portal.forms import Form


class PictureForm(Form):
    """A picture. Its name and declared type are ignored: only what is in it counts."""

    picture = FileField("Picture", [FileRequired("Choose a picture.")])
