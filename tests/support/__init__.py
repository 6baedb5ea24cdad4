"""What several test files and benchmarks share: each thing once. Test files import from here, never
from one another."""
