"""`python -m models.onebit.runtime`; of the distribution that is built from it, `python -m binarynas_runtime`."""

from models.onebit.runtime.command import main

if __name__ == "__main__":
    main()
