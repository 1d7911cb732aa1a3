"""The catalogue, the hubs, the model store on disk, and kernels. Knows nothing of engines or HTTP."""
