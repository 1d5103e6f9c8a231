"""What a number is worth: whether what is stored is still what TikTok sent."""
