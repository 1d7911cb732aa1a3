"""The bundled emoji and clip-art model: a flow-matching transformer on ONNX Runtime, trained for Homeport."""
