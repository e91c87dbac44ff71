"""From the text of a page to chunks of a bounded number of tokens, each a span of that text."""
