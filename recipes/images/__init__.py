"""How the emoji and clip-art model is trained: images and captions, networks, ONNX files, an evaluation."""
