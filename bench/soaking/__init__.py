"""The soak test: mixed traffic at 80 % of capacity, with a restart, two kills and an outage."""
