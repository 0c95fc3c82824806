"""Text to IR: the grammar, Lark, and the actions that build operations."""
