"""What every request passes: guards, errors, headers, logs, rate limits."""
