"""Images as people look at them: pictures, and pages for a browser."""
