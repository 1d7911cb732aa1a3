"""How the emoji and clip-art model is made: pictures and captions, two networks, ONNX files, a judgement."""
