"""Trained networks for use elsewhere: SavedModel, TensorFlow Lite and ONNX, and what applies them."""
