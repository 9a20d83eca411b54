"""One small processor per operator of the language."""
