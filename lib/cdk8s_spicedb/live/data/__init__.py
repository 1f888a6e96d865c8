"""What a SpiceDB holds, its schema and its relationships: copied to a file and back, and asked the same questions."""
