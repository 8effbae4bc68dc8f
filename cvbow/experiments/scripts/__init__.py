"""What the project's own scripts measure, a module for each: what their results hold, and the tables of them."""
