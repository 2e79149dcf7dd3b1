"""What a job leaves in its folder: images, records, claims."""
