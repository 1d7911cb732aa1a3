"""The shape engine: from a picture of one thing to a mesh or a cloud of colored points, by a model in ONNX."""
