"""The domain: verbs that take values, without Flask, templates or a clock of their own."""
