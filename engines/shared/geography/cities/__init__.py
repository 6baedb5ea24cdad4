"""The cities that questions are asked about: the frozen table of real ones, and worlds of them."""
