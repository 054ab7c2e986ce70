"""Codes, and the invitations behind them: issued, looked up, redeemed, listed."""
