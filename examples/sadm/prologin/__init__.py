"""The services that make the network of the finals, and what they share."""
