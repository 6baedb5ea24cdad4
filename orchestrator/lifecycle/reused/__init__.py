"""The part of a pass that takes from other runs what they have done."""
