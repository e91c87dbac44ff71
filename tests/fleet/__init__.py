"""Tests on a fleet of hosts. They need root, the image and minutes, so they run only when they are named."""
