"""What Chaise shows of tables and columns: annotations, staged in the local model until they are sent together."""
