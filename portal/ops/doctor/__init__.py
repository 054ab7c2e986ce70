"""The doctor: checks each part of the portal, and advises what to do about it."""

from portal.ops.doctor.checks import examine
from portal.ops.doctor.findings import Finding, Level
from portal.ops.doctor.letter import send_test_mail
from portal.ops.doctor.route import Route, client_address

__all__ = ["Finding", "Level", "Route", "client_address", "examine", "send_test_mail"]
