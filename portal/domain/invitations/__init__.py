"""Invitations: codes, issuing, lookup, redemption, listing."""
