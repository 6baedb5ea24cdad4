"""What engines that train several small models at once share: the optimiser and CUDA graphs."""
