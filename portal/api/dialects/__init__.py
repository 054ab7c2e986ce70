"""The five JSON dialects, one module each, and what they share."""
