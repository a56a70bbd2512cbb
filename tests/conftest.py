"""The order of files: the longest ones first, so that two processes end at about the same time."""

LONGEST = ("test_docs.py", "test_runs.py", "test_methods.py", "test_cluster.py", "test_bad_candidates.py")


def pytest_collection_modifyitems(items):
    """Files are handed to processes whole, in this order."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
