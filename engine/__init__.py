"""What is simulated: settings, beam, crystal, detector, scan, and the files they come from and go to."""
