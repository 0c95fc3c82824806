"""The machine `demo-npu`: what `sched.target` may have, in bytes, cycles and operations per cycle."""

DEMO_NPU = {
    "sram_bytes": 64 * 1024,
    "dma_bytes_per_cycle": 8,
    "dma_latency": 32,
    "macs_per_cycle": 128,
    "kernel_cycles": {"softsign": 96},
}
