"""Processing common to all requests: guards, errors, headers, logs, rate limits."""
