"""Profile pictures: everybody's shown, one's own changed and removed."""

from flask import Blueprint, Response, flash, make_response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.domain.accounts import avatars
from portal.forms.avatars import PictureForm
from portal.http.device import origin
from portal.http.guards import account_required, current_account, public, upload_allowed
from portal.http.headers import CONTENT_FOR_EVER, LARGEST_UPLOAD
from portal.web.outcomes import refusals_on

blueprint = Blueprint("avatars", __name__)


@blueprint.get("/avatars/<string(length=64):digest>/<int:size>")
@public
def show(digest: str, size: int) -> Response:
    """Serve a picture by its digest. Public, since clients without a cookie show it too."""
    response = make_response(avatars.find(digest, size))
    response.content_type = avatars.CONTENT_TYPE
    response.headers["Cache-Control"] = CONTENT_FOR_EVER
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@blueprint.get("/account/picture")
@account_required
def edit() -> str:
    """Show one's picture, and the upload form."""
    return render_template("avatars/edit.html", form=PictureForm(formdata=None))


@blueprint.post("/account/picture")
@account_required
@upload_allowed(LARGEST_UPLOAD)
def store() -> ResponseReturnValue:
    """Replace one's picture."""
    form = PictureForm()
    if form.validate_on_submit():
        content = form.picture.data.read(avatars.LARGEST_FILE + 1)
        with refusals_on(form):
            avatars.store(current_account(), content, origin=origin(), now=utcnow())
            flash("This is your picture now.")
            return redirect(url_for("avatars.edit"), 303)
    return render_template("avatars/edit.html", form=form), 422


@blueprint.post("/account/picture/removal")
@account_required
def remove() -> ResponseReturnValue:
    """Remove one's picture."""
    avatars.remove(current_account(), origin=origin(), now=utcnow())
    flash("Your picture is gone.")
    return redirect(url_for("avatars.edit"), 303)
