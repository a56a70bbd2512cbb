"""`python -m binarynas`, the same as the command `binarynas`."""

from binarynas import main

if __name__ == "__main__":
    main()
