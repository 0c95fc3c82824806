"""ONNX models to graph functions."""
