"""From passages to an answer: worded by a language model or extracted, each citation checked by code."""
