"""`python -m bench.prompts`: ways to compute prompts on a CPU, side by side.

Each way computes the same prompts in a process of its own, through one interface (`computer`): llama.cpp with several
kernels, layouts and options; a graph on OpenVINO; a graph on ONNX Runtime. `cpu_peak` says what the CPU could reach.
Knows nothing of servers.
"""
