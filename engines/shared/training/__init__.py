"""What engines that train several small models at once share: the optimiser, CUDA graphs and what
a CPU keeps of its memory."""
