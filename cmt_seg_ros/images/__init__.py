"""Images: pixels in every encoding, drawing on pictures, image files and video files."""
