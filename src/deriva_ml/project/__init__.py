"""New projects: the files that they begin with are in the folder ``template``."""
