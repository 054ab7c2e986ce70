"""The doctor: looks the portal over, and says of each part how it is and what to do about it."""

from portal.doctor.checks import examine
from portal.doctor.findings import Finding, Level
from portal.doctor.letter import send_test_mail
from portal.doctor.route import Route, client_address

__all__ = ["Finding", "Level", "Route", "client_address", "examine", "send_test_mail"]
