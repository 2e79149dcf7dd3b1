"""Many images of one job: what varies, where it goes, who renders it, and what happens when something dies."""
