"""What is known of an image because it was simulated: spots, maps, figures."""
