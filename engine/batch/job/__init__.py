"""A job: what is the same for all images, what varies, and what each image is."""
