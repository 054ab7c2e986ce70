"""How mails are written and delivered."""
