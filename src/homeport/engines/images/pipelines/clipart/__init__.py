"""The small model of emoji and clip art that Homeport trains itself: a flow-matching transformer, by onnxruntime."""
