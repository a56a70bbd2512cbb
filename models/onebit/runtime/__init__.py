"""What a machine needs that only runs networks: a `.bnn` file, images as numpy arrays, and a small command line.

Nothing here loads more than numpy. `make wheels` builds it, with all that it imports, as the package
`binarynas_runtime` of the distribution binarynas-runtime.
"""
