"""What holds for every test."""

from moldau.server.codec import check_spelling

# An answer with a misspelled field is an error in tests; in a running broker the field would silently be dropped.
check_spelling()
