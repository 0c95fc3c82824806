"""The IR itself: data model, grammar, parser, printer, diagnostics, verifier. No dialect or pass is named here."""
