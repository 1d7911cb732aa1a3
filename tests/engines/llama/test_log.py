"""llama.cpp's log: what it reports about a load, in parts of lines."""

from homeport.engines.llama.log import LlamaLog, LoadReport

INFO = 2
MIB = 1 << 20
LINES = (
    "load_tensors: offloading output layer to GPU\n",
    "load_tensors: offloaded 20/31 layers to GPU\n",
    "load_tensors:      Vulkan0 model buffer size =    66.50 MiB\n",
    "load_tensors:   CPU_Mapped model buffer size =    28.00 MiB\n",
    "llama_kv_cache:    Vulkan0 KV buffer size =    11.25 MiB\n",
    "sched_reserve:    Vulkan0 compute buffer size =    48.00 MiB\n",
    "~llama_context:    Vulkan0 compute buffer size is  48.0000 MiB, matches expectation of  48.0000 MiB\n",
)


def test_buffers_and_layers_are_reported_once() -> None:
    """Buffers are summed up by device; the next report has only what was logged after it."""
    log = LlamaLog()
    for line in LINES:
        log.write(INFO, line[:20])
        log.write(5, line[20:])
    report = log.take_report()
    assert report == LoadReport({"Vulkan0": int(125.75 * MIB), "CPU_Mapped": 28 * MIB}, 20, 31)
    assert log.take_report() == LoadReport({})
