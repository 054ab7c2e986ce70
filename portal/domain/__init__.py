"""What the portal does: verbs over values, without Flask, templates or a clock of their own."""
