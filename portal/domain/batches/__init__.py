"""Many invitations in one go."""
