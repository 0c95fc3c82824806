"""Executing functions at every level with NumPy."""
