"""What people say about themselves."""

import pytest

from portal.domain.accounts import phones
from portal.domain.accounts import profile as profiles
from portal.domain.accounts.profile import Profile
from portal.domain.errors import AccountTaken, BadInput, InvalidPhone
from tests import factories
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, device

context = pytest.mark.usefixtures("context")


@context
def test_a_profile_is_replaced_as_a_whole() -> None:
    mia = factories.member(profile=Profile(first_name="Mia", phone="+62 812 3456 7890"))

    changed = Profile(last_name="Sari", language="id")
    profiles.change(mia, changed, username="mia.sari", origin=device(), now=NOW)

    assert (stored(mia).first_name, mia.last_name, mia.phone) == ("", "Sari", None)
    assert (mia.language, mia.username) == ("id", "mia.sari")


@context
@pytest.mark.parametrize(
    "profile",
    [
        Profile(first_name="Mia\r\nBcc: all@example.org"),  # case 54
        Profile(last_name="x" * 81),
        Profile(language="xx"),
        Profile(phone="0"),
    ],
)
def test_what_cannot_be_changes_nothing(profile: Profile) -> None:
    mia = factories.member()

    with pytest.raises(BadInput):
        profiles.change(mia, profile, username="mia", origin=device(), now=NOW)
    assert (stored(mia).first_name, mia.last_name, mia.language) == ("", "", "en")


@context
def test_a_username_belongs_to_one_person() -> None:
    factories.member("ana")
    mia = factories.member("mia")

    with refused(AccountTaken):
        profiles.change(mia, Profile(), username="ANA", origin=device(), now=NOW)
    assert stored(mia).username == "mia"


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("+62 812-3456-7890", "+6281234567890"),
        ("081234567890", "+6281234567890"),
        ("008070898742", "+62008070898742"),  # the example in the contract of sadhelx
        ("+44 20 7946 0958", "+442079460958"),
        ("\uff10812 3456 7890", "+6281234567890"),
    ],
)
def test_a_telephone_number_has_one_form(typed: str, number: str) -> None:
    assert phones.normalise(typed) == number


@pytest.mark.parametrize(
    "typed", ["", "abc", "12", "+99912345678", "1" * 100_000, "021 1234567 x9"]
)
def test_what_is_no_telephone_number_is_refused(typed: str) -> None:
    with pytest.raises(InvalidPhone):
        phones.normalise(typed)
