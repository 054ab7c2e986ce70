"""Tables of invitations as CSV and XLSX."""
