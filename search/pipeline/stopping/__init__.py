"""What ends trials, and searches, before their planned end."""
