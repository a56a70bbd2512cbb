"""On CUDA: the elementwise parts of a network in few kernels, by Triton."""
