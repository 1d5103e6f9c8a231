"""TikTok's side: ``client`` makes one call, ``codes`` say what an answer asks of us, ``reader`` reads a window."""
