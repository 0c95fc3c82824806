"""An operation, a pass and a machine for Tilewright."""
