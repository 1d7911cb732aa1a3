"""llama.cpp's own server from the `xllamacpp` wheel: `python -m bench.peers.llama_cpp WEIGHTS PORT FLAGS`.

The wheel's `Server` class serves in threads of this process. FLAGS are attributes of its parameters, as JSON.
"""

import json
import signal
import sys


def serve(weights: str, port: str, flags: str) -> None:
    """Serve until SIGTERM."""
    import xllamacpp  # here, because importing this module must not load native code

    parameters = xllamacpp.CommonParams()
    parameters.model.path = weights
    parameters.port = int(port)
    for name, value in json.loads(flags).items():
        if name == "threads":
            parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = value
        elif name == "flash_attn":
            parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
        else:
            setattr(parameters, name, value)
    server = xllamacpp.Server(parameters)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del server


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    serve(*sys.argv[1:])
