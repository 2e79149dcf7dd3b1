"""What of one pixel depends on others: serial habits, rotated cells, and pixels shared out to threads."""
