"""The soak: mixed traffic at 80 % of capacity, a while, with a restart, two kills and an outage."""
