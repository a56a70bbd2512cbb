"""Files that appear whole or not at all; `spaces.files` has them for all rooms."""

from spaces.files import PART, replacing, sync_folder, write_atomically

__all__ = ["PART", "replacing", "sync_folder", "write_atomically"]
