"""The audit log: recording, the hash chain, search and retention."""
