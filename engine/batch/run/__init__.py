"""Who renders a job's images, where, and what happens when something dies."""
