"""The same, quicker: known lines, statement shapes and parse tables, all made of what Lark says."""
