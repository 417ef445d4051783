"""The object service: names, versions, rights and bytes."""
