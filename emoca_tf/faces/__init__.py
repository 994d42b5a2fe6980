"""Photo -> face box, landmarks -> 224 x 224 crop and back."""
