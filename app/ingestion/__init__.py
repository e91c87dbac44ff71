"""From an uploaded file to passages that answer: taken in, parsed, cut, embedded, indexed, published."""
