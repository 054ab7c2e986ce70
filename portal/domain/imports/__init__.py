"""Files of recipients: uploaded, parsed, previewed, issued."""
