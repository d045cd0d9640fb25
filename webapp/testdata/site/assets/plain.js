not compressed
