"""The IR itself: data model, grammar core, parser, printer, diagnostics, verifier. No dialect and no pass is named here."""
