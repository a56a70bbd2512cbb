"""`python -m binarynas_runtime`, the same as the command `binarynas-runtime`."""

from models.onebit.runtime.command import main

if __name__ == "__main__":
    main()
