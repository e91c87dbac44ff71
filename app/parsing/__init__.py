"""From a file to its pages: type by content, text page by page, in a child process with limits."""
